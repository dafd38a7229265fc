"""Several processes on one port and one data folder are one house to its clients."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, start_server, wait_for
from tests.wire.segment_client import basic, new_source

ASKED = 60  # connections: that none of two processes gets any is less likely than 1 in 10^17


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Server]:
    server = start_server(tmp_path / "data", processes=2)
    yield server
    server.stop()


def processes(server: Server) -> set[int]:
    """Who answers: every request is a connection of its own; one that dies drops its own."""
    found = set()
    for _ in range(ASKED):
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{server.url}/_/health", timeout=10) as answer,
        ):
            found.add(json.load(answer)["process"])
    return found


def two(server: Server) -> set[int] | None:
    found = processes(server)
    return found if len(found) == 2 else None


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_two_processes_share_the_port_and_one_that_dies_is_started_anew(pair: Server) -> None:
    both = wait_for(lambda: two(pair))
    assert pair.process is not None
    [other] = both - {pair.process.pid}
    os.kill(other, signal.SIGKILL)
    anew = wait_for(lambda: (found := two(pair)) and other not in found and found)
    assert pair.process.pid in anew


def test_a_source_made_by_one_process_is_known_to_all(pair: Server) -> None:
    wait_for(lambda: two(pair))
    for turn in range(4):
        source = new_source(pair, f"shop-{turn}")
        headers = {"Authorization": basic(source["writeKeys"][0])}
        for n in range(10):
            body = json.dumps({"userId": f"u{n}", "event": "Product Viewed"}).encode()
            request = urllib.request.Request(f"{pair.url}/v1/track", body, headers)
            urllib.request.urlopen(request, timeout=10).close()
        assert logged(pair, source["id"]) == 10


def logged(server: Server, source_id: str) -> int:
    with sqlite3.connect(f"file:{server.data}/tailorbird.db?mode=ro", uri=True) as conn:
        query = "SELECT sum(count) FROM collect_log WHERE source_id = ?"
        return int(conn.execute(query, (source_id,)).fetchone()[0] or 0)


def test_they_all_go_when_the_first_is_told_to_or_killed(tmp_path: Path) -> None:
    for end in (signal.SIGTERM, signal.SIGKILL):
        server = start_server(tmp_path / end.name, processes=2)
        both = wait_for(lambda here=server: two(here))
        assert server.process is not None
        server.process.send_signal(end)
        server.process.wait(30)
        for pid in both:
            assert wait_for(lambda gone_pid=pid: gone(gone_pid))
