"""What comes back about a message: opened, clicked, bounced, complained, delivered, unsubscribed.

Each is counted, kept as a built-in event (`_email.open` ...) that campaigns may wait for, and told
to the event streams, in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.channels import Feedback
from tailorbird.channels import feedback as kinds
from tailorbird.channels.origins import Origin
from tailorbird.engage import apps, counts, events, message_events, outbox, records
from tailorbird.engage.counts import Count
from tailorbird.engage.events import Event
from tailorbird.engage.message_events import EMAIL, SMS, Owner
from tailorbird.engage.room import Engage

OPEN, CLICK = "open", "click"
ONCE = {OPEN: counts.UNIQUE_OPEN, CLICK: counts.UNIQUE_CLICK}
SMS_EVENTS = {kinds.DELIVERED: "SUCCESS", kinds.FAILED: "FAILURE", kinds.STOPPED: "OPTOUT"}
COUNTED = (
    kinds.DELIVERED, kinds.HARD_BOUNCE, kinds.SOFT_BOUNCE, kinds.COMPLAINT, kinds.UNSUBSCRIBED,
    OPEN, CLICK,
)  # fmt: skip


@dataclass(frozen=True)
class Happening:
    """Something that happened to a message, as far as it is known here."""

    kind: str  # the event type after `_email.`, or a kind of feedback about an SMS
    origin: Origin
    event: dict[str, Any] = field(default_factory=dict)  # the record's part of that name
    words: str = ""
    sender: str = ""
    subject: str = ""
    sent: float | None = None


def of_feedback(feedback: Feedback) -> Happening | None:
    """What a piece of feedback tells; None for what no event is about."""
    origin, kind, words = feedback.origin, feedback.kind, feedback.words
    if origin.channel_type == SMS:
        return Happening(kind, origin, words=words) if kind in SMS_EVENTS else None
    if origin.channel_type != EMAIL:
        return None
    if kind in records.BOUNCES:
        return Happening(kind, origin, records.bounce(origin, kind, words), words)
    if kind == kinds.COMPLAINT:
        return Happening(kind, origin, records.complaint(origin, words), words)
    if kind == kinds.DELIVERED:
        return Happening(kind, origin, records.delivery(origin, words, ""), words)
    return Happening(kind, origin, words=words) if kind == kinds.UNSUBSCRIBED else None


def tell(room: Engage, conn: Connection, found: Happening) -> None:
    """Count it, keep it and tell the streams."""
    origin = found.origin
    if found.kind == kinds.DELIVERED and message_events.is_delivered(room, origin.channel_type):
        return  # it was told when the message was taken
    if not origin.message_id:
        for application_id, endpoint_id in message_events.applications_of(room, conn, origin):
            about = origin._replace(application_id=application_id, endpoint_id=endpoint_id)
            _tell(room, conn, Happening(found.kind, about, found.event, found.words))
    else:
        _tell(room, conn, found)


def _tell(room: Engage, conn: Connection, found: Happening) -> None:
    mine = message_events.owner(room, conn, found.origin.application_id)
    if mine is None:
        return
    now = room.clock.now()
    counts.add(room, conn, mine.number, now, _counts(room, conn, mine, found))
    app = apps.by_id(conn, mine.id)
    if found.origin.endpoint_id:
        events.put(room, conn, app, [_event(found, now)], system=True)
    if mine.is_streamed:
        to = outbox.streams(room, conn, mine.number)
        outbox.add(room, conn, mine.number, to, [_record(room, mine, found, now)])


def _counts(room: Engage, conn: Connection, mine: Owner, found: Happening) -> list[Count]:
    origin = found.origin
    run = (origin.campaign_id or "", origin.activity_id or "", origin.channel_type)
    if origin.channel_type == SMS:
        country = message_events.sms_text.country(origin.address)
        if found.kind == kinds.DELIVERED:
            return [Count(*run, counts.DELIVERED, 1, country)]
        if found.kind == kinds.FAILED:
            return [Count(*run, "error", 1, found.words)]
        return []
    if found.kind not in COUNTED:
        return []
    rows = [Count(*run, found.kind)]
    once = ONCE.get(found.kind)
    if once and counts.is_first(room, conn, mine.number, origin.message_id, once):
        rows.append(Count(*run, once))
    return rows


def _event(found: Happening, now: float) -> Event:
    origin = found.origin
    attributes = {
        "campaign_id": origin.campaign_id, "campaign_activity_id": origin.activity_id,
        "treatment_id": origin.treatment_id, "message_id": origin.message_id,
        "feedback": found.event.get("link") or found.words[:200],
    }  # fmt: skip
    return Event(
        endpoint_id=origin.endpoint_id or "",
        event_id=ids.uuid4(),
        type=_type(found),
        moment=now,
        attributes={name: value for name, value in attributes.items() if value},
        metrics={},
        rest={},
    )


def _type(found: Happening) -> str:
    if found.origin.channel_type == SMS:
        return f"_SMS.{SMS_EVENTS[found.kind]}"
    return f"_email.{found.kind}"


def _record(room: Engage, mine: Owner, found: Happening, now: float) -> dict[str, Any]:
    if found.origin.channel_type == SMS:
        return records.sms(
            mine.id, mine.account, SMS_EVENTS[found.kind], found.origin, now,
            room.settings.sms_price_millicents,
        )  # fmt: skip
    return records.email(
        mine.id, mine.account, found.kind, found.origin, found.event, now,
        sender=found.sender, subject=found.subject, sent=found.sent,
    )  # fmt: skip
