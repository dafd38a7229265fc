"""CreateFilter and the like: filters of a dataset group, ACTIVE at once."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import InUse
from tailorbird.learn import records, schemas
from tailorbird.learn.filters import grammar, rules
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_batch_inference_jobs,
    learn_batch_segment_jobs,
    learn_dataset_groups,
    learn_datasets,
    learn_filters,
    learn_schemas,
)


def create_filter(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """A new filter; Invalid when its expression does not parse or names what is not there."""
    arn = records.arn_of(caller, f"filter/{request['name']}")
    group_arn = request["datasetGroupArn"]
    expressions = grammar.parse(request["filterExpression"])
    settings = room.settings
    with room.db.write() as conn:
        records.active(conn, learn_dataset_groups, caller, group_arn, "dataset group")
        rules.check(expressions, _schemas(conn, group_arn), strict=settings.learn_strict_filters)
        others = sa.select(learn_filters.c.definition).where(learn_filters.c.group_arn == group_arn)
        rules.check_limits(
            expressions,
            [grammar.parse(one["filterExpression"]) for one in conn.execute(others).scalars()],
            {
                "filters": settings.learn_max_filters,
                "fields": settings.learn_max_filter_fields,
                "group_fields": settings.learn_max_group_filter_fields,
            },
        )
        records.add(
            room,
            conn,
            learn_filters,
            caller,
            "filter",
            arn=arn,
            name=request["name"],
            status=records.ACTIVE,
            definition=request,
            group_arn=group_arn,
        )
    return {"filterArn": arn}


def describe_filter(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        row = records.find(conn, learn_filters, caller, request["filterArn"], "filter")
    return {"filter": _summary(row) | records.given(row, "filterExpression")}


def list_filters(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All filters, or those of a dataset group; the service writes the key with a capital."""
    group = request.get("datasetGroupArn")
    where = () if group is None else (learn_filters.c.group_arn == group,)
    return records.page(room, learn_filters, caller, request, "Filters", _summary, *where)


def delete_filter(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Gone, unless a batch job that uses it is under way."""
    arn = request["filterArn"]
    with room.db.write() as conn:
        records.deletable(conn, learn_filters, caller, arn, "filter")
        for table in (learn_batch_inference_jobs, learn_batch_segment_jobs):
            busy = sa.select(table.c.arn, table.c.definition).where(
                table.c.account == caller.account, table.c.status.in_(records.BUSY)
            )
            for job, definition in conn.execute(busy):
                if definition.get("filterArn") == arn:
                    raise InUse(f"The filter {arn} is used by a batch job: {job}")
        records.remove(conn, learn_filters, arn)


def _schemas(conn: Connection, group_arn: str) -> dict[str, schemas.Schema]:
    """The schemas of the group's datasets by type."""
    query = (
        sa.select(learn_datasets.c.type, learn_schemas.c.definition)
        .join(learn_schemas, learn_schemas.c.arn == learn_datasets.c.schema_arn)
        .where(learn_datasets.c.group_arn == group_arn)
    )
    return {
        kind: schemas.parse(given["schema"], given.get("domain"))
        for kind, given in conn.execute(query)
    }


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "filterArn": row["arn"], "datasetGroupArn": row["group_arn"]}
    return shown | records.state(row) | records.times(row)
