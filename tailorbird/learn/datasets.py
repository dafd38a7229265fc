"""Datasets: Interactions, Items, Users (and Actions) of a dataset group, each under a schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import AlreadyExists, Invalid
from tailorbird.learn import records, schemas
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_action_events,
    learn_dataset_groups,
    learn_datasets,
    learn_events,
    learn_import_jobs,
    learn_parts,
    learn_records,
    learn_schemas,
    learn_sessions,
    learn_solution_versions,
)

OF_ACTIONS = ("ACTIONS", "ACTION_INTERACTIONS")
TYPES = ("INTERACTIONS", "ITEMS", "USERS", "ACTIONS", "ACTION_INTERACTIONS")


def create_dataset(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """A new empty dataset, ACTIVE at once; a group has one of each type."""
    kind = dataset_type(request["datasetType"])
    group_arn, schema_arn = request["datasetGroupArn"], request["schemaArn"]
    with room.db.write() as conn:
        group = records.active(conn, learn_dataset_groups, caller, group_arn, "dataset group")
        schema = records.find(conn, learn_schemas, caller, schema_arn, "schema")
        parsed = schemas.parse(schema["definition"]["schema"], schema["definition"].get("domain"))
        if parsed.dataset_type != kind:
            raise Invalid(
                f"The schema {schema_arn} is for {parsed.dataset_type}, the dataset for {kind}"
            )
        _check_domain(group, schema)
        if kind in OF_ACTIONS and group["definition"].get("domain"):
            raise Invalid(
                f"A dataset group of a domain has no {kind} dataset; use one without domain"
            )
        arn = records.arn_of(caller, f"dataset/{group['name']}/{kind}")
        if _exists(conn, arn):
            raise AlreadyExists(f"The dataset group {group_arn} has a dataset of type {kind}")
        records.add(
            room,
            conn,
            learn_datasets,
            caller,
            "dataset",
            arn=arn,
            name=request["name"],
            status=records.ACTIVE,
            definition=request,
            group_arn=group_arn,
            type=kind,
            schema_arn=schema_arn,
            tracking_id=ids.uuid4() if kind == "ACTION_INTERACTIONS" else None,
        )
    return {"datasetArn": arn}


def describe_dataset(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        row = records.find(conn, learn_datasets, caller, request["datasetArn"], "dataset")
    shown = {"datasetGroupArn": row["group_arn"], "schemaArn": row["schema_arn"]}
    if row["tracking_id"] is not None:
        shown["trackingId"] = row["tracking_id"]
    if row["change"] is not None:
        shown["latestDatasetUpdate"] = row["change"]
    return {"dataset": _summary(row) | shown}


def list_datasets(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All datasets, or those of a group."""
    group = request.get("datasetGroupArn")
    where = () if group is None else (learn_datasets.c.group_arn == group,)
    return records.page(room, learn_datasets, caller, request, "datasets", _summary, *where)


def delete_dataset(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Gone with its data, unless an import or a training of its group is under way."""
    arn = request["datasetArn"]
    with room.db.write() as conn:
        row = records.deletable(conn, learn_datasets, caller, arn, "dataset")
        imports = sa.select(learn_import_jobs.c.arn).where(
            learn_import_jobs.c.dataset_arn == arn,
            learn_import_jobs.c.status.in_(records.BUSY),
        )
        records.refuse_while(conn, imports, f"The dataset {arn} is being imported into")
        versions = sa.select(learn_solution_versions.c.arn).where(
            learn_solution_versions.c.group_arn == row["group_arn"],
            learn_solution_versions.c.status.in_(records.BUSY),
        )
        records.refuse_while(conn, versions, f"The dataset {arn} is being trained on")
        parts = sa.delete(learn_parts).where(learn_parts.c.dataset_arn == arn)
        gone = conn.execute(parts.returning(learn_parts.c.uri)).scalars().all()
        conn.execute(sa.delete(learn_import_jobs).where(learn_import_jobs.c.dataset_arn == arn))
        conn.execute(sa.delete(learn_records).where(learn_records.c.dataset_arn == arn))
        if row["type"] == "INTERACTIONS":
            group = row["group_arn"]
            conn.execute(sa.delete(learn_events).where(learn_events.c.group_arn == group))
            conn.execute(sa.delete(learn_sessions).where(learn_sessions.c.group_arn == group))
        if row["type"] == "ACTION_INTERACTIONS":
            of_group = learn_action_events.c.group_arn == row["group_arn"]
            conn.execute(sa.delete(learn_action_events).where(of_group))
        records.remove(conn, learn_datasets, arn)
    for uri in gone:
        room.objects.delete(uri)


def dataset_type(given: str) -> str:
    """The type in capitals; Invalid when there is no such type."""
    kind = given.upper().replace("-", "_")
    if kind not in TYPES:
        raise Invalid(f"datasetType is {given!r}; one of {', '.join(TYPES)} is right")
    return kind


def schema_of(conn: Connection, group_arn: str, kind: str) -> schemas.Schema | None:
    """The schema of a group's dataset; None when there is no such dataset."""
    query = (
        sa.select(learn_schemas.c.definition)
        .join(learn_datasets, learn_datasets.c.schema_arn == learn_schemas.c.arn)
        .where(learn_datasets.c.group_arn == group_arn, learn_datasets.c.type == kind)
    )
    definition = conn.execute(query).scalar()
    if definition is None:
        return None
    return schemas.parse(definition["schema"], definition.get("domain"))


def _check_domain(group: records.Row, schema: records.Row) -> None:
    """A domain's dataset group takes schemas of that domain, any other those without."""
    wanted, given = group["definition"].get("domain"), schema["definition"].get("domain")
    if wanted != given:
        raise Invalid(
            f"The schema {schema['arn']} is of {given or 'no domain'}, the dataset group "
            f"{group['arn']} of {wanted or 'no domain'}; both have to be of the same"
        )


def columns_of(conn: Connection, group_arn: str, kind: str) -> set[str]:
    """The names of its columns; none when there is no such dataset."""
    found = schema_of(conn, group_arn, kind)
    return set() if found is None else {column.name for column in found.columns}


def _exists(conn: Connection, arn: str) -> bool:
    query = sa.select(learn_datasets.c.arn).where(learn_datasets.c.arn == arn)
    return conn.execute(query).scalar() is not None


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "datasetArn": row["arn"], "datasetType": row["type"]}
    return shown | records.state(row) | records.times(row)
