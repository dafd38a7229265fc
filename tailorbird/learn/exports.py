"""Dataset export jobs: a dataset as CSV under the output path, exact duplicates once.

BULK is what imports brought, PUT (the default) what was put one by one, ALL both; of items and
users ALL keeps the newest record of each id.
Source: Personalize developer guide, "Exporting the training data in a dataset to Amazon S3".
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import pace, quotas, records, rows, schemas
from tailorbird.learn.room import Learn
from tailorbird.learn.rows import ALL, BULK, PUT, Cells
from tailorbird.learn.tables import learn_datasets, learn_export_jobs, learn_schemas
from tailorbird.store import Job, location

KIND = "learn.export"
QUEUE = "learn"
ATTEMPTS = 3
BY_ID = {"ITEMS": "ITEM_ID", "USERS": "USER_ID", "ACTIONS": "ACTION_ID"}
WHAT = "dataset export job"


def create_dataset_export_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Start an export; the job is PENDING until a worker takes it."""
    path = output_path(request)
    location(path)
    arn = records.arn_of(caller, f"dataset-export-job/{request['jobName']}")
    with room.db.write() as conn:
        dataset = records.active(conn, learn_datasets, caller, request["datasetArn"], "dataset")
        quotas.check_busy(room, conn, caller, learn_export_jobs)
        records.add(
            room,
            conn,
            learn_export_jobs,
            caller,
            WHAT,
            arn=arn,
            name=request["jobName"],
            status=records.PENDING,
            definition=request,
            dataset_arn=dataset["arn"],
        )
        due = pace.due(room, "dataset export job")
        room.jobs.enqueue(conn, KIND, {"arn": arn}, queue=QUEUE, max_attempts=ATTEMPTS, due=due)
    return {"datasetExportJobArn": arn}


def describe_dataset_export_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    with room.db.read() as conn:
        arn = request["datasetExportJobArn"]
        row = records.find(conn, learn_export_jobs, caller, arn, WHAT)
    more = records.given(row, "roleArn", "jobOutput")
    mode = row["definition"].get("ingestionMode", PUT)
    shown = {"datasetArn": row["dataset_arn"], "ingestionMode": mode}
    return {"datasetExportJob": _summary(row) | shown | more}


def list_dataset_export_jobs(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """All export jobs, or those of a dataset."""
    dataset = request.get("datasetArn")
    where = () if dataset is None else (learn_export_jobs.c.dataset_arn == dataset,)
    return records.page(
        room, learn_export_jobs, caller, request, "datasetExportJobs", _summary, *where
    )


def run(room: Learn, job: Job) -> None:
    """The job: write the file whole, then say ACTIVE."""
    arn = job.payload["arn"]
    with room.db.write() as conn:
        row = _one(conn, learn_export_jobs, arn)
        dataset = _one(conn, learn_datasets, row["dataset_arn"])
        schema_row = _one(conn, learn_schemas, dataset["schema_arn"])
        records.change(room, conn, learn_export_jobs, arn, status=records.IN_PROGRESS)
    definition = schema_row["definition"]
    schema = schemas.parse(definition["schema"], definition.get("domain"))
    uri = f"{output_path(row['definition']).rstrip('/')}/{row['name']}.csv"
    count = 0

    def counted(found: Iterable[Cells]) -> Iterator[Cells]:
        nonlocal count
        for one in found:
            count += 1
            if not count % 1_000:
                job.progress(count, None, "rows")
            yield one

    with room.db.read() as conn, tempfile.TemporaryDirectory(prefix="tailorbird-export-") as folder:
        mode = row["definition"].get("ingestionMode", PUT)
        found = _wanted(room, conn, dataset, schema, mode)
        header = [column.name for column in schema.columns]
        out = Path(folder) / "out.csv"
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(counted(_once(found)))
        room.objects.put(uri, out)
    report = {"uri": uri, "rows": count}
    with room.db.write() as conn:
        records.change(
            room, conn, learn_export_jobs, arn, status=records.ACTIVE, failure=None, report=report
        )
        job.finish(conn, report)


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    arn = job.payload["arn"]
    records.change(room, conn, learn_export_jobs, arn, status=records.FAILED, failure=reason)


def output_path(request: dict[str, Any]) -> str:
    path = ((request.get("jobOutput") or {}).get("s3DataDestination") or {}).get("path")
    if not path:
        raise Invalid("jobOutput.s3DataDestination.path is missing; s3://bucket/folder/ is right")
    return path


def _wanted(
    room: Learn, conn: Connection, dataset: records.Row, schema: schemas.Schema, mode: str
) -> Iterable[Cells]:
    imported = rows.bulk(room, conn, dataset["arn"], schema) if mode in (BULK, ALL) else iter(())
    live = _live(room, conn, dataset, schema) if mode in (PUT, ALL) else iter(())
    key = BY_ID.get(dataset["type"])
    if key is None:
        return (one for some in (imported, live) for one in some)
    place = [column.name for column in schema.columns].index(key)
    return {one[place]: one for some in (imported, live) for one in some}.values()


def _live(
    room: Learn, conn: Connection, dataset: records.Row, schema: schemas.Schema
) -> Iterator[Cells]:
    if dataset["type"] == "INTERACTIONS":
        return rows.put_events(conn, dataset["group_arn"], schema)
    if dataset["type"] == "ACTION_INTERACTIONS":
        return rows.put_action_events(conn, dataset["group_arn"], schema)
    key = BY_ID.get(dataset["type"])
    return rows.put_records(conn, dataset["arn"], schema, key) if key else iter(())


def _once(found: Iterable[Cells]) -> Iterator[Cells]:
    seen: set[bytes] = set()
    for cells in found:
        mark = blake2b("\0".join(cells).encode(), digest_size=16).digest()
        if mark not in seen:
            seen.add(mark)
            yield cells


def _one(conn: Connection, table: sa.Table, arn: str) -> records.Row:
    row = conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()
    if row is None:
        raise Invalid(f"{arn} was deleted")
    return row


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"datasetExportJobArn": row["arn"], "jobName": row["name"]}
    return shown | records.state(row) | records.times(row)
