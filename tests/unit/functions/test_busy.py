"""Reserved concurrency over several processes of one house."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tailorbird.errors import Throttled
from tailorbird.functions import Functions, concurrency
from tailorbird.functions.busy import Busy
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.resolve import FunctionVersion, resolve
from tailorbird.settings import Settings
from tailorbird.store import Database
from tailorbird.store.processes import process_name
from tests.unit.functions.conftest import ACCOUNT, OWNER, REGION, open_workshop
from tests.unit.functions.test_catalog import create
from tests.unit.functions.test_concurrency import reserve

HOOK = FunctionRef(ACCOUNT, REGION, "hook")
ELSEWHERE = "another-machine|7|1"
GONE = process_name().rpartition("|")[0] + "|1"  # this pid, but a process of long ago


@pytest.fixture
def other(db: Database, settings: Settings) -> Iterator[Functions]:
    """The same house, as a second process has it."""
    made = open_workshop(db, settings)
    yield made
    made.stop()


def version(room: Functions, reserved: int | None, timeout: int = 3) -> FunctionVersion:
    create(room, Timeout=timeout)
    if reserved is not None:
        reserve(room, reserved)
    return resolve(room, HOOK)[0]


def rows(room: Functions) -> list[Any]:
    with room.db.read() as conn:
        return conn.exec_driver_sql("SELECT worker, expires FROM functions_running").fetchall()


def leave(room: Functions, worker: str, expires: float) -> None:
    """What a process that ended in the middle leaves behind."""
    with room.db.write() as conn:
        conn.exec_driver_sql(
            room.db.sql("INSERT INTO functions_running VALUES (?, ?, ?, ?, ?, ?)"),
            ("left", ACCOUNT, REGION, "hook", worker, expires),
        )


def test_one_at_a_time_is_one_in_all_processes(room: Functions, other: Functions):
    one = version(room, 1)
    here, there = Busy(room), Busy(other)
    here.take(one)
    with pytest.raises(Throttled) as refused:
        there.take(one)
    assert refused.value.members == {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}
    here.give(HOOK.arn)
    there.take(one)
    with pytest.raises(Throttled):
        here.take(one)
    there.give(HOOK.arn)
    assert rows(room) == []


def test_who_did_not_reserve_writes_nothing(room: Functions):
    many, busy = version(room, None), Busy(room)
    busy.take(many)
    assert rows(room) == []
    busy.give(HOOK.arn)


@pytest.mark.parametrize(
    ("worker", "seconds", "free"),
    [(GONE, 600.0, True), (ELSEWHERE, -1.0, True), (ELSEWHERE, 600.0, False)],
    ids=["a process of this machine that died", "a row that expired", "a process elsewhere"],
)
def test_what_a_dead_process_held_is_free_again(
    room: Functions, worker: str, seconds: float, free: bool
):
    one = version(room, 1)
    leave(room, worker, room.clock.now() + seconds)
    if not free:
        with pytest.raises(Throttled):
            Busy(room).take(one)
        return
    Busy(room).take(one)
    assert len(rows(room)) == 1


def test_a_row_outlives_the_longest_invocation(room: Functions):
    Busy(room).take(version(room, 1, timeout=900))
    [(_, expires)] = rows(room)
    assert expires >= room.clock.now() + 900


def test_a_reservation_that_is_taken_away_leaves_no_rows(room: Functions):
    one, busy = version(room, 1), Busy(room)
    busy.take(one)
    concurrency.delete_function_concurrency(room, OWNER, {"FunctionName": "hook"})
    busy.give(HOOK.arn)
    assert rows(room) == []


def test_many_at_once_are_never_more_than_were_reserved(room: Functions, other: Functions):
    two = version(room, 2)
    houses, lock = [Busy(room), Busy(other)], threading.Lock()
    running = most = taken = 0

    def work(busy: Busy) -> None:
        nonlocal running, most, taken
        for _ in range(8):
            try:
                busy.take(two)
            except Throttled:
                continue
            with lock:
                running, taken = running + 1, taken + 1
                most = max(most, running)
            with lock:
                running -= 1
            busy.give(HOOK.arn)

    threads = [threading.Thread(target=work, args=(houses[n % 2],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most <= 2 and taken >= 8
    assert rows(room) == []
