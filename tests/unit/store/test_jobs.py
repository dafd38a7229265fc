"""Background work survives its worker, and is done once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from tailorbird.clock import SystemClock, TestClock
from tailorbird.errors import Invalid
from tailorbird.store import Database, Job, Jobs, Kind, LeaseLost, Worker
from tests.conftest import wait_for

START = 1_000_000.0
LEASE = 60.0


@pytest.fixture
def time() -> TestClock:
    return TestClock(START)


@pytest.fixture
def jobs(db: Database, time: TestClock) -> Jobs:
    return Jobs(db, time, LEASE)


def add(jobs: Jobs, **options: object) -> int | None:
    with jobs.db.write() as conn:
        return jobs.enqueue(conn, "count", {"to": 3}, **options)  # type: ignore[arg-type]


def finish(job: Job) -> None:
    with job.jobs.db.write() as conn:
        job.finish(conn, {"counted": 3})


def test_a_claimed_job_is_nobody_elses(jobs: Jobs) -> None:
    add(jobs)
    assert [j.payload for j in jobs.claim(["default"], "a")] == [{"to": 3}]
    assert jobs.claim(["default"], "b") == []


def test_a_second_job_with_the_same_key_is_not_added(jobs: Jobs) -> None:
    assert add(jobs, key="once") is not None
    assert add(jobs, key="once") is None


def test_a_job_waits_until_it_is_due(jobs: Jobs, time: TestClock) -> None:
    add(jobs, due=START + 10)
    assert jobs.claim(["default"], "a") == []
    time.advance(10)
    assert len(jobs.claim(["default"], "a")) == 1


def test_jobs_of_another_queue_are_left_alone(jobs: Jobs) -> None:
    add(jobs, queue="training")
    assert jobs.claim(["default"], "a") == []


def test_the_job_of_a_silent_worker_is_taken_over_after_its_lease(
    jobs: Jobs, time: TestClock
) -> None:
    add(jobs)
    jobs.claim(["default"], "silent")
    time.advance(LEASE + 1)
    assert jobs.claim(["default"], "b")[0].attempt == 2


def test_a_heartbeat_keeps_the_lease(jobs: Jobs, time: TestClock) -> None:
    add(jobs)
    [job] = jobs.claim(["default"], "a")
    time.advance(LEASE - 1)
    assert jobs.heartbeat(job)
    time.advance(LEASE - 1)
    assert jobs.claim(["default"], "b") == []


def test_a_worker_that_lost_its_lease_commits_nothing(jobs: Jobs, time: TestClock) -> None:
    add(jobs)
    [late] = jobs.claim(["default"], "late")
    time.advance(LEASE + 1)
    [taken] = jobs.claim(["default"], "b")
    with pytest.raises(LeaseLost), jobs.db.write() as conn:
        jobs.enqueue(conn, "count", {}, key="half-written")
        late.finish(conn)
    finish(taken)
    assert [(row["key"], row["state"]) for row in jobs.list()] == [(None, "done")]


def test_a_cancelled_job_never_runs(jobs: Jobs) -> None:
    add(jobs, key="k")
    with jobs.db.write() as conn:
        assert jobs.cancel(conn, "k")
    assert jobs.claim(["default"], "a") == []


def test_a_finished_job_keeps_its_result(jobs: Jobs) -> None:
    job_id = add(jobs)
    finish(jobs.claim(["default"], "a")[0])
    assert job_id is not None
    row = jobs.get(job_id)
    assert (row["state"], row["result"]) == ("done", {"counted": 3})


def test_work_is_taken_over_from_a_process_that_died(jobs: Jobs) -> None:
    add(jobs)
    [job] = jobs.claim(["default"], "placeholder")
    with jobs.db.write() as conn:
        dead = f"{socket.gethostname()}|999999999|1:default-0"
        conn.exec_driver_sql(jobs.db.sql("UPDATE store_jobs SET worker = ?"), (dead,))
    assert jobs.release_dead() == 1
    assert jobs.claim(["default"], "b")[0].id == job.id


def run_with(
    db: Database, run: Callable[[Job], None], max_attempts: int = 2, **kind: object
) -> dict:
    """Let a real worker do one job and return its row."""
    jobs = Jobs(db, SystemClock(), LEASE)
    with db.write() as conn:
        job_id = jobs.enqueue(conn, "k", {}, max_attempts=max_attempts)
    assert job_id is not None
    worker = Worker(jobs, {"k": Kind(run, **kind)}, threads=1)  # type: ignore[arg-type]
    worker.start()
    try:
        wait_for(lambda: jobs.get(job_id)["state"] in ("done", "failed"))
    finally:
        worker.stop()
    return jobs.get(job_id)


def test_a_job_that_throws_is_tried_again(db: Database) -> None:
    tries = []

    def flaky(job: Job) -> None:
        tries.append(job.attempt)
        if job.attempt == 1:
            raise ConnectionError("away")

    assert run_with(db, flaky)["state"] == "done"
    assert tries == [1, 2]


def test_a_job_that_keeps_throwing_fails_with_its_reason_and_tells_its_domain(db: Database) -> None:
    told = []

    def broken(_job: Job) -> None:
        raise ConnectionError("away")

    row = run_with(db, broken, failed=lambda _conn, _job, reason: told.append(reason))
    assert (row["state"], row["error"], told) == ("failed", "ConnectionError: away", [row["error"]])


def test_a_refusal_is_not_tried_again(db: Database) -> None:
    def refused(_job: Job) -> None:
        raise Invalid("no such column")

    row = run_with(db, refused, max_attempts=5)
    assert (row["state"], row["attempt"], row["error"]) == ("failed", 1, "no such column")


def test_progress_can_be_read_while_the_job_runs(db: Database) -> None:
    shown, go_on = threading.Event(), threading.Event()
    seen = []

    def slow(job: Job) -> None:
        job.progress(5, 5, "rows")
        shown.set()
        go_on.wait(10)

    def look() -> None:
        shown.wait(10)
        [row] = Jobs(db, SystemClock()).list()
        seen.append((row["state"], row["done"], row["total"], row["unit"]))
        go_on.set()

    looker = threading.Thread(target=look)
    looker.start()
    run_with(db, slow)
    looker.join()
    assert seen == [("running", 5, 5, "rows")]


def test_two_workers_do_every_job_once(db: Database) -> None:
    jobs = Jobs(db, SystemClock(), LEASE)
    done: list[int] = []
    kinds = {"k": Kind(lambda job: done.append(job.id))}
    with db.write() as conn:
        ids = [jobs.enqueue(conn, "k", {}) for _ in range(60)]
    workers = [Worker(jobs, kinds, threads=3) for _ in range(2)]
    for worker in workers:
        worker.start()
    wait_for(lambda: all(row["state"] == "done" for row in jobs.list()))
    for worker in workers:
        worker.stop()
    assert sorted(done) == ids
