"""Dataset groups: what belongs together: datasets, solutions, campaigns, one event tracker."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.learn import pace, quotas, records, tags
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_action_events,
    learn_dataset_groups,
    learn_datasets,
    learn_event_trackers,
    learn_events,
    learn_filters,
    learn_impressions,
    learn_metric_attributions,
    learn_recommenders,
    learn_served,
    learn_sessions,
    learn_solutions,
)


def create_dataset_group(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """A new group, ACTIVE at once."""
    arn = records.arn_of(caller, f"dataset-group/{request['name']}")
    c = learn_dataset_groups.c
    with room.db.write() as conn:
        conn.execute(sa.delete(learn_dataset_groups).where(c.arn == arn, c.status == pace.DELETING))
        quotas.check_count(
            room,
            conn,
            caller,
            learn_dataset_groups,
            "learn_max_dataset_groups",
            c.status != pace.DELETING,
        )
        records.add(
            room,
            conn,
            learn_dataset_groups,
            caller,
            "dataset group",
            arn=arn,
            name=request["name"],
            status=records.ACTIVE,
            definition=request,
        )
    domain = {"domain": request["domain"]} if "domain" in request else {}
    return {"datasetGroupArn": arn} | domain


def describe_dataset_group(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    arn = request["datasetGroupArn"]
    with room.db.read() as conn:
        row = records.find(conn, learn_dataset_groups, caller, arn, "dataset group")
    return {"datasetGroup": _summary(row) | records.given(row, "roleArn", "kmsKeyArn")}


def list_dataset_groups(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    left = learn_dataset_groups.c.status != pace.DELETING
    return records.page(
        room, learn_dataset_groups, caller, request, "datasetGroups", _summary, left
    )


def delete_dataset_group(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Gone, once what it holds is; its filters go with it.

    For a few seconds it can still be described, as DELETE IN_PROGRESS: the clean-up of AWS's sample
    notebooks goes on at once when it sees the group once more, and asks for half an hour if not.
    """
    arn = request["datasetGroupArn"]
    with room.db.write() as conn:
        row = records.deletable(conn, learn_dataset_groups, caller, arn, "dataset group")
        if row["status"] == pace.DELETING:
            return
        for table in (
            learn_recommenders,
            learn_event_trackers,
            learn_solutions,
            learn_datasets,
            learn_metric_attributions,
        ):
            users = sa.select(table.c.arn).where(table.c.group_arn == arn)
            records.refuse_while(conn, users, f"Delete what the dataset group {arn} holds first")
        conn.execute(sa.delete(learn_events).where(learn_events.c.group_arn == arn))
        for table in (
            learn_action_events,
            learn_sessions,
            learn_filters,
            learn_served,
            learn_impressions,
        ):
            conn.execute(sa.delete(table).where(table.c.group_arn == arn))
        tags.drop(conn, arn)
        pace.forget(room, conn, learn_dataset_groups, arn)


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "datasetGroupArn": row["arn"]}
    return shown | records.state(row) | records.times(row) | records.given(row, "domain")
