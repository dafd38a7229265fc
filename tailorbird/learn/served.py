"""What was shown and what was taken, so that exploration gives way to what people pass by.

A list is counted when an event names it: by its recommendationId (kept by campaigns that explore)
or by an impression of its own, which goes first.
Source: Personalize developer guide, "Recording impressions data".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.learn.room import Learn

SECONDS_PER_DAY = 86_400.0
ASKED_AT_ONCE = 500  # items in one query

KEEP = (
    "INSERT INTO learn_served (recommendation_id, group_arn, items, counted, created)"
    " VALUES (?, ?, ?, 0, ?)"
)
EXPIRE = "DELETE FROM learn_served WHERE created < ?"
TAKE = (
    "UPDATE learn_served SET counted = 1 WHERE recommendation_id = ? AND group_arn = ?"
    " AND counted = 0 RETURNING items"
)
COUNT = (
    "INSERT INTO learn_impressions (group_arn, item_id, shown, taken) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (group_arn, item_id) DO UPDATE SET"
    " shown = learn_impressions.shown + excluded.shown,"
    " taken = learn_impressions.taken + excluded.taken"
)
KNOWN_EVENTS = "SELECT event_id FROM learn_events WHERE group_arn = ? AND event_id IN ({marks})"
READ = (
    "SELECT item_id, shown, taken FROM learn_impressions"
    " WHERE group_arn = ? AND item_id IN ({marks})"
)


def keep(room: Learn, group: str, recommendation_id: str, items: list[str]) -> None:
    """Remember a list for the setting's number of days."""
    now = room.clock.now()
    oldest = now - room.settings.learn_served_days * SECONDS_PER_DAY
    with room.db.write(in_mind=False) as conn:
        conn.exec_driver_sql(room.db.sql(EXPIRE), (oldest,))
        values = (recommendation_id, group, room.db.dump(items), now)
        conn.exec_driver_sql(room.db.sql(KEEP), values)


def count(room: Learn, conn: Connection, group: str, events: Sequence[dict[str, Any]]) -> None:
    """Count what the events' lists showed, before the events are kept; known events not again."""
    named = [one for one in events if _list_named(one)]
    if not named:
        return
    ids = [one["eventId"] for one in named]
    query = room.db.sql(KNOWN_EVENTS.format(marks=_marks(ids)))
    known = {row[0] for row in conn.exec_driver_sql(query, (group, *ids)).fetchall()}
    rows: dict[str, list[int]] = {}
    for one in named:
        if one["eventId"] in known:
            continue
        known.add(one["eventId"])
        for item in _shown(room, conn, group, one["details"]):
            rows.setdefault(item, [0, 0])[0] += 1
        if one["itemId"]:
            rows.setdefault(one["itemId"], [0, 0])[1] += 1
    values = [(group, item, shown, taken) for item, (shown, taken) in sorted(rows.items())]
    if values:
        conn.exec_driver_sql(room.db.sql(COUNT), values)


def impressions(room: Learn, group: str, items: Sequence[str]) -> dict[str, tuple[int, int]]:
    """How often each of these items was shown and taken, where it was."""
    found: dict[str, tuple[int, int]] = {}
    for start in range(0, len(items), ASKED_AT_ONCE):
        some = items[start : start + ASKED_AT_ONCE]
        query = room.db.sql(READ.format(marks=_marks(some)))
        for item, shown, taken in room.db.look(query, (group, *some)):
            found[item] = (shown, taken)
    return found


def _list_named(event: dict[str, Any]) -> bool:
    return bool(event["details"].get("impression") or event["details"].get("recommendationId"))


def _shown(room: Learn, conn: Connection, group: str, details: dict[str, Any]) -> list[str]:
    """An explicit impression goes before the list of the recommendationId, counted once."""
    if details.get("impression"):
        return list(dict.fromkeys(details["impression"]))
    values = (details["recommendationId"], group)
    row = conn.exec_driver_sql(room.db.sql(TAKE), values).fetchone()
    return [] if row is None else room.db.load(row[0])


def _marks(values: Iterable[Any]) -> str:
    return ", ".join("?" for _ in values)
