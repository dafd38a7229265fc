"""Reserved concurrency: as many at a time as were reserved, none at 0, and what it takes away."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tailorbird import settings as settings_module
from tailorbird.errors import Invalid, NotFound, Throttled
from tailorbird.functions import Functions, catalog, concurrency
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade
from tests.unit.functions.conftest import OWNER, Workshop, open_workshop
from tests.unit.functions.test_catalog import create

REASON = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}


def reserve(room: Functions, count: int, name: str = "hook") -> dict[str, Any]:
    request = {"FunctionName": name, "ReservedConcurrentExecutions": count}
    return concurrency.put_function_concurrency(room, OWNER, request)


def held(room: Functions) -> dict[str, Any]:
    return concurrency.get_function_concurrency(room, OWNER, {"FunctionName": "hook"})


def test_it_is_put_read_shown_and_taken_away(room: Functions):
    create(room)
    assert held(room) == {}
    assert reserve(room, 7) == {"ReservedConcurrentExecutions": 7}
    assert held(room) == {"ReservedConcurrentExecutions": 7}
    read = catalog.get_function(room, OWNER, {"FunctionName": "hook"})
    assert read["Concurrency"] == {"ReservedConcurrentExecutions": 7}
    concurrency.delete_function_concurrency(room, OWNER, {"FunctionName": "hook"})
    assert held(room) == {}
    assert "Concurrency" not in catalog.get_function(room, OWNER, {"FunctionName": "hook"})


def test_a_hundred_stay_unreserved_in_the_account(room: Functions):
    create(room)
    create(room, FunctionName="other")
    reserve(room, 600)
    with pytest.raises(Invalid, match=r"below its minimum value of \[100\]"):
        reserve(room, 301, "other")
    reserve(room, 300, "other")
    reserve(room, 599)  # its own reservation is not counted against itself
    with pytest.raises(Invalid):
        reserve(room, 601)


def test_it_belongs_to_whole_functions(room: Functions):
    create(room, Publish=True)
    with pytest.raises(Invalid, match="permitted on Lambda functions only"):
        reserve(room, 1, "hook:1")
    with pytest.raises(NotFound, match="Function not found"):
        reserve(room, 1, "nope")


def test_none_turns_the_function_off_and_taking_it_away_on_again(workshop: Workshop):
    name = workshop.create("def handler(event, context): return 1", Publish=True)
    reserve(workshop.room, 0, name)
    for qualifier in (None, "1"):
        with pytest.raises(Throttled, match="Rate Exceeded") as refused:
            workshop.invoke(name, qualifier=qualifier)
        assert refused.value.code == "TooManyRequestsException"
        assert refused.value.members == REASON
    concurrency.delete_function_concurrency(workshop.room, OWNER, {"FunctionName": name})
    assert workshop.invoke(name).payload == b"1"


def test_no_more_run_at_a_time_than_were_reserved_and_nobody_waits(workshop: Workshop):
    source = "import time\ndef handler(event, context): time.sleep(event['s']); return 1"
    name = workshop.create(source, Timeout=10)
    reserve(workshop.room, 2, name)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(workshop.invoke, name, {"s": 1.5}) for _ in range(2)]
        time.sleep(0.7)
        begun = time.monotonic()
        with pytest.raises(Throttled) as refused:
            workshop.invoke(name, {"s": 0})
        assert time.monotonic() - begun < 0.5
        assert refused.value.members == REASON
        assert [done.result().payload for done in running] == [b"1", b"1"]
    assert workshop.invoke(name, {"s": 0}).payload == b"1"


WAYS = {
    "an error": ("raise ValueError('no')", {}),
    "an exit": ("import os; os._exit(3)", {}),
    "a timeout": ("import time; time.sleep(30)", {"Timeout": 1}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_end_of_an_invocation_gives_its_place_back(workshop: Workshop, way: str):
    line, members = WAYS[way]
    source = f"def handler(event, context):\n    if event: {line}\n    return 1"
    if "import" in line:
        module, rest = line.split("; ")
        source = f"{module}\ndef handler(event, context):\n    if event: {rest}\n    return 1"
    name = workshop.create(source, **members)
    reserve(workshop.room, 1, name)
    assert workshop.invoke(name, {"fail": True}).function_error == "Unhandled"
    assert workshop.invoke(name).payload == b"1"


def test_a_function_whose_caller_left_still_holds_its_place(workshop: Workshop):
    source = "import time\ndef handler(event, context): time.sleep(event['s']); return 1"
    name = workshop.create(source, Timeout=5)
    reserve(workshop.room, 1, name)
    workshop.invoke(name, {"s": 1.2}, timeout=0.3)
    with pytest.raises(Throttled):
        workshop.invoke(name, {"s": 0})
    deadline = threading.Event()
    deadline.wait(1.5)
    assert workshop.invoke(name, {"s": 0}).payload == b"1"


def test_what_is_reserved_may_be_more_than_other_functions_get(tmp_path: Path):
    given = {
        "data": tmp_path / "data",
        "functions_max_per_function": 1,
        "functions_wait_seconds": 0.1,
    }
    settings = settings_module.load(given, environment={}, folder=tmp_path)
    db = Database(settings.database())
    upgrade(db)
    room = open_workshop(db, settings)
    workshop = Workshop(room)
    source = "import time\ndef handler(event, context): time.sleep(1.0); return 1"
    plain, reserved = (workshop.create(source, Timeout=5) for _ in range(2))
    reserve(room, 2, reserved)

    def ended(name: str) -> bytes | None:
        try:
            return workshop.invoke(name).payload
        except Throttled as refused:
            assert refused.members == {"Reason": "ConcurrentInvocationLimitExceeded"}
            return None

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(ended, [plain] * 2), key=bool) == [None, b"1"]
        assert list(pool.map(ended, [reserved] * 2)) == [b"1", b"1"]
    room.stop()
    db.close()
