"""What became of the live events of a tracker: received, linked to a user, unusable and why."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.errors import NotFound
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_dataset_groups, learn_event_trackers, learn_events

NEWEST_SHOWN = 10
FUTURE_SECONDS = 3600.0
OLD_SECONDS = 365 * 86_400.0
WAITING = "linked to no user yet: they shape the session's answers and are not trained on"
FUTURE = "dated more than an hour after they were received"
OLD = "dated more than a year before they were received"


def events(room: Learn, of: str) -> dict[str, Any]:
    """Counts, reasons and the newest events of a tracker or dataset group (ARN, id or name)."""
    c = learn_events.c
    with room.db.read() as conn:
        group, tracker = _group(conn, of)
        own = c.group_arn == group
        linked = sa.or_(c.user_id.is_not(None), c.person != c.session_id)
        usable = c.unusable.is_(None)

        def count(*where: Any) -> int:
            query = sa.select(sa.func.count()).select_from(learn_events).where(own, *where)
            return conn.execute(query).scalar_one()

        reasons = sa.select(c.unusable, sa.func.count()).where(own, ~usable).group_by(c.unusable)
        kinds = sa.select(c.event_type, sa.func.count()).where(own).group_by(c.event_type)
        span = sa.select(
            sa.func.min(c.received), sa.func.max(c.received), sa.func.count(sa.distinct(c.person))
        ).where(own)
        first, last, people = conn.execute(span).one()
        newest = conn.execute(
            sa.select(learn_events).where(own).order_by(c.id.desc()).limit(NEWEST_SHOWN)
        ).mappings()
        warnings = {
            WAITING: count(usable, ~linked),
            FUTURE: count(c.time > c.received + FUTURE_SECONDS),
            OLD: count(c.time < c.received - OLD_SECONDS),
        }
        return {
            "datasetGroupArn": group,
            "eventTrackerArn": tracker,
            "received": count(),
            "usable": count(usable),
            "linked": count(usable, linked),
            "people": people,
            "eventTypes": {row[0]: row[1] for row in conn.execute(kinds)},
            "unusable": {row[0]: row[1] for row in conn.execute(reasons)},
            "warnings": {text: number for text, number in warnings.items() if number},
            "firstReceived": first,
            "lastReceived": last,
            "newest": [_shown(row) for row in newest],
        }


def _group(conn: Connection, of: str) -> tuple[str, str | None]:
    """The dataset group that is meant, and its tracker."""
    t, g = learn_event_trackers.c, learn_dataset_groups.c
    by_tracker = sa.select(t.group_arn).where(
        sa.or_(t.arn == of, t.tracking_id == of, t.name == of)
    )
    by_group = sa.select(g.arn).where(sa.or_(g.arn == of, g.name == of))
    group = conn.execute(by_tracker.limit(1)).scalar() or conn.execute(by_group.limit(1)).scalar()
    if group is None:
        raise NotFound(
            f"{of} is neither an event tracker nor a dataset group; ARN, trackingId or name"
        )
    tracker = conn.execute(sa.select(t.arn).where(t.group_arn == group)).scalar()
    return group, tracker


def _shown(row: sa.RowMapping) -> dict[str, Any]:
    return {
        "eventId": row["event_id"],
        "eventType": row["event_type"],
        "itemId": row["item_id"],
        "userId": row["user_id"],
        "sessionId": row["session_id"],
        "person": row["person"],
        "sentAt": row["time"],
        "received": row["received"],
        "state": row["unusable"] or "usable",
    }
