"""Dataset import jobs: CSV files into one immutable part; a dataset changes in one step or not.

FULL replaces what earlier imports brought; live events stay. INCREMENTAL adds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid, LimitExceeded
from tailorbird.learn import attribution_reports, child, locations, pace, parts, records
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_datasets,
    learn_import_jobs,
    learn_parts,
    learn_schemas,
)
from tailorbird.store import Job

KIND = "learn.import"
QUEUE = "learn"
FULL, INCREMENTAL = "FULL", "INCREMENTAL"
ATTEMPTS = 3


def create_dataset_import_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Start an import; the job is PENDING until a worker takes it."""
    where = request["dataSource"].get("dataLocation")
    if not where:
        raise Invalid("dataSource.dataLocation is missing; s3://bucket/key is right")
    locations.check(room, where)
    arn = records.arn_of(caller, f"dataset-import-job/{request['jobName']}")
    dataset_arn = request["datasetArn"]
    with room.db.write() as conn:
        records.active(conn, learn_datasets, caller, dataset_arn, "dataset")
        _check_quota(room, conn, caller)
        if request.get("importMode") == INCREMENTAL and not _has_parts(conn, dataset_arn):
            raise Invalid(f"The first import into {dataset_arn} must be FULL, not INCREMENTAL")
        records.add(
            room,
            conn,
            learn_import_jobs,
            caller,
            "dataset import job",
            arn=arn,
            name=request["jobName"],
            status=records.PENDING,
            definition=request,
            dataset_arn=dataset_arn,
        )
        due = pace.due(room, "dataset import job")
        room.jobs.enqueue(conn, KIND, {"arn": arn}, queue=QUEUE, max_attempts=ATTEMPTS, due=due)
    return {"datasetImportJobArn": arn}


def describe_dataset_import_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    arn = request["datasetImportJobArn"]
    with room.db.read() as conn:
        row = records.find(conn, learn_import_jobs, caller, arn, "dataset import job")
    more = records.given(row, "dataSource", "roleArn", "publishAttributionMetricsToS3")
    return {"datasetImportJob": _summary(row) | {"datasetArn": row["dataset_arn"]} | more}


def list_dataset_import_jobs(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """All import jobs, or those of a dataset."""
    dataset = request.get("datasetArn")
    where = () if dataset is None else (learn_import_jobs.c.dataset_arn == dataset,)
    return records.page(
        room, learn_import_jobs, caller, request, "datasetImportJobs", _summary, *where
    )


def report(room: Learn, arn: str) -> dict[str, Any]:
    """What an import saw: rows, rejected rows by reason, the first with line, field and text."""
    with room.db.read() as conn:
        query = sa.select(learn_import_jobs.c.report).where(learn_import_jobs.c.arn == arn)
        return conn.execute(query).scalar() or {}


def run(room: Learn, job: Job) -> None:
    """The job: read the files in a child process, keep the part, then swap it in."""
    arn = job.payload["arn"]
    row, dataset, schema = _begin(room, arn)
    definition = row["definition"]
    uri = f"s3://{room.settings.learn_bucket}/parts/{job.id}.npz"
    with (
        tempfile.TemporaryDirectory(prefix="tailorbird-import-") as folder,
        locations.sources(room, definition["dataSource"]["dataLocation"]) as sources,
    ):
        out, rejected = Path(folder) / "part.npz", Path(folder) / "rejected.csv"
        total = sum(path.stat().st_size for _, path in sources)
        spec = {
            "files": [(name, str(path)) for name, path in sources],
            "schema": schema["definition"]["schema"],
            "domain": schema["definition"].get("domain"),
            "out": str(out),
            "rejected": str(rejected),
            "keep_good_rows": room.settings.learn_import_bad_rows == "skip",
            "blank_cells": room.settings.learn_import_bad_numbers == "blank",
        }
        before: dict[str, int] = {"file": 0, "last": 0}

        def said(progress: dict[str, Any]) -> None:
            if progress["bytes"] < before["last"]:
                before["file"] += before["last"]
            before["last"] = progress["bytes"]
            job.progress(min(before["file"] + progress["bytes"], total), total, "bytes")

        result = child.run("import", spec, said, threads=1)
        if rejected.exists():
            result["rejectedRows"] = f"s3://{room.settings.learn_bucket}/rejected/{job.id}.csv"
            room.objects.put(result["rejectedRows"], rejected)
        _keep_report(room, arn, result)
        _refuse(room, dataset, result)
        room.objects.put(uri, out)
        if definition.get("publishAttributionMetricsToS3") and dataset["type"] == "INTERACTIONS":
            with room.db.read() as conn:
                part = parts.read(out)
                attribution_reports.publish_import(room, conn, dataset["arn"], part)
    _commit(room, job, row, uri, result)


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    records.change(
        room,
        conn,
        learn_import_jobs,
        job.payload["arn"],
        status=records.FAILED,
        failure=reason,
    )


def _begin(room: Learn, arn: str) -> tuple[records.Row, records.Row, records.Row]:
    """The import job, its dataset and its schema; the job is IN_PROGRESS from now on."""
    with room.db.write() as conn:
        row = _one(conn, learn_import_jobs, arn)
        dataset = _one(conn, learn_datasets, row["dataset_arn"])
        schema = _one(conn, learn_schemas, dataset["schema_arn"])
        records.change(room, conn, learn_import_jobs, arn, status=records.IN_PROGRESS)
    return row, dataset, schema


def _one(conn: Connection, table: sa.Table, arn: str) -> records.Row:
    row = conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()
    if row is None:
        raise Invalid(f"{arn} was deleted")
    return row


def _keep_report(room: Learn, arn: str, result: dict[str, Any]) -> None:
    with room.db.write() as conn:
        records.change(room, conn, learn_import_jobs, arn, report=result)


def _refuse(room: Learn, dataset: records.Row, result: dict[str, Any]) -> None:
    if not result["written"]:
        raise Invalid(_failure(dataset, result["reason"]))
    least = room.settings.learn_min_interactions
    if dataset["type"] == "INTERACTIONS" and result["rows"] < least:
        raise Invalid(
            _failure(
                dataset,
                f"The input has {result['rows']} rows; an import of interactions needs {least} "
                "(setting learn_min_interactions)",
            )
        )


def _failure(dataset: records.Row, reason: str) -> str:
    what = f"{dataset['type']} dataset {dataset['arn']}"
    return f"Failed to create a data import job for {what}: {reason}"


def _commit(room: Learn, job: Job, row: records.Row, uri: str, result: dict[str, Any]) -> None:
    """Swap the part in and end the job, in one transaction; then drop what was replaced."""
    old: list[str] = []
    dataset_arn = row["dataset_arn"]
    with room.db.write() as conn:
        _one(conn, learn_datasets, dataset_arn)
        if row["definition"].get("importMode", FULL) == FULL:
            gone = sa.delete(learn_parts).where(learn_parts.c.dataset_arn == dataset_arn)
            old = list(conn.execute(gone.returning(learn_parts.c.uri)).scalars())
        part = {
            "dataset_arn": dataset_arn,
            "job_arn": row["arn"],
            "uri": uri,
            "rows": result["rows"],
            "created": room.clock.now(),
        }
        conn.execute(sa.insert(learn_parts).values(part))
        records.change(
            room, conn, learn_import_jobs, row["arn"], status=records.ACTIVE, failure=None
        )
        job.finish(conn, {"rows": result["rows"], "rejected": result["rejected"]})
    for replaced in old:
        if replaced != uri:
            room.objects.delete(replaced)


def _has_parts(conn: Connection, dataset_arn: str) -> bool:
    query = sa.select(learn_parts.c.id).where(learn_parts.c.dataset_arn == dataset_arn)
    return conn.execute(query.limit(1)).scalar() is not None


def _check_quota(room: Learn, conn: Connection, caller: Caller) -> None:
    most = room.settings.learn_max_busy_imports
    query = (
        sa.select(sa.func.count())
        .select_from(learn_import_jobs)
        .where(
            learn_import_jobs.c.account == caller.account,
            learn_import_jobs.c.region == caller.region,
            learn_import_jobs.c.status.in_(records.BUSY),
        )
    )
    if most and conn.execute(query).scalar_one() >= most:
        raise LimitExceeded(
            f"More than {most} resources with PENDING or IN_PROGRESS status "
            "(setting learn_max_busy_imports)"
        )


def _summary(row: records.Row) -> dict[str, Any]:
    mode = {"importMode": row["definition"].get("importMode", FULL)}
    shown = {"datasetImportJobArn": row["arn"], "jobName": row["name"]}
    return shown | records.state(row) | records.times(row) | mode
