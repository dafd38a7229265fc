"""Batches in the air: begun by one stretch of a run after the other, written down together."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tailorbird.engage import Engage, campaign_run, measure_tables, stretch, tables
from tailorbird.engage.bulk import Bulk
from tailorbird.engage.flight import turn
from tests.unit.engage.conftest import put
from tests.unit.engage.test_campaign_run import activity, campaign

NAMES = Bulk("engage_attribute_names", {"app": "bigint", "part": "text", "name": "text"})


def claimed(room: Engage) -> Any:
    (job,) = room.jobs.claim(["engage"], "test")
    return job


def test_batches_that_are_done_together_are_written_down_together(
    engage: Engage, app_id: str
) -> None:
    for part in range(4):
        put(engage, app_id, *({"Id": f"e{n}"} for n in range(part * 100, part * 100 + 100)))
    made = campaign(engage, app_id)
    campaign_run.start(engage, claimed(engage))
    stretch.work(engage, claimed(engage))
    assert activity(engage, made)["SuccessfulEndpointCount"] == 400
    c = measure_tables.counts.c
    with engage.db.read() as conn:
        transactions = conn.scalar(sa.select(sa.func.count()).where(c.measure == "sent"))
        batches = conn.scalar(sa.select(sa.func.count()).select_from(tables.batches))
    assert batches == 8
    assert transactions is not None and transactions < batches


def test_stretches_of_a_run_begin_their_batches_one_after_the_other(engage: Engage) -> None:
    with turn(engage, 1) as mine, turn(engage, 2):
        lock = engage.turns[1]
        assert not lock.acquire(blocking=False)
        mine.over()  # all are begun, though not all have come in
        assert lock.acquire(blocking=False)
        lock.release()
    assert lock.acquire(blocking=False)


@pytest.mark.parametrize("count", [0, 1, 50, 121])
def test_any_number_of_rows_is_written(engage: Engage, count: int) -> None:
    rows = [(1, "Attributes", f"name {n:03}") for n in range(count)]
    with engage.db.write() as conn:
        NAMES.run(engage.db, conn, rows)
        found = conn.exec_driver_sql("SELECT app, part, name FROM engage_attribute_names")
        assert sorted(map(tuple, found)) == rows
