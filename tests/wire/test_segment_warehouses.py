"""Warehouses from outside: the official SDK, the commands, and kill -9 in the middle."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests import segment
from tests.conftest import Server, start_server, wait_for
from tests.wire.segment_client import ask, basic, new_source, public, send
from tests.wire.test_segment_sdks import run_node


def track(server: Server, source: dict[str, Any], count: int, start: int = 0) -> None:
    calls = [
        {
            "type": "track",
            "messageId": f"{source['id']}-{n}",
            "userId": f"u{n % 50}",
            "event": "Product Added",
            "properties": {"sku": f"s{n % 9}", "n": n if n % 2 else n / 2},
        }
        for n in range(start, start + count)
    ]
    for at in range(0, count, 500):
        body = json.dumps({"batch": calls[at : at + 500]})
        key = basic(source["writeKeys"][0])
        assert send(server, "POST", "/v1/batch", body, Authorization=key).status == 200


def test_the_typescript_sdk_runs_a_warehouse(server: Server) -> None:
    source = new_source(server, "warehouse-sdk")
    track(server, source, 3)
    package = "@segment/public-api-sdk-typescript"
    times = [{"hourOfDay": 3, "enabled": True}]
    assert run_node(package, "warehouses.mjs", server.url, server.token, source["id"]) == {
        "checked": "CONNECTED",
        "name": "By SDK",
        "connected": "CONNECTED",
        "sources": [source["id"]],
        "textLength": 100,
        "schedule": {"enabled": True, "schedule": {"times": times, "timezone": "Europe/Rome"}},
        "report": ["SUCCESS", 6, source["id"]],
        "selected": "UPDATED",
        "sku": False,
        "mine": 1,
        "state": "CONNECTED",
        "listed": True,
        "gone": 404,
    }


def test_the_commands_load_a_source(server: Server) -> None:
    source = new_source(server, "warehouse-commands")
    track(server, source, 4)
    run = segment.tailorbird
    made = run(server, "warehouse", "create", "sqlite", "by-command", "--source", source["id"])
    assert run(server, "warehouse", "sync", made["id"])["rows"] == 8
    assert run(server, "warehouse", "get", made["id"])["sources"] == ["warehouse-commands"]
    assert run(server, "warehouse", "syncs", made["id"])["status"] == "SUCCESS"
    run(server, "warehouse", "select", made["id"], source["id"], "--collection", "tracks")
    track(server, source, 1, start=4)
    assert run(server, "warehouse", "sync", made["id"])["rows"] == 1
    assert run(server, "warehouse", "delete", made["id"]) == {"status": "SUCCESS"}
    assert rows(server, "by-command", "warehouse_commands") == (4, 5)


def rows(server: Server, name: str, schema: str) -> tuple[int, int]:
    """Rows of `tracks` and of `product_added`; every id of them once."""
    file = server.data / "warehouses" / name / f"{schema}.sqlite"
    if not file.exists():
        return 0, 0
    with sqlite3.connect(file) as conn:
        try:
            counted = [
                conn.execute(f"SELECT COUNT(*), COUNT(DISTINCT id) FROM {table}").fetchone()
                for table in ("tracks", "product_added")
            ]
        except sqlite3.OperationalError:  # the tables are not made yet
            return 0, 0
    assert all(n == distinct for n, distinct in counted)
    return counted[0][0], counted[1][0]


REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/warehouses", {}, 422, "metadataId is None"),
    ("POST", "/warehouses", {"metadataId": "redshift"}, 404, "no kind of warehouse 'redshift'"),
    ("POST", "/warehouses", {"metadataId": "duckdb", "enabled": 1}, 422, "enabled is 1"),
    ("GET", "/warehouses/nobody", None, 404, "no warehouse 'nobody'"),
    ("GET", "/warehouses/nobody/syncs", None, 404, "no warehouse 'nobody'"),
    ("PATCH", "/warehouses/nobody/selective-sync", {}, 422, "syncOverrides is None"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "what"), REFUSED)
def test_a_refusal_says_what_is_wrong(
    server: Server, method: str, path: str, body: Any, status: int, what: str
) -> None:
    answer = ask(server, method, path, body)
    assert answer.status == status
    assert what in answer.body["errors"][0]["message"]


# -- kill -9 ------------------------------------------------------------------------------------


class Receiver(ThreadingHTTPServer):
    """A webhook that counts the calls it is given."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.seen: Counter[str] = Counter()


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Receiver)
        self.server.seen[json.loads(body)["messageId"]] += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_kill_9_in_a_sync_and_in_a_replay(tmp_path: Path, receiver: Receiver) -> None:
    """Rows are exact, and of the replay at most the batch under way is repeated."""
    settings = {"outgoing_allow": "127.0.0.0/8"}
    server = start_server(tmp_path / "data", **settings)
    source = new_source(server, "mortal")
    calls = 12_000
    track(server, source, calls)
    body = {"metadataId": "sqlite", "settings": {"file": "wh"}}
    warehouse = public(server, "POST", "/warehouses", body)["warehouse"]["id"]
    public(server, "POST", f"/warehouses/{warehouse}/connected-sources/{source['id']}")
    job = public(server, "POST", f"/warehouses/{warehouse}/syncs")["job"]
    wait_for(lambda: rows(server, "wh", "mortal")[0] > 0, 60, 0.005)
    server.kill()
    assert 0 < rows(server, "wh", "mortal")[0] < calls, "killed too late to prove anything"
    server = start_server(tmp_path / "data", **settings)
    try:
        path = f"/warehouses/{warehouse}/syncs/{job}"
        wait_for(lambda: public(server, "GET", path)["job"]["state"] == "done", 60)
        assert rows(server, "wh", "mortal") == (calls, calls)

        few = new_source(server, "mortal-replay")
        track(server, few, 300)
        hook = {"url": f"http://127.0.0.1:{receiver.server_port}/"}
        to = {"sourceId": few["id"], "metadataId": "Webhooks", "enabled": False, "settings": hook}
        made = public(server, "POST", "/destinations", to)["destination"]["id"]
        wanted = {"destinationId": made, "perSecond": 400}
        replay = public(server, "POST", "/replays", wanted)["replay"]["id"]
        wait_for(lambda: len(receiver.seen) > 60, 30, 0.005)
        server.kill()
        assert len(receiver.seen) < 300, "killed too late to prove anything"
        server = start_server(tmp_path / "data", **settings)
        path = f"/replays/{replay}"
        wait_for(lambda: public(server, "GET", path)["replay"]["state"] == "done", 60)
        assert len(receiver.seen) == 300
        assert sum(receiver.seen.values()) - 300 <= 50
        assert public(server, "GET", path)["replay"]["counts"]["delivered"] == 300
    finally:
        server.stop()
