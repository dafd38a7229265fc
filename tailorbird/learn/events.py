"""PutEvents: interaction events, durable when it answers, part of the user's next recommendations.

An event belongs to its user, or to its session until an event with both ids links them.
Source: Personalize developer guide, "Recording real-time events", current and of 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import cells, csvs, parts, properties, served, throttle
from tailorbird.learn.room import Learn
from tailorbird.learn.rows import column_name
from tailorbird.learn.tables import learn_events

MAX_ITEM_ID_CHARACTERS = 256
# younger events may have neighbours that are not committed yet; SQLite commits in the order of ids
SETTLED_SECONDS = {"sqlite": 0.0, "postgresql": 5.0}
FORBIDDEN = {"userid", "sessionid", "eventtype", "timestamp", "recommendationid", "impression"}
NO_ITEM = "the event names no item: itemId is neither in it nor in its properties"

INSERT = (
    "INSERT INTO learn_events (group_arn, person, session_id, user_id, event_id, event_type,"
    " event_value, item_id, time, details, received, unusable)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_arn, event_id) DO NOTHING"
)
LINK = (
    "INSERT INTO learn_sessions (group_arn, session_id, user_id) VALUES (?, ?, ?)"
    " ON CONFLICT (group_arn, session_id) DO UPDATE SET user_id = excluded.user_id"
)
TRACKER = (
    "SELECT group_arn FROM learn_event_trackers"
    " WHERE tracking_id = ? AND account = ? AND region = ?"
)
SESSION_USER = "SELECT user_id FROM learn_sessions WHERE group_arn = ? AND session_id = ?"
HAND_OVER = (
    "UPDATE {table} SET person = ?"
    " WHERE group_arn = ? AND session_id = ? AND user_id IS NULL AND person = ?"
)
OF_SESSIONS = ("learn_events", "learn_action_events")


def put_events(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Keep the events; one with a known eventId is not kept twice."""
    throttle.check(room, "learn_max_put_events_per_second", f"{caller.account} {caller.region}")
    session, user = request["sessionId"], request.get("userId")
    keys = room.settings.learn_event_item_keys.split(",")
    read = [_event(event, n, keys) for n, event in enumerate(request["eventList"])]
    now = room.clock.now()
    with room.db.write(in_mind=False) as conn:
        group = _group(room, conn, caller, request["trackingId"])
        person = link(room, conn, group, session, user)
        rows = [
            (
                group,
                person,
                session,
                user,
                event["eventId"],
                event["eventType"],
                event["eventValue"],
                event["itemId"],
                event["sentAt"],
                room.db.dump(event["details"]),
                now,
                None if event["itemId"] else NO_ITEM,
            )
            for event in read
        ]
        served.count(room, conn, group, read)
        conn.exec_driver_sql(room.db.sql(INSERT), rows)


def inspect(room: Learn, group_arn: str) -> dict[str, Any]:
    """How many live events a group has, of how many people, and why some are unusable."""
    c = learn_events.c
    with room.db.read() as conn:
        counts = sa.select(
            sa.func.count(),
            sa.func.count(sa.distinct(c.person)),
            sa.func.count(c.user_id),
        ).where(c.group_arn == group_arn)
        received, people, with_user = conn.execute(counts).one()
        reasons = (
            sa.select(c.unusable, sa.func.count())
            .where(c.group_arn == group_arn, c.unusable.is_not(None))
            .group_by(c.unusable)
        )
        unusable = {row[0]: row[1] for row in conn.execute(reasons)}
    return {
        "received": received,
        "people": people,
        "with_user": with_user,
        "unusable": unusable,
    }


def export(room: Learn, group_arn: str, path: Path, context: Sequence[str] = ()) -> int:
    """Write the events a training may see as a part; the id of the last one.

    `context` names the schema's further columns, found in the events' properties.

    Sessions that were never linked to a user are not trained on. Events of the last seconds are
    left to serving on PostgreSQL, where ids are given before they are committed.
    """
    c = learn_events.c
    settled = sa.select(sa.func.max(c.id)).where(
        c.group_arn == group_arn, c.received <= room.clock.now() - SETTLED_SECONDS[room.db.dialect]
    )
    with room.db.read() as conn:
        last = conn.execute(settled).scalar() or 0
        rows = conn.execute(
            sa.select(c.person, c.item_id, c.event_type, c.time, c.event_value, c.details)
            .where(
                c.group_arn == group_arn,
                c.id <= last,
                c.unusable.is_(None),
                sa.or_(c.user_id.is_not(None), c.person != c.session_id),
            )
            .order_by(c.id)
        ).fetchall()
    columns: csvs.Columns = {}
    for n, name in enumerate(("USER_ID", "ITEM_ID", "EVENT_TYPE")):
        strings = csvs.Strings()
        strings.add([row[n] for row in rows])
        columns[name] = strings
    for n, name in ((3, "TIMESTAMP"), (4, "EVENT_VALUE")):
        numbers = csvs.Numbers()
        numbers.add(np.array([row[n] for row in rows], dtype=np.float64))  # None becomes NaN
        columns[name] = numbers
    for name in context:
        strings = csvs.Strings()
        strings.add([_property(row[5], name) for row in rows])
        columns[name] = strings
    parts.write(path, columns)
    return last


def _group(room: Learn, conn: Connection, caller: Caller, tracking_id: str) -> str:
    values = (tracking_id, caller.account, caller.region)
    found = conn.exec_driver_sql(room.db.sql(TRACKER), values).fetchone()
    if found is None:
        raise Invalid(
            f"There is no event tracker with trackingId {tracking_id} in {caller.region}; "
            "DescribeEventTracker shows the right one"
        )
    return found[0]


def link(room: Learn, conn: Connection, group: str, session: str, user: str | None) -> str:
    """Whose history these events join; a session that gets a user hands over what it did before."""
    known = conn.exec_driver_sql(room.db.sql(SESSION_USER), (group, session)).fetchone()
    if user is None:
        return known[0] if known is not None else session
    if known is None or known[0] != user:
        conn.exec_driver_sql(room.db.sql(LINK), (group, session, user))
        for table in OF_SESSIONS:
            hand_over = room.db.sql(HAND_OVER.format(table=table))
            conn.exec_driver_sql(hand_over, (user, group, session, session))
    return user


def _event(event: dict[str, Any], number: int, keys: list[str]) -> dict[str, Any]:
    """An event of either shape: itemId and eventValue in it, or (2019) in its properties.

    Segment's published function names the item `id` there; `keys` are the names to look for.
    """
    where = f"eventList[{number}]"
    given = properties_of(event.get("properties"), where)
    item = event.get("itemId")
    if item is None:
        item = next((given[key] for key in keys if given.get(key) is not None), None)
    if isinstance(item, bool | dict | list):
        raise Invalid(f"{where}.properties: the item is {item!r}; an id is right")
    if item is not None:
        item = str(item)
        if not 0 < len(item) <= MAX_ITEM_ID_CHARACTERS:
            raise Invalid(f"{where}.itemId has {len(item)} characters; 1 to 256 are right")
    value = event.get("eventValue")
    if value is None:
        value = given.get("eventValue")
    details: dict[str, Any] = {
        name: event[name]
        for name in ("recommendationId", "impression", "metricAttribution")
        if name in event
    }
    if given:
        details["properties"] = given
    return {
        "eventId": event.get("eventId") or ids.uuid4(),
        "eventType": event["eventType"],
        "eventValue": _value(value),
        "itemId": item if item and item.strip() else None,
        "sentAt": float(event["sentAt"]),
        "details": details,
    }


def _property(details: dict[str, Any], column: str) -> str:
    """The text of a column in an event's properties; empty when there is none."""
    for name, value in details.get("properties", {}).items():
        if value is not None and column_name(name) == column:
            return str(value)
    return ""


def properties_of(text: Any, where: str) -> dict[str, Any]:
    """An event's properties; Invalid when they name what is a member of its own."""
    found = properties.read(text, where)
    for name in found:
        if name.lower() in FORBIDDEN:
            raise Invalid(f"{where}.properties may not hold {name!r}; it is a member of its own")
    return found


def _value(value: Any) -> float | None:
    """A number, also as a string; other texts (old code sends them) are no value."""
    if isinstance(value, bool) or (isinstance(value, str) and not cells.plain(value)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None
