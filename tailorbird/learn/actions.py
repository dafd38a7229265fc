"""PutActionInteractions: what users did with actions, part of their next action recommendations.

The trackingId is that of the Action interactions dataset (DescribeDataset shows it); the dataset
group's event tracker is known as well.
Source: Personalize developer guide, "Recording real-time action interaction events".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import csvs, events, parts
from tailorbird.learn.action_training import deed
from tailorbird.learn.models.propensity import DEEDS
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_action_events

INSERT = (
    "INSERT INTO learn_action_events (group_arn, person, session_id, user_id, event_id,"
    " event_type, action_id, time, details, received) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (group_arn, event_id) DO NOTHING"
)
OF_DATASET = (
    "SELECT group_arn FROM learn_datasets WHERE tracking_id = ? AND account = ? AND region = ?"
)
HAS_DATASET = "SELECT arn FROM learn_datasets WHERE group_arn = ? AND type = 'ACTION_INTERACTIONS'"


def put_action_interactions(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Keep the interactions; one with a known eventId is not kept twice."""
    read = [_read(one, n) for n, one in enumerate(request["actionInteractions"])]
    now = room.clock.now()
    with room.db.write() as conn:
        group = _group(room, conn, caller, request["trackingId"])
        rows = []
        for one, event_type, details in read:
            user, session = one.get("userId"), one["sessionId"]
            person = events.link(room, conn, group, session, user)
            rows.append(
                (
                    group,
                    person,
                    session,
                    user,
                    one.get("eventId") or ids.uuid4(),
                    event_type,
                    one["actionId"],
                    float(one["timestamp"]),
                    room.db.dump(details),
                    now,
                )
            )
        conn.exec_driver_sql(room.db.sql(INSERT), rows)


def export(room: Learn, group_arn: str, path: Path) -> int:
    """Write the interactions a training may see as a part; the id of the last one."""
    c = learn_action_events.c
    settled = sa.select(sa.func.max(c.id)).where(
        c.group_arn == group_arn,
        c.received <= room.clock.now() - events.SETTLED_SECONDS[room.db.dialect],
    )
    with room.db.read() as conn:
        last = conn.execute(settled).scalar() or 0
        rows = conn.execute(
            sa.select(c.person, c.action_id, c.event_type, c.time)
            .where(
                c.group_arn == group_arn,
                c.id <= last,
                sa.or_(c.user_id.is_not(None), c.person != c.session_id),
            )
            .order_by(c.id)
        ).fetchall()
    columns: csvs.Columns = {}
    for n, name in enumerate(("USER_ID", "ACTION_ID", "EVENT_TYPE")):
        strings = csvs.Strings()
        strings.add([row[n] for row in rows])
        columns[name] = strings
    numbers = csvs.Numbers()
    numbers.add(np.array([row[3] for row in rows], dtype=np.float64))
    columns["TIMESTAMP"] = numbers
    parts.write(path, columns)
    return last


def _group(room: Learn, conn: Connection, caller: Caller, tracking_id: str) -> str:
    values = (tracking_id, caller.account, caller.region)
    for query in (OF_DATASET, events.TRACKER):
        found = conn.exec_driver_sql(room.db.sql(query), values).fetchone()
        if found is None:
            continue
        if conn.exec_driver_sql(room.db.sql(HAS_DATASET), (found[0],)).fetchone() is None:
            raise Invalid(
                f"The dataset group {found[0]} has no Action interactions dataset; create one first"
            )
        return found[0]
    raise Invalid(
        f"There is no action interaction event tracker with trackingId {tracking_id} in "
        f"{caller.region}; DescribeDataset of an Action interactions dataset shows the right one"
    )


def _read(one: dict[str, Any], number: int) -> tuple[dict[str, Any], str, dict[str, Any]]:
    where = f"actionInteractions[{number}]"
    kind = deed(one["eventType"])
    if kind < 0:
        raise Invalid(
            f"{where}.eventType is {one['eventType']!r}; Taken, Not Taken or Viewed is right"
        )
    details: dict[str, Any] = {
        name: one[name] for name in ("recommendationId", "impression") if name in one
    }
    properties = events.properties_of(one.get("properties"), where)
    if properties:
        details["properties"] = properties
    return one, DEEDS[kind], details
