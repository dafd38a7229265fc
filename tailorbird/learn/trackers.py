"""Event trackers: the door for live events of a dataset group; a group has one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import AlreadyExists
from tailorbird.learn import records
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_dataset_groups, learn_event_trackers


def create_event_tracker(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """A new tracker, ACTIVE at once."""
    group_arn = request["datasetGroupArn"]
    arn = records.arn_of(caller, f"event-tracker/{ids.hex8()}")
    tracking_id = ids.uuid4()
    table = learn_event_trackers
    with room.db.write() as conn:
        records.active(conn, learn_dataset_groups, caller, group_arn, "dataset group")
        taken = sa.select(table.c.arn).where(
            sa.or_(
                table.c.group_arn == group_arn,
                sa.and_(
                    table.c.account == caller.account,
                    table.c.region == caller.region,
                    table.c.name == request["name"],
                ),
            )
        )
        other = conn.execute(taken.limit(1)).scalar()
        if other is not None:
            raise AlreadyExists(
                f"{other} has that name or belongs to that dataset group; a group has one tracker"
            )
        records.add(
            room,
            conn,
            table,
            caller,
            "event tracker",
            arn=arn,
            name=request["name"],
            status=records.ACTIVE,
            definition=request,
            group_arn=group_arn,
            tracking_id=tracking_id,
        )
    return {"eventTrackerArn": arn, "trackingId": tracking_id}


def describe_event_tracker(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    arn = request["eventTrackerArn"]
    with room.db.read() as conn:
        row = records.find(conn, learn_event_trackers, caller, arn, "event tracker")
    more = {
        "accountId": row["account"],
        "trackingId": row["tracking_id"],
        "datasetGroupArn": row["group_arn"],
    }
    return {"eventTracker": _summary(row) | more}


def list_event_trackers(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All trackers, or that of a dataset group."""
    group = request.get("datasetGroupArn")
    where = () if group is None else (learn_event_trackers.c.group_arn == group,)
    return records.page(
        room, learn_event_trackers, caller, request, "eventTrackers", _summary, *where
    )


def delete_event_tracker(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Gone; the events that came through it stay."""
    arn = request["eventTrackerArn"]
    with room.db.write() as conn:
        records.deletable(conn, learn_event_trackers, caller, arn, "event tracker")
        records.remove(conn, learn_event_trackers, arn)


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "eventTrackerArn": row["arn"]}
    return shown | records.state(row) | records.times(row)
