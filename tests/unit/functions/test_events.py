"""Asynchronous invocations: accepted durably, delivered from the job table, retried, given up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailorbird.errors import TooLarge
from tailorbird.functions import Functions, invocations
from tailorbird.store import Job
from tests.unit.functions.conftest import OWNER, Workshop


def accept(room: Functions, name: str, event: Any) -> dict[str, Any]:
    request = {
        "FunctionName": name,
        "InvocationType": "Event",
        "Payload": json.dumps(event).encode(),
    }
    return invocations.invoke_function(room, OWNER, request)


def deliver(room: Functions) -> list[Job]:
    """Do every job that is due, as a worker would."""
    kinds = invocations.job_kinds(room)
    jobs = list(room.jobs.claim(["functions"], "test|1|1:functions-0", 10))
    for job in jobs:
        kinds[job.kind].run(job)
    return jobs


def test_an_event_is_answered_202_and_delivered_once(room: Functions):
    workshop = Workshop(room)
    name = workshop.create("def handler(event, context): return event['n']")
    assert accept(room, name, {"n": 7}) == {"StatusCode": 202}
    [job] = deliver(room)
    assert room.jobs.get(job.id)["result"] == {"error": None, "payload": "7", "attempt": 0}
    assert deliver(room) == []


def test_a_function_error_is_tried_twice_more_after_one_and_two_minutes(room: Functions):
    workshop = Workshop(room)
    name = workshop.create("def handler(event, context): raise ValueError('no')")
    accept(room, name, {})
    waits = []
    for _ in range(3):
        [job] = deliver(room)
        waiting = [row for row in room.jobs.list(state="ready") if row["kind"] == job.kind]
        if waiting:
            waits.append(round((waiting[0]["due"] - room.clock.now()) / 60))
            with room.db.write() as conn:
                conn.exec_driver_sql(
                    room.db.sql("UPDATE store_jobs SET due = ? WHERE id = ?"), (0, waiting[0]["id"])
                )
    assert waits == [1, 2]
    assert deliver(room) == []
    assert room.jobs.get(job.id)["result"]["error"] == "Unhandled"


def test_an_event_over_1_mb_is_refused(room: Functions):
    workshop = Workshop(room)
    name = workshop.create("def handler(event, context): pass")
    with pytest.raises(TooLarge, match="limit 1048576 bytes"):
        accept(room, name, "x" * 1_048_576)


def test_a_dry_run_asks_only_whether_it_may(room: Functions):
    name = Workshop(room).create("def handler(event, context): pass")
    request = {"FunctionName": name, "InvocationType": "DryRun"}
    assert invocations.invoke_function(room, OWNER, request) == {"StatusCode": 204}
