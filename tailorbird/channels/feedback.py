"""What comes back about sent messages: bounces, complaints, delivery receipts, opt-outs.

Each is noted once and handed, in the same transaction, to whoever knows the people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tailorbird.channels import tables as t
from tailorbird.channels.origins import Origin
from tailorbird.channels.room import Channels
from tailorbird.store import insert

DELIVERED = "delivered"
FAILED = "failed"  # an SMS that will not arrive
HARD_BOUNCE = "hardbounce"  # the address does not exist
SOFT_BOUNCE = "softbounce"
COMPLAINT = "complaint"
UNSUBSCRIBED = "unsubscribe"
STOPPED = "stop"  # an SMS back that says STOP
STARTED = "start"
GONE = "gone"  # a device token that is not registered any more
KINDS = (
    DELIVERED, FAILED, HARD_BOUNCE, SOFT_BOUNCE, COMPLAINT, UNSUBSCRIBED, STOPPED, STARTED, GONE,
)  # fmt: skip
REPEATABLE = (STOPPED, STARTED)  # not about one message: each counts anew
WORDS_MAX = 500  # characters kept


@dataclass(frozen=True)
class Feedback:
    """One thing that came back. Without a message, `origin` names channel and address only."""

    kind: str
    origin: Origin
    words: str
    moment: float


def take(room: Channels, found: Iterable[Feedback]) -> int:
    """Note what is new and hand it on; how many were new."""
    assert room.db is not None
    new = 0
    with room.db.write() as conn:
        for one in found:
            row = _row(one)
            adding = insert(room.db, t.feedback).values(row).on_conflict_do_nothing()
            if conn.execute(adding.returning(t.feedback.c.number)).first() is None:
                continue
            new += 1
            if room.on_feedback is not None:
                room.on_feedback(conn, one)
    return new


def of_application(
    room: Channels, application_id: str, after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """What came back for an application, the oldest first."""
    assert room.db is not None
    c = t.feedback.c
    query = sa.select(t.feedback).where(c.application_id == application_id, c.number > after)
    with room.db.read() as conn:
        rows = conn.execute(query.order_by(c.number).limit(limit)).mappings()
        return [dict(row) for row in rows]


def _row(one: Feedback) -> dict[str, Any]:
    origin = one.origin
    message_id = origin.message_id or f"{one.kind} {one.moment}"
    return {
        "kind": one.kind, "channel": origin.channel_type, "address": origin.address,
        "message_id": f"{message_id} {one.moment}" if one.kind in REPEATABLE else message_id,
        "application_id": origin.application_id, "campaign_id": origin.campaign_id,
        "activity_id": origin.activity_id, "endpoint_id": origin.endpoint_id,
        "words": one.words[:WORDS_MAX], "moment": one.moment,
    }  # fmt: skip
