"""Leased jobs: background work that survives its worker.

A claim takes a job for a lease; a heartbeat renews it; `finish` is fenced by worker and attempt,
so a worker that lost its lease changes nothing. A job that is run again must find what the first
run committed and go on from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.clock import Clock
from tailorbird.errors import NotFound
from tailorbird.store.database import Database, Document, Serial, insert, metadata
from tailorbird.store.processes import is_dead

READY, RUNNING, DONE, FAILED = 0, 1, 2, 3
STATES = {READY: "ready", RUNNING: "running", DONE: "done", FAILED: "failed"}
PROGRESS_EVERY_SECONDS = 0.5


jobs_table = sa.Table(
    "store_jobs",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, unique=True),
    sa.Column("payload", Document, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("due", sa.Double, nullable=False),
    sa.Column("worker", sa.Text),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("done", sa.BigInteger),
    sa.Column("total", sa.BigInteger),
    sa.Column("unit", sa.Text),
    sa.Column("result", Document),
    sa.Column("error", sa.Text),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("finished", sa.Double),
    sa.Index(
        "ix_store_jobs_open",
        "queue",
        "due",
        "id",
        sqlite_where=sa.text("state < 2"),
        postgresql_where=sa.text("state < 2"),
    ),
)


class LeaseLost(Exception):
    """Another worker has this job now; whatever was about to be committed must not be."""


class Later(Exception):
    """Raised by a job that wants to be run again after `seconds`, without counting as a failure."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Kind:
    """What a kind of job does, and what its domain says when it failed for good."""

    run: Callable[[Job], None]
    failed: Callable[[Connection, Job, str], None] | None = None
    queue: str = "default"


@dataclass
class Job:
    """One claimed job in the hands of its worker."""

    id: int
    kind: str
    payload: dict[str, Any]
    attempt: int
    max_attempts: int
    key: str | None
    worker: str
    started: float
    jobs: Jobs = field(repr=False)
    lost: threading.Event = field(default_factory=threading.Event, repr=False)
    finished: bool = False
    _last_progress: float = 0.0

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """Show how far the work is, at most twice a second; LeaseLost when it was taken over."""
        if self.lost.is_set():
            raise LeaseLost(self.id)
        now = time.monotonic()
        if done != total and now - self._last_progress < PROGRESS_EVERY_SECONDS:
            return
        self._last_progress = now
        self.jobs.show(self, done, total, unit)

    def finish(self, conn: Connection, result: dict[str, Any] | None = None) -> None:
        """Mark it done inside the caller's last transaction; LeaseLost rolls that back."""
        self.jobs.finish(conn, self, result)
        self.finished = True


class Jobs:
    """The job table."""

    def __init__(self, db: Database, clock: Clock, lease_seconds: float = 60.0) -> None:
        self.db = db
        self.clock = clock
        self.lease_seconds = lease_seconds
        self.wake = threading.Condition()

    def enqueue(
        self,
        conn: Connection,
        kind: str,
        payload: Mapping[str, Any],
        *,
        queue: str = "default",
        key: str | None = None,
        due: float | None = None,
        max_attempts: int = 5,
    ) -> int | None:
        """Add a job to the caller's transaction; its id, or None when the key is taken."""
        now = self.clock.now()
        row = {
            "queue": queue,
            "kind": kind,
            "key": key,
            "payload": dict(payload),
            "state": READY,
            "due": now if due is None else due,
            "attempt": 0,
            "max_attempts": max_attempts,
            "created": now,
        }
        statement = insert(self.db, jobs_table).values(row).on_conflict_do_nothing()
        job_id = conn.execute(statement.returning(jobs_table.c.id)).scalar()
        self.nudge()
        return job_id

    def nudge(self) -> None:
        """Tell this process's idle workers to look again (they also poll)."""
        with self.wake:
            self.wake.notify_all()

    def cancel(self, conn: Connection, key: str) -> bool:
        """Drop a job that has not started; False when there is none waiting."""
        gone = sa.delete(jobs_table).where(jobs_table.c.key == key, jobs_table.c.state == READY)
        return conn.execute(gone).rowcount > 0

    def get(self, job_id: int) -> dict[str, Any]:
        with self.db.read() as conn:
            row = (
                conn.execute(sa.select(jobs_table).where(jobs_table.c.id == job_id))
                .mappings()
                .first()
            )
        if row is None:
            raise NotFound(f"There is no job {job_id}")
        return _show(row)

    def list(
        self, kind: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Newest first, as the console and the API show them."""
        query = sa.select(jobs_table).order_by(jobs_table.c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(jobs_table.c.kind == kind)
        if state is not None:
            query = query.where(jobs_table.c.state == _state_number(state))
        with self.db.read() as conn:
            return [_show(row) for row in conn.execute(query).mappings()]

    def claim(self, queues: Iterable[str], worker: str, count: int = 1) -> Sequence[Job]:
        """Take up to `count` due jobs for a lease, the longest due first."""
        names = list(queues)
        marks = ", ".join("?" * len(names))
        skip = " FOR UPDATE SKIP LOCKED" if self.db.dialect == "postgresql" else ""
        now = self.clock.now()
        text = self.db.sql(  # only the number of ? varies
            "UPDATE store_jobs SET state = 1, due = ?, worker = ?, attempt = attempt + 1,"
            " started = COALESCE(started, ?) WHERE id IN (SELECT id FROM store_jobs"
            f" WHERE state < 2 AND queue IN ({marks}) AND due <= ? ORDER BY due, id LIMIT ?{skip})"
            " RETURNING id, kind, payload, attempt, max_attempts, key"
        )
        values = (now + self.lease_seconds, worker, now, *names, now, count)
        with self.db.write() as conn:
            rows = conn.exec_driver_sql(text, values).fetchall()
        return [
            Job(row[0], row[1], self.db.load(row[2]), row[3], row[4], row[5], worker, now, self)
            for row in rows
        ]

    def heartbeat(self, job: Job) -> bool:
        """Renew the lease; False (and `job.lost`) when another worker has it."""
        with self.db.write() as conn:
            held = (
                conn.execute(_held(job).values(due=self.clock.now() + self.lease_seconds)).rowcount
                == 1
            )
        if not held:
            job.lost.set()
        return held

    def show(self, job: Job, done: int, total: int | None, unit: str) -> None:
        with self.db.write() as conn:
            held = conn.execute(_held(job).values(done=done, total=total, unit=unit)).rowcount == 1
        if not held:
            job.lost.set()
            raise LeaseLost(job.id)

    def finish(self, conn: Connection, job: Job, result: dict[str, Any] | None) -> None:
        values = {"state": DONE, "result": result, "error": None, "finished": self.clock.now()}
        self._close(conn, job, values)

    def retry(self, job: Job, error: str, seconds: float, *, counts: bool = True) -> None:
        """Give it back for a later attempt."""
        values: dict[str, Any] = {
            "state": READY,
            "due": self.clock.now() + seconds,
            "error": error or None,
        }
        if not counts:
            values["attempt"] = job.attempt - 1
        with self.db.write() as conn:
            self._close(conn, job, values)

    def fail(
        self, job: Job, error: str, failed: Callable[[Connection, Job, str], None] | None
    ) -> None:
        """End it for good and let its domain say so, in one transaction."""
        with self.db.write() as conn:
            self._close(conn, job, {"state": FAILED, "error": error, "finished": self.clock.now()})
            if failed is not None:
                failed(conn, job, error)

    def shift_leases(self, seconds: float) -> None:
        """Keep the leases of running jobs when the (test) clock is moved."""
        c = jobs_table.c
        with self.db.write() as conn:
            running = sa.update(jobs_table).where(c.state == RUNNING)
            conn.execute(running.values(due=c.due + seconds))
        self.nudge()

    def release_dead(self) -> int:
        """Free the jobs of this machine's dead processes without waiting for their lease."""
        with self.db.write() as conn:
            running = sa.select(jobs_table.c.worker).where(jobs_table.c.state == RUNNING).distinct()
            gone = [w for w in conn.execute(running).scalars() if w and is_dead(w)]
            freed = sa.update(jobs_table).where(
                jobs_table.c.state == RUNNING, jobs_table.c.worker.in_(gone)
            )
            return conn.execute(freed.values(due=self.clock.now())).rowcount if gone else 0

    @staticmethod
    def _close(conn: Connection, job: Job, values: dict[str, Any]) -> None:
        if conn.execute(_held(job).values(**values)).rowcount != 1:
            job.lost.set()
            raise LeaseLost(job.id)


def _held(job: Job) -> sa.Update:
    c = jobs_table.c
    mine = (c.id == job.id, c.worker == job.worker, c.attempt == job.attempt, c.state == RUNNING)
    return sa.update(jobs_table).where(*mine)


def _state_number(name: str) -> int:
    return next(number for number, text in STATES.items() if text == name)


def _show(row: Any) -> dict[str, Any]:
    return {**row, "state": STATES[row["state"]]}
