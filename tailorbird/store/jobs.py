"""Leased jobs: background work that survives its worker.

A claim takes a job for a lease; a heartbeat renews it; `finish` is fenced by worker and attempt,
so a worker that lost its lease changes nothing. A job that is run again must find what the first
run committed and go on from there.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.clock import Clock
from tailorbird.errors import Denied, Invalid, NotBuilt, NotFound
from tailorbird.store.database import Database, Document, Serial, insert, metadata

READY, RUNNING, DONE, FAILED = 0, 1, 2, 3
STATES = {READY: "ready", RUNNING: "running", DONE: "done", FAILED: "failed"}
BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MAX_SECONDS = 300.0
POLL_SECONDS = 0.5
PROGRESS_EVERY_SECONDS = 0.5
HOPELESS = (Invalid, NotFound, Denied, NotBuilt)

log = logging.getLogger("tailorbird.jobs")

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

    def release_dead(self) -> int:
        """Free the jobs of this machine's dead processes without waiting for their lease."""
        with self.db.write() as conn:
            running = sa.select(jobs_table.c.worker).where(jobs_table.c.state == RUNNING).distinct()
            gone = [w for w in conn.execute(running).scalars() if w and _is_dead(w)]
            freed = sa.update(jobs_table).where(
                jobs_table.c.state == RUNNING, jobs_table.c.worker.in_(gone)
            )
            return conn.execute(freed.values(due=self.clock.now())).rowcount if gone else 0

    @staticmethod
    def _close(conn: Connection, job: Job, values: dict[str, Any]) -> None:
        if conn.execute(_held(job).values(**values)).rowcount != 1:
            job.lost.set()
            raise LeaseLost(job.id)


class Worker:
    """Threads that run jobs of the given kinds until stopped."""

    def __init__(self, jobs: Jobs, kinds: Mapping[str, Kind], threads: int = 4) -> None:
        self.jobs = jobs
        self.kinds = dict(kinds)
        self.name = process_name()
        self._stop = threading.Event()
        self._running: dict[int, Job] = {}
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(
                target=self._work, args=(queue, n), name=f"job-{queue}-{n}", daemon=True
            )
            for queue in sorted({kind.queue for kind in self.kinds.values()})
            for n in range(threads)
        ]
        self._pulse = threading.Thread(target=self._beat, name="job-heartbeat", daemon=True)

    def start(self) -> None:
        freed = self.jobs.release_dead()
        if freed:
            log.info("going on with %d jobs of a process that died", freed)
        for thread in (*self._threads, self._pulse):
            thread.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Take no more jobs and wait for those running; what is cut off is taken over later."""
        self._stop.set()
        self.jobs.nudge()
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, queue: str, number: int) -> None:
        worker = f"{self.name}:{queue}-{number}"
        while not self._stop.is_set():
            try:
                claimed = self.jobs.claim([queue], worker)
            except sa.exc.OperationalError as error:  # the database is away: keep knocking
                log.warning("cannot claim jobs: %s", error.orig)
                self._stop.wait(2.0)
                continue
            for job in claimed:
                self._run(job)
            if not claimed:
                with self.jobs.wake:
                    self.jobs.wake.wait(POLL_SECONDS)

    def _run(self, job: Job) -> None:
        with self._lock:
            self._running[job.id] = job
        try:
            self._attempt(job)
        except LeaseLost:
            log.warning("job %d (%s) was taken over by another worker", job.id, job.kind)
        except sa.exc.OperationalError as error:
            log.warning(
                "job %d (%s): the database is away, its lease will run out: %s",
                job.id,
                job.kind,
                error.orig,
            )
        finally:
            with self._lock:
                self._running.pop(job.id, None)

    def _attempt(self, job: Job) -> None:
        kind = self.kinds.get(job.kind)
        if kind is None:
            self.jobs.fail(job, f"No worker knows jobs of kind {job.kind!r}", None)
            return
        try:
            kind.run(job)
            if not job.finished:
                with self.jobs.db.write() as conn:
                    job.finish(conn)
        except LeaseLost:
            raise
        except Later as later:
            self.jobs.retry(job, "", later.seconds, counts=False)
        except HOPELESS as error:
            self.jobs.fail(job, error.message, kind.failed)
        except Exception as error:  # noqa: BLE001 - the worker's rim: whatever a job throws becomes its state
            self._failed_attempt(job, kind, error)

    def _failed_attempt(self, job: Job, kind: Kind, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        if job.attempt >= job.max_attempts:
            log.error("job %d (%s) failed for good", job.id, job.kind, exc_info=error)
            self.jobs.fail(job, reason, kind.failed)
            return
        wait = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** (job.attempt - 1))
        log.warning(
            "job %d (%s) attempt %d: %s; again in %g s",
            job.id,
            job.kind,
            job.attempt,
            reason,
            wait,
            exc_info=error,
        )
        self.jobs.retry(job, reason, wait)

    def _beat(self) -> None:
        while not self._stop.wait(self.jobs.lease_seconds / 4):
            with self._lock:
                running = list(self._running.values())
            for job in running:
                try:
                    self.jobs.heartbeat(job)
                except sa.exc.OperationalError as error:
                    log.warning("no heartbeat for job %d: %s", job.id, error.orig)


def process_name() -> str:
    """`host|pid|start time`: enough to see on this machine whether the process still lives."""
    return f"{socket.gethostname()}|{os.getpid()}|{_start_time(os.getpid())}"


def _is_dead(worker: str) -> bool:
    host, pid, rest = [*worker.split("|"), "", ""][:3]
    started = rest.split(":")[0]
    return host == socket.gethostname() and pid.isdigit() and _start_time(int(pid)) != started


def _start_time(pid: int) -> str:
    """Start of a process in clock ticks (Linux): a reused pid is another process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "" if pid != os.getpid() else "alive"
    return stat.rpartition(")")[2].split()[19]


def _held(job: Job) -> sa.Update:
    c = jobs_table.c
    mine = (c.id == job.id, c.worker == job.worker, c.attempt == job.attempt, c.state == RUNNING)
    return sa.update(jobs_table).where(*mine)


def _state_number(name: str) -> int:
    return next(number for number, text in STATES.items() if text == name)


def _show(row: Any) -> dict[str, Any]:
    return {**row, "state": STATES[row["state"]]}
