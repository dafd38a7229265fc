"""Automatic training: a solution's versions on a schedule, as jobs.

Every `rate(N days)`, the first an hour after the solution; passed over while nothing new came in
or when a version was started by hand meanwhile.
Source: Personalize developer guide, "Configuring automatic training".
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.learn import records, schedules, training
from tailorbird.learn.room import Learn
from tailorbird.learn.schedules import CHAIN, DAY_SECONDS, FIRST_SECONDS, KIND, QUEUE
from tailorbird.learn.tables import (
    learn_datasets,
    learn_events,
    learn_parts,
    learn_solution_versions,
    learn_solutions,
)
from tailorbird.store import Job

AUTOMATIC = "AUTOMATIC"
__all__ = ["KIND", "QUEUE", "failed", "run"]


def run(room: Learn, job: Job) -> None:
    """The job: train when there is something new, and wait for the next time."""
    arn, chain = job.payload["arn"], job.payload["chain"]
    with room.db.write() as conn:
        table = learn_solutions
        row = conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()
        if row is None or row["definition"].get(CHAIN) != chain:
            job.finish(conn)
            return
        if _due(room, conn, row):
            caller = Caller(row["account"], row["region"], "", "", "")
            training.begin(room, conn, caller, row, {"trainingType": AUTOMATIC})
        schedules.enqueue(room, conn, arn, chain, schedules.days(row["definition"]) * DAY_SECONDS)
        job.finish(conn)


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    """One time that failed does not end the schedule."""
    schedules.enqueue(room, conn, job.payload["arn"], job.payload["chain"], DAY_SECONDS)


def _due(room: Learn, conn: Connection, row: records.Row) -> bool:
    """Interactions are there that the newest version has not seen, and nobody just trained."""
    versions = learn_solution_versions.c
    query = sa.select(sa.func.max(versions.created)).where(versions.solution_arn == row["arn"])
    newest = conn.execute(query).scalar() or 0.0
    if newest > room.clock.now() - FIRST_SECONDS:
        return False
    imported = (
        sa.select(sa.func.max(learn_parts.c.created))
        .join(learn_datasets, learn_datasets.c.arn == learn_parts.c.dataset_arn)
        .where(learn_datasets.c.group_arn == row["group_arn"])
    )
    live = sa.select(sa.func.max(learn_events.c.received)).where(
        learn_events.c.group_arn == row["group_arn"]
    )
    return any((conn.execute(one).scalar() or 0.0) > newest for one in (imported, live))
