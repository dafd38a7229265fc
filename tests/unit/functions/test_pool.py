"""The pool of environments: kept warm, let go idle, never more than the house allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailorbird import settings as settings_module
from tailorbird.errors import Throttled
from tailorbird.functions import supervisor as supervisor_module
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade
from tests.conftest import wait_for
from tests.unit.functions.conftest import Workshop, open_workshop

Opener = Callable[..., Workshop]
WHO = "import uuid\nme = str(uuid.uuid4())\ndef handler(event, context): return me"
SLOW = "import time\ndef handler(event, context): time.sleep(event.get('s', 1.0))"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Opens a workshop with these settings; the sweeper looks often."""
    monkeypatch.setattr(supervisor_module, "SWEEP_SECONDS", 0.1)
    made: list[Workshop] = []

    def open_with(**flags: object) -> Workshop:
        given = settings_module.load(
            {"data": tmp_path / "data", **flags}, environment={}, folder=tmp_path
        )
        db = Database(given.database())
        upgrade(db)
        made.append(Workshop(open_workshop(db, given)))
        return made[-1]

    yield open_with
    for workshop in made:
        workshop.room.stop()
        workshop.room.db.close()


def count(workshop: Workshop, what: str = "environments") -> int:
    return workshop.room.supervisor.counts()[what]


def test_an_idle_environment_is_ended_and_the_next_invocation_gets_a_new_one(opened: Opener):
    workshop = opened(functions_idle_seconds=0.3)
    name = workshop.create(WHO)
    first = workshop.invoke(name).payload
    assert workshop.invoke(name).payload == first
    wait_for(lambda: count(workshop) == 0, timeout_seconds=10)
    assert workshop.invoke(name).payload != first


def test_ended_environments_leave_no_process_and_no_files(opened: Opener):
    workshop = opened(functions_idle_seconds=0.2)
    name = workshop.create("def handler(event, context): open('/tmp/x', 'w').write('y')")
    workshop.invoke(name)
    wait_for(lambda: count(workshop) == 0, timeout_seconds=10)
    assert not [p for p in (workshop.room.root / "tmp").rglob("*") if p.is_file()]


def test_the_longest_idle_environment_makes_room_for_another_function(opened: Opener):
    workshop = opened(functions_max_environments=2)
    names = [workshop.create(WHO) for _ in range(3)]
    kept = [workshop.invoke(name).payload for name in names]
    wait_for(lambda: count(workshop) == 2, timeout_seconds=10)
    assert workshop.invoke(names[2]).payload == kept[2]
    assert workshop.invoke(names[1]).payload == kept[1]
    assert workshop.invoke(names[0]).payload != kept[0]


def test_no_more_environments_than_the_house_allows(opened: Opener):
    workshop = opened(functions_max_environments=2, functions_wait_seconds=0.2)
    slow = [workshop.create(SLOW, Timeout=20) for _ in range(2)]
    busy = [threading.Thread(target=workshop.invoke, args=(n, {"s": 2})) for n in slow]
    for thread in busy:
        thread.start()
    wait_for(lambda: count(workshop) == 2, timeout_seconds=10)
    with pytest.raises(Throttled) as refused:
        workshop.invoke(workshop.create(WHO))
    assert refused.value.members == {"Reason": "ConcurrentInvocationLimitExceeded"}
    assert "functions_max_environments" in refused.value.message
    for thread in busy:
        thread.join()


def test_a_caller_waits_a_while_for_an_environment_to_come_free(opened: Opener):
    workshop = opened(functions_max_per_function=1, functions_wait_seconds=10.0)
    name = workshop.create(SLOW, Timeout=10)
    workshop.invoke(name, {"s": 0})
    done: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: done.append(workshop.invoke(name, {"s": 0.2}).payload))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (done, count(workshop)) == ([b"null"] * 4, 1)


def test_an_environment_that_died_while_idle_is_replaced_unseen(opened: Opener):
    workshop = opened(functions_freeze=False)
    source = """
import os, threading, uuid
me = str(uuid.uuid4())
def handler(event, context):
    if event.get("die"): threading.Timer(0.2, os._exit, (3,)).start()
    return me
"""
    name = workshop.create(source)
    first = workshop.invoke(name, {"die": True}).payload
    wait_for(lambda: count(workshop) == 0, timeout_seconds=10)
    done = workshop.invoke(name)
    assert (done.function_error, done.payload != first) == (None, True)


BACKGROUND = """
import threading, time
ticks = 0
def count():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.005)
threading.Thread(target=count, daemon=True).start()
def handler(event, context): return ticks
"""


@pytest.mark.parametrize(("freezes", "most"), [(True, 40), (False, 10_000)])
def test_threads_of_a_function_stand_still_between_invocations(
    opened: Opener, freezes: bool, most: int
):
    workshop = opened(functions_freeze=freezes)
    name = workshop.create(BACKGROUND)
    before = int(workshop.invoke(name).payload)
    time.sleep(1.0)
    between = int(workshop.invoke(name).payload) - before
    assert between < most and (freezes or between > 40)


def test_a_frozen_environment_is_ended_like_any_other(opened: Opener):
    workshop = opened(functions_idle_seconds=0.3)
    name = workshop.create(BACKGROUND)
    workshop.invoke(name)
    wait_for(lambda: count(workshop) == 0, timeout_seconds=10)
    assert workshop.invoke(name).function_error is None
