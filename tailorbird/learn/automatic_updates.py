"""Automatic updates: a deployed version learns what came in since, without a new version.

What the version chose is kept and fitted to the rows of today; its metrics stay. An update needs a
version that is deployed, the newest FULL one of its solution, and something new in the data.
Source: Personalize developer guide, "Automatic updates".
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.learn import artifacts, child, neural, records, training, update_schedule
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_action_events,
    learn_campaigns,
    learn_datasets,
    learn_deletion_jobs,
    learn_events,
    learn_parts,
    learn_recommenders,
    learn_records,
    learn_solution_versions,
)
from tailorbird.store import Job, Later

KIND, QUEUE = update_schedule.KIND, update_schedule.QUEUE
SETTLED_SECONDS = 5.0  # what a training leaves to serving
RETRY_SECONDS = 60.0
REFRESHED, REPLACED = "refreshed", "replaced"  # in a version's report


def run(room: Learn, job: Job) -> None:
    """The job of one version: update it where that is due, and come back for the next time."""
    arn = job.payload["arn"]
    with room.db.read() as conn:
        row = _version(conn, arn)
        wait = 0.0
        if row is not None and row["status"] == records.ACTIVE:
            wait = update_schedule.seconds(room, row["recipe_arn"], row["definition"])
        due = wait > 0 and row is not None and _due(conn, row)
    if row is None or wait <= 0:
        with room.db.write() as conn:
            job.finish(conn)
        return
    if due and not _refresh(room, job, row):
        raise Later(RETRY_SECONDS)
    raise Later(wait)


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    """An update that failed leaves the version as it is, and the next one is tried."""
    row = _version(conn, job.payload["arn"])
    if row is not None:
        update_schedule.begin(room, conn, row["arn"], row["recipe_arn"], row["definition"])


def newest(conn: Connection, group: str) -> float:
    """When something last came into a dataset group; imports are in the next training at once,
    single events and records when they have settled."""
    of_group = sa.select(learn_datasets.c.arn).where(learn_datasets.c.group_arn == group)
    parts = sa.select(sa.func.max(learn_parts.c.created)).where(
        learn_parts.c.dataset_arn.in_(of_group)
    )
    single = (
        sa.select(sa.func.max(learn_records.c.updated)).where(
            learn_records.c.dataset_arn.in_(of_group)
        ),
        sa.select(sa.func.max(learn_events.c.received)).where(learn_events.c.group_arn == group),
        sa.select(sa.func.max(learn_action_events.c.received)).where(
            learn_action_events.c.group_arn == group
        ),
    )
    settled = (conn.execute(one).scalar() or 0.0 for one in single)
    return max(conn.execute(parts).scalar() or 0.0, max(settled) + SETTLED_SECONDS)


def _refresh(room: Learn, job: Job, row: records.Row) -> bool:
    """Fit the version anew and swap its model; False when something came between."""
    began = room.clock.now()
    uri = f"s3://{room.settings.learn_bucket}/models/{job.id}-{began:.0f}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tailorbird-update-")))
        out = folder / "model"
        out.mkdir()
        spec = training.spec_of(room, stack, row, folder, row["artifact"]) | {"out": str(out)}
        spec["transformer"] = neural.spec(room, job.id, folder) | {"seconds": 0.0}

        def said(progress: dict[str, Any]) -> None:
            job.progress(progress["step"], None, "steps")

        child.run("train", spec, said, threads=spec["threads"])
        artifacts.store(room.objects, out, uri)
    table = learn_solution_versions
    with room.db.write() as conn:
        now = _version(conn, row["arn"])
        fits = now is not None and now["artifact"] == row["artifact"]
        swapped = fits and not _forgotten(conn, row["group_arn"], began)
        if swapped:
            report = {**(row["report"] or {}), REFRESHED: began, REPLACED: row["artifact"]}
            records.change(room, conn, table, row["arn"], artifact=uri, report=report)
    dropped = (row["report"] or {}).get(REPLACED) if swapped else uri
    if dropped:
        artifacts.drop(room.objects, dropped)
    return swapped


def _version(conn: Connection, arn: str) -> records.Row | None:
    table = learn_solution_versions
    return conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()


def _due(conn: Connection, row: records.Row) -> bool:
    """Deployed, the newest that was trained in full, and something is new."""
    since = (row["report"] or {}).get(REFRESHED) or row["created"]
    if newest(conn, row["group_arn"]) <= since or not _deployed(conn, row["arn"]):
        return False
    c = learn_solution_versions.c
    later = sa.select(c.definition).where(
        c.solution_arn == row["solution_arn"],
        c.created > row["created"],
        c.status == records.ACTIVE,
    )
    modes = [one.get("trainingMode", training.FULL) for one in conn.execute(later).scalars()]
    return training.FULL not in modes


def _deployed(conn: Connection, arn: str) -> bool:
    tables = (learn_campaigns, learn_recommenders)
    queries = (sa.select(one.c.arn).where(one.c.version_arn == arn).limit(1) for one in tables)
    return any(conn.execute(query).scalar() is not None for query in queries)


def _forgotten(conn: Connection, group: str, since: float) -> bool:
    """Whether users were deleted meanwhile, who are in the new model still."""
    c = learn_deletion_jobs.c
    query = sa.select(c.arn).where(c.group_arn == group, c.updated >= since)
    return conn.execute(query.limit(1)).scalar() is not None
