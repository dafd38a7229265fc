"""Changes in place: a dataset's schema, a solution's schedule and events.

Source: Personalize developer guide, "Replacing a dataset's schema" and "Updating a solution".
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import records, schedules, schemas, solutions
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_datasets,
    learn_import_jobs,
    learn_parts,
    learn_schemas,
    learn_solution_versions,
    learn_solutions,
)

UPDATED = ("performAutoTraining", "performIncrementalUpdate")
FLAGS = (*UPDATED, "solutionUpdateConfig")


def update_dataset(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Give a dataset another schema; rows that are there have no value in its new columns."""
    arn, schema_arn = request["datasetArn"], request["schemaArn"]
    with room.db.write() as conn:
        row = records.active(conn, learn_datasets, caller, arn, "dataset")
        new = records.find(conn, learn_schemas, caller, schema_arn, "schema")
        _refuse_busy(conn, row)
        old = conn.execute(
            sa.select(learn_schemas.c.definition).where(learn_schemas.c.arn == row["schema_arn"])
        ).scalar_one()
        rows = sa.select(learn_parts.c.id).where(learn_parts.c.dataset_arn == arn).limit(1)
        _check(row, old, new["definition"], conn.execute(rows).scalar() is not None)
        now = room.clock.now()
        change = {
            "schemaArn": schema_arn,
            "status": records.ACTIVE,
            "creationDateTime": now,
            "lastUpdatedDateTime": now,
        }
        records.change(room, conn, learn_datasets, arn, schema_arn=schema_arn, change=change)
    return {"datasetArn": arn}


def update_solution(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Change a solution's schedule, incremental updates or events; later versions follow."""
    arn = request["solutionArn"]
    if not any(name in request for name in FLAGS):
        raise Invalid(f"Nothing to update: name one of {', '.join(FLAGS)}")
    with room.db.write() as conn:
        row = records.active(conn, learn_solutions, caller, arn, "solution")
        given = {name: request[name] for name in UPDATED if name in request}
        update = request.get("solutionUpdateConfig") or {}
        config = {**(row["definition"].get("solutionConfig") or {}), **update}
        definition = {**row["definition"], **given}
        if config:
            definition["solutionConfig"] = config
        solutions.check_definition(definition)
        if "performAutoTraining" in request or "autoTrainingConfig" in update:
            definition = schedules.begin(room, conn, definition, arn)
        now = room.clock.now()
        shown = {name: request[name] for name in FLAGS if name in request}
        change = {
            **shown,
            "status": records.ACTIVE,
            "creationDateTime": now,
            "lastUpdatedDateTime": now,
        }
        records.change(room, conn, learn_solutions, arn, definition=definition, change=change)
    return {"solutionArn": arn}


def _check(row: records.Row, old: dict[str, Any], new: dict[str, Any], has_rows: bool) -> None:
    """Invalid when rows that were read under the old schema do not fit under the new one."""
    before = schemas.parse(old["schema"], old.get("domain"))
    after = schemas.parse(new["schema"], new.get("domain"))
    if after.dataset_type != row["type"]:
        raise Invalid(f"The new schema is for {after.dataset_type}, the dataset for {row['type']}")
    if old.get("domain") != new.get("domain"):
        raise Invalid("The new schema has to be of the same domain as the old one")
    if not has_rows:
        return
    known = {column.name: column for column in before.columns}
    for column in after.columns:
        held = known.get(column.name)
        if held is not None and held.type != column.type:
            raise Invalid(
                f"The column {column.name} has type {held.type} in the rows that are there; "
                f"the new schema says {column.type}"
            )
        if held is None and not column.nullable:
            raise Invalid(
                f"The new column {column.name} has to allow null: "
                f"the rows that are there do not have it"
            )


def _refuse_busy(conn: Connection, row: records.Row) -> None:
    arn = row["arn"]
    imports = sa.select(learn_import_jobs.c.arn).where(
        learn_import_jobs.c.dataset_arn == arn, learn_import_jobs.c.status.in_(records.BUSY)
    )
    records.refuse_while(conn, imports, f"The dataset {arn} is being imported into")
    versions = sa.select(learn_solution_versions.c.arn).where(
        learn_solution_versions.c.group_arn == row["group_arn"],
        learn_solution_versions.c.status.in_(records.BUSY),
    )
    records.refuse_while(conn, versions, f"The dataset {arn} is being trained on")
