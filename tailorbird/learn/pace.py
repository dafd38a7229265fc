"""The service's own pace, for who wants to rehearse it: nothing is ACTIVE at once.

Off by default. `learn_realistic_timing` is a share of the service's time: 1 waits as long as it
does, 0.01 a hundredth. Sources: times saved in AWS's notebooks; the waits its samples plan for.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.learn.room import Learn
from tailorbird.store import Job, Later, metadata

KIND = "learn.settle"
QUEUE = "learn"
PENDING, IN_PROGRESS, ACTIVE = "CREATE PENDING", "CREATE IN_PROGRESS", "ACTIVE"
DELETING = "DELETE IN_PROGRESS"
DELETED_SHOWN_SECONDS = 5.0
PENDING_SHARE = 0.2  # of the wait
SECONDS = {
    "dataset group": 15.0,
    "dataset": 15.0,
    "solution": 1.0,
    "event tracker": 15.0,
    "filter": 60.0,
    "campaign": 600.0,
    "metric attribution": 60.0,
    "dataset import job": 900.0,
    "dataset export job": 300.0,
    "data deletion job": 900.0,
    "solution version": 1_200.0,
    "batch inference job": 480.0,
    "batch segment job": 480.0,
}


def wait(room: Learn, what: str) -> float:
    """Seconds a new thing of this kind takes here beside its own work."""
    return SECONDS.get(what, 0.0) * max(room.settings.learn_realistic_timing, 0.0)


def due(room: Learn, what: str) -> float | None:
    """When the work of a new job may begin; None for now."""
    seconds = wait(room, what)
    return room.clock.now() + seconds if seconds else None


def first_status(room: Learn, conn: Connection, table: str, arn: str, what: str) -> str:
    """The status a thing that needs no work begins with; the job that makes it ACTIVE."""
    seconds = wait(room, what)
    if not seconds:
        return ACTIVE
    payload = {"table": table, "arn": arn, "seconds": seconds}
    when = room.clock.now() + PENDING_SHARE * seconds
    room.jobs.enqueue(conn, KIND, payload, queue=QUEUE, due=when)
    return PENDING


def forget(room: Learn, conn: Connection, table: sa.Table, arn: str) -> None:
    """A thing just deleted: described as being deleted for a few seconds, then gone."""
    now = room.clock.now()
    shown = sa.update(table).where(table.c.arn == arn).values(status=DELETING, updated=now)
    conn.execute(shown)
    payload = {"table": table.name, "arn": arn}
    room.jobs.enqueue(conn, KIND, payload, queue=QUEUE, due=now + DELETED_SHOWN_SECONDS)


def run(room: Learn, job: Job) -> None:
    """The job: PENDING to IN_PROGRESS, and after the rest of the wait to ACTIVE; DELETE to gone."""
    table = metadata.tables[job.payload["table"]]
    with room.db.write() as conn:
        of_arn = table.c.arn == job.payload["arn"]
        status = conn.execute(sa.select(table.c.status).where(of_arn)).scalar()
        if status == DELETING:
            conn.execute(sa.delete(table).where(of_arn))
        if status not in (PENDING, IN_PROGRESS):
            job.finish(conn)
            return
        new = IN_PROGRESS if status == PENDING else ACTIVE
        changed = sa.update(table).where(of_arn).values(status=new, updated=room.clock.now())
        conn.execute(changed)
        if new == ACTIVE:
            job.finish(conn)
            return
    raise Later((1 - PENDING_SHARE) * job.payload["seconds"])


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    table = metadata.tables[job.payload["table"]]
    of_arn = sa.and_(table.c.arn == job.payload["arn"], table.c.status != DELETING)
    conn.execute(sa.update(table).where(of_arn).values(status="CREATE FAILED", failure=reason))
