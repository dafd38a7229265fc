"""Workers: threads that claim jobs, keep leases, and turn what a job raises into its state."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

import sqlalchemy as sa

from tailorbird.errors import Denied, Invalid, NotBuilt, NotFound
from tailorbird.store.jobs import Job, Jobs, Kind, Later, LeaseLost
from tailorbird.store.processes import process_name

BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MAX_SECONDS = 300.0
POLL_SECONDS = 0.5
HOPELESS = (Invalid, NotFound, Denied, NotBuilt)

log = logging.getLogger("tailorbird.jobs")


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
