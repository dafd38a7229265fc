"""App events on their way to the event streams; opened push messages are counted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from tailorbird.engage import counts, definitions, message_events, outbox, records
from tailorbird.engage.apps import App
from tailorbird.engage.counts import Count
from tailorbird.engage.events import Event
from tailorbird.engage.room import Engage

OPENED = "_campaign.opened_notification"
PUSH = "GCM"  # the counts of all push channels are added up; the event does not say which it was


def note(room: Engage, conn: Connection, app: App, found: Sequence[Event]) -> None:
    """Tell the streams of events, in the transaction that keeps them."""
    if not found:
        return
    now = room.clock.now()
    opened = [
        Count(event.attributes["campaign_id"], event.attributes.get("campaign_activity_id", ""),
              PUSH, counts.OPEN)
        for event in found
        if event.type == OPENED and event.attributes.get("campaign_id")
    ]  # fmt: skip
    counts.add(room, conn, app.number, now, opened)
    to = outbox.streams(room, conn, app.number)
    if not to:
        return
    keys = {event.endpoint_id: definitions.key_of(event.endpoint_id) for event in found}
    known = message_events.snapshots(room, conn, app.number, "key", sorted(set(keys.values())))
    told = [
        records.app_event(
            app.id, app.account, event.endpoint_id, event, known.get(keys[event.endpoint_id]), now
        )
        for event in found
    ]
    outbox.add(room, conn, app.number, to, told)
