"""Built-in events of the hand-over of messages, for campaigns that wait for them.

They are as many as the messages, so they are made only while a campaign with FilterType SYSTEM
waits. Source: Pinpoint API reference, "CampaignEventFilter".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy.engine import Connection

from tailorbird.channels import Message
from tailorbird.engage import apps, event_campaigns, events, ledger, message_events
from tailorbird.engage.events import Event
from tailorbird.engage.ledger import Entry
from tailorbird.engage.message_events import EMAIL, SMS, Owner
from tailorbird.engage.room import Engage
from tailorbird.store import ask


def fire(room: Engage, conn: Connection, mine: Owner | None, entries: Sequence[Entry]) -> None:
    """Tell waiting campaigns what has been sent, in the transaction that writes it down."""
    if mine is None or not mine.is_waited_for:
        return
    sent = [entry for entry in entries if entry.state == ledger.SENT and entry.message]
    app, now = apps.by_id(conn, mine.id), room.clock.now()
    (waiting,) = ask(conn, [event_campaigns.waiting(room, app)])
    if event_campaigns.listening(room, waiting, now, system=True):
        found = [
            _event(kind, entry.endpoint_id, entry.message, now)
            for entry in sent
            if entry.message
            for kind in _kinds(room, entry.message.channel_type)
        ]
        events.put(room, conn, app, found, system=True)


def _kinds(room: Engage, channel: str) -> Iterator[str]:
    delivered = message_events.is_delivered(room, channel)
    if channel == EMAIL:
        yield "_email.send"
        if delivered:
            yield "_email.delivered"
    elif channel == SMS:
        yield "_SMS.SUCCESS" if delivered else "_SMS.BUFFERED"


def _event(kind: str, endpoint_id: str, message: Message, now: float) -> Event:
    attributes = {
        "campaign_id": message.campaign_id, "campaign_activity_id": message.activity_id,
        "treatment_id": message.treatment_id, "message_id": message.id,
    }  # fmt: skip
    given = {name: value for name, value in attributes.items() if value}
    return Event(endpoint_id, f"{message.id}:{kind}", kind, now, given, {}, {})
