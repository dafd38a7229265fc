"""The clock of tests and demos: moved by a file, for every process of a house."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tailorbird.clock import MovedClock, SystemClock
from tailorbird.store import Jobs
from tailorbird.store.database import Database
from tests.conftest import wait_for


def test_it_goes_on_from_where_it_was_moved_to(tmp_path: Path) -> None:
    one, other = MovedClock(tmp_path / "clock"), MovedClock(tmp_path / "clock")
    assert one.now() == pytest.approx(time.time(), abs=1)
    one.move(86_400)
    assert one.now() == pytest.approx(time.time() + 86_400, abs=1)
    wait_for(lambda: other.now() > time.time() + 86_000)
    other.move(-3_600)
    wait_for(lambda: one.now() < time.time() + 86_000)
    assert MovedClock(tmp_path / "clock").now() == pytest.approx(time.time() + 82_800, abs=1)


def test_running_jobs_keep_their_lease_when_it_is_moved(db: Database, clock: SystemClock) -> None:
    jobs = Jobs(db, clock, lease_seconds=5.0)
    with db.write() as conn:
        jobs.enqueue(conn, "one", {})
    (job,) = jobs.claim(["default"], "w")
    due = jobs.get(job.id)["due"]
    jobs.shift_leases(86_400)
    assert jobs.get(job.id)["due"] == due + 86_400
