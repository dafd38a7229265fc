"""Data deletion jobs: these users' rows and events are gone, and no model answers from them.

Imported parts and the histories inside trained models are written anew without the users and
swapped in, with the deletion of live events, in one transaction.
Source: Personalize developer guide, "Deleting users".
"""

from __future__ import annotations

import csv
import gzip
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import forgetting, locations, pace, parts, quotas, records, rows
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_action_events,
    learn_dataset_groups,
    learn_datasets,
    learn_deletion_jobs,
    learn_events,
    learn_import_jobs,
    learn_parts,
    learn_sessions,
    learn_solution_versions,
)
from tailorbird.store import Job, Later

KIND = "learn.delete_users"
QUEUE = "learn"
ATTEMPTS = 3
PENDING, IN_PROGRESS, COMPLETED, FAILED = "PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"
WAIT_SECONDS = 1.0
IDS_AT_ONCE = 500
HOLDS_USERS = ("INTERACTIONS", "USERS", "ACTION_INTERACTIONS")
WHAT = "data deletion job"
Swap = tuple[int, str, str, int]  # part, its object, the new object, rows left


def create_data_deletion_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Start a deletion; it waits for imports and trainings of the group that are under way."""
    where = request["dataSource"].get("dataLocation")
    if not where:
        raise Invalid("dataSource.dataLocation is missing; s3://bucket/key is right")
    locations.check(room, where)
    arn = records.arn_of(caller, f"data-deletion-job/{request['jobName']}")
    group = request["datasetGroupArn"]
    with room.db.write() as conn:
        records.active(conn, learn_dataset_groups, caller, group, "dataset group")
        quotas.check_busy(room, conn, caller, learn_deletion_jobs)
        records.add(
            room,
            conn,
            learn_deletion_jobs,
            caller,
            WHAT,
            arn=arn,
            name=request["jobName"],
            status=PENDING,
            definition=request,
            group_arn=group,
        )
        due = pace.due(room, "data deletion job")
        room.jobs.enqueue(conn, KIND, {"arn": arn}, queue=QUEUE, max_attempts=ATTEMPTS, due=due)
    return {"dataDeletionJobArn": arn}


def describe_data_deletion_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    arn = request["dataDeletionJobArn"]
    with room.db.read() as conn:
        row = records.find(conn, learn_deletion_jobs, caller, arn, WHAT)
    shown = _summary(row) | records.given(row, "dataSource", "roleArn")
    if row["report"] is not None:
        shown["numDeleted"] = row["report"]["records"]
    return {"dataDeletionJob": shown}


def list_data_deletion_jobs(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All deletion jobs, or those of a dataset group."""
    group = request.get("datasetGroupArn")
    where = () if group is None else (learn_deletion_jobs.c.group_arn == group,)
    return records.page(
        room, learn_deletion_jobs, caller, request, "dataDeletionJobs", _summary, *where
    )


def run(room: Learn, job: Job) -> None:
    """The job: write everything anew without the users, then swap it in as one."""
    arn = job.payload["arn"]
    with room.db.write() as conn:
        table = learn_deletion_jobs
        row = conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()
        if row is None:
            raise Invalid(f"{arn} was deleted")
        records.change(room, conn, table, arn, status=IN_PROGRESS)
        if _busy(conn, row["group_arn"]):
            raise Later(WAIT_SECONDS)
    with locations.sources(room, row["definition"]["dataSource"]["dataLocation"]) as sources:
        users = set(_users(sources))
    with room.db.read() as conn:
        held = _parts(conn, row["group_arn"])
        versions = _versions(conn, row["group_arn"])
    base = f"s3://{room.settings.learn_bucket}"
    swaps: list[Swap] = []
    removed = 0
    for n, (part_id, uri) in enumerate(held):
        job.progress(n, len(held) + len(versions), "files")
        new, count, left = _without(
            room, uri, users, f"{base}/parts/{job.id}-{job.attempt}-{n}.npz"
        )
        removed += count
        if new is not None:
            swaps.append((part_id, uri, new, left))
    models: list[tuple[str, str, str]] = []
    for n, (version, uri) in enumerate(versions):
        new = f"{base}/models/{job.id}-{job.attempt}-{n}"
        if forgetting.rewrite(room.objects, uri, users, new):
            models.append((version, uri, new))
    _commit(room, job, row, users, held, swaps, models, removed)
    for _, old, _, _ in swaps:
        room.objects.delete(old)
    for _, old, _ in models:
        forgetting.artifacts.drop(room.objects, old)


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    arn = job.payload["arn"]
    records.change(room, conn, learn_deletion_jobs, arn, status=FAILED, failure=reason)


def _commit(
    room: Learn,
    job: Job,
    row: records.Row,
    users: set[str],
    held: list[tuple[int, str]],
    swaps: list[Swap],
    models: list[tuple[str, str, str]],
    removed: int,
) -> None:
    with room.db.write() as conn:
        group = row["group_arn"]
        if _busy(conn, group) or _parts(conn, group) != held:
            raise Later(WAIT_SECONDS)
        for part_id, _, new, left in swaps:
            changed = sa.update(learn_parts).where(learn_parts.c.id == part_id)
            conn.execute(changed.values(uri=new, rows=left))
        for version, _, new in models:
            changed = sa.update(learn_solution_versions)
            changed = changed.where(learn_solution_versions.c.arn == version)
            conn.execute(changed.values(artifact=new))
        removed += _forget_events(conn, group, users)
        report = {"users": len(users), "records": removed}
        records.change(room, conn, learn_deletion_jobs, row["arn"], status=COMPLETED, report=report)
        job.finish(conn, report)


def _forget_events(conn: Connection, group: str, users: set[str]) -> int:
    """Delete their events and sessions; how many events there were."""
    count = 0
    everyone = sorted(users)
    for start in range(0, len(everyone), IDS_AT_ONCE):
        some = everyone[start : start + IDS_AT_ONCE]
        for table in (learn_events, learn_action_events):
            of_some = sa.and_(table.c.group_arn == group, table.c.person.in_(some))
            count += conn.execute(sa.delete(table).where(of_some)).rowcount
        sessions = sa.delete(learn_sessions).where(
            learn_sessions.c.group_arn == group, learn_sessions.c.user_id.in_(some)
        )
        conn.execute(sessions)
        count += rows.drop_records(conn, group, some)
    return count


def _without(room: Learn, uri: str, users: set[str], new: str) -> tuple[str | None, int, int]:
    """Write a part without the users; its address (None: none was in it), rows gone, rows left."""
    with room.objects.fetch(uri) as path:
        part = parts.read(path)
    if "USER_ID" not in part.strings:
        return None, 0, len(part)
    codes, names = part.strings["USER_ID"]
    gone = np.array([name in users for name in names] or [False])
    keep = ~gone[codes]
    if keep.all():
        return None, 0, len(part)
    with tempfile.TemporaryDirectory(prefix="tailorbird-delete-") as folder:
        out = Path(folder) / "part.npz"
        parts.write_rows(out, part, keep)
        room.objects.put(new, out)
    return new, int((~keep).sum()), int(keep.sum())


def _parts(conn: Connection, group: str) -> list[tuple[int, str]]:
    query = (
        sa.select(learn_parts.c.id, learn_parts.c.uri)
        .join(learn_datasets, learn_datasets.c.arn == learn_parts.c.dataset_arn)
        .where(learn_datasets.c.group_arn == group, learn_datasets.c.type.in_(HOLDS_USERS))
        .order_by(learn_parts.c.id)
    )
    return [(row[0], row[1]) for row in conn.execute(query)]


def _versions(conn: Connection, group: str) -> list[tuple[str, str]]:
    c = learn_solution_versions.c
    query = sa.select(c.arn, c.artifact).where(c.group_arn == group, c.artifact.is_not(None))
    return [(row[0], row[1]) for row in conn.execute(query.order_by(c.arn))]


def _busy(conn: Connection, group: str) -> bool:
    """Whether an import or a training of the group is under way."""
    c = learn_solution_versions.c
    training = sa.select(c.arn).where(c.group_arn == group, c.status.in_(records.BUSY[1:]))
    importing = (
        sa.select(learn_import_jobs.c.arn)
        .join(learn_datasets, learn_datasets.c.arn == learn_import_jobs.c.dataset_arn)
        .where(
            learn_datasets.c.group_arn == group,
            learn_import_jobs.c.status == records.IN_PROGRESS,
        )
    )
    return any(conn.execute(query.limit(1)).scalar() for query in (training, importing))


def _users(sources: Iterable[tuple[str, Path]]) -> Iterator[str]:
    """The ids of the USER_ID column; Invalid when a file has none."""
    for name, path in sources:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            try:
                raw = gzip.decompress(raw)
            except (EOFError, OSError, zlib.error) as error:
                raise Invalid(f"{name} is not whole gzip data: {error}") from None
        try:
            lines = list(csv.reader(raw.decode("utf-8-sig").splitlines()))
        except (UnicodeDecodeError, csv.Error) as error:
            raise Invalid(f"{name} is not a CSV in UTF-8: {error}") from None
        header = [cell.strip().upper() for cell in lines[0]] if lines else []
        if "USER_ID" not in header:
            raise Invalid(f"{name}: Input CSV is missing the following columns:[USER_ID].")
        place = header.index("USER_ID")
        for number, line in enumerate(lines[1:], start=2):
            if not line:
                continue
            if len(line) <= place or not line[place]:
                raise Invalid(f"{name}, line {number}: USER_ID is empty")
            if "\0" in line[place]:
                raise Invalid(f"{name}, line {number}: USER_ID holds the character NUL")
            yield line[place]


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"dataDeletionJobArn": row["arn"], "jobName": row["name"]}
    group = {"datasetGroupArn": row["group_arn"]}
    return shown | group | records.state(row) | records.times(row)
