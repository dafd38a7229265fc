"""Recommenders train anew every few days (the service: 7) when something came in since.

The old model answers until the new one is there; a training that fails leaves the old one.
Source: Personalize developer guide, "Domain recommenders", automatic training.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.learn import artifacts, automatic_updates, records, tags, training
from tailorbird.learn.autotraining import AUTOMATIC
from tailorbird.learn.room import Learn
from tailorbird.learn.schedules import DAY_SECONDS
from tailorbird.learn.tables import learn_recommenders, learn_solution_versions
from tailorbird.store import Job, Later

KIND = "learn.retrain"
QUEUE = "learn"
WAIT_SECONDS = 60.0  # while a training of it is under way


def begin(room: Learn, conn: Connection, arn: str) -> None:
    """The job that trains a recommender again; none where the setting turns that off."""
    days = room.settings.learn_recommender_days
    if days > 0:
        due = room.clock.now() + days * DAY_SECONDS
        room.jobs.enqueue(conn, KIND, {"arn": arn}, queue=QUEUE, due=due)


def run(room: Learn, job: Job) -> None:
    """The job: train where something is new, and come back for the next time."""
    table, days = learn_recommenders, room.settings.learn_recommender_days
    dropped: list[str] = []
    with room.db.write() as conn:
        query = sa.select(table).where(table.c.arn == job.payload["arn"])
        row = conn.execute(query).mappings().first()
        if row is None or days <= 0:
            job.finish(conn)
            return
        versions = _versions(conn, row["arn"])
        if any(one["status"] in records.BUSY for one in versions):
            raise Later(WAIT_SECONDS)
        trained = max((one["created"] for one in versions), default=0.0)
        if automatic_updates.newest(conn, row["group_arn"]) > trained:
            dropped = _drop_old(conn, versions, row["version_arn"])
            caller = Caller(row["account"], row["region"], "", "", "")
            training.begin(room, conn, caller, row, {"trainingType": AUTOMATIC})
    for uri in dropped:
        artifacts.drop(room.objects, uri)
    raise Later(days * DAY_SECONDS)


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    """One time that failed does not end the schedule."""
    begin(room, conn, job.payload["arn"])


def _versions(conn: Connection, arn: str) -> list[records.Row]:
    table = learn_solution_versions
    query = sa.select(table).where(table.c.solution_arn == arn)
    return list(conn.execute(query).mappings())


def _drop_old(conn: Connection, versions: list[records.Row], serving: str | None) -> list[str]:
    """Versions that serve no more are gone; the addresses of their models."""
    old = [one for one in versions if one["arn"] != serving]
    for one in old:
        records.remove(conn, learn_solution_versions, one["arn"])
        tags.drop(conn, one["arn"])
    return [one["artifact"] for one in old if one["artifact"]]
