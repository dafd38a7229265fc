"""Operations that wait for customers' code never keep the others from running."""

from __future__ import annotations

import importlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tailorbird.gateway import SERVICES
from tailorbird.gateway.dispatch import THREADS

from .conftest import Running


def test_invoke_is_among_the_slow_ones() -> None:
    assert "Invoke" in importlib.import_module("tailorbird.gateway.aws_lambda").SLOW


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.key)
def test_what_is_named_inline_or_slow_is_built(service: Any) -> None:
    table = service.table()
    assert table.inline | table.slow <= table.operations.keys()


def test_many_waiting_invocations_leave_room_for_other_calls(running: Running) -> None:
    release = threading.Event()
    running.room.wait = lambda request: "FunctionName" in request and release.wait(20)
    running.room.answer = {}
    waiting = running.client("lambda", max_pool_connections=THREADS + 4)
    with ThreadPoolExecutor(THREADS + 4) as pool:
        calls = [pool.submit(waiting.invoke, FunctionName="f") for _ in range(THREADS + 4)]
        running.client("personalize").list_recipes()
        assert not any(call.done() for call in calls)
        release.set()
        assert all(call.result()["StatusCode"] == 200 for call in calls)
