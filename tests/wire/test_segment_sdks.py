"""Segment's own SDKs work when only `host` is changed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from segment.analytics.client import Client

from tests.conftest import Server
from tests.wire.segment_client import kept, new_source

NODE = Path(__file__).parent / "node"


def types(calls: list[dict[str, Any]]) -> Counter[str]:
    return Counter(call["type"] for call in calls)


@pytest.mark.parametrize("gzip", [False, True])
def test_the_python_sdk(server: Server, gzip: bool) -> None:
    source = new_source(server, f"python-{gzip}")
    failures: list[Any] = []
    client = Client(
        source["writeKeys"][0],
        host=server.url,
        gzip=gzip,
        on_error=lambda error, batch: failures.append(error),
    )
    when = datetime(2026, 3, 1, 12, tzinfo=UTC)
    client.identify("ann", {"email": "ann@example.com"})
    for n in range(250):
        client.track("ann", "Product Added", {"sku": f"s{n}"}, timestamp=when)
    client.page("ann", "Shop", "Home")
    client.screen("ann", "Shop", "Home")
    client.group("ann", "acme", {"seats": 3})
    client.alias("anon", "ann")
    client.shutdown()
    calls = kept(server, source)
    assert failures == []
    assert types(calls) == {
        "identify": 1,
        "track": 250,
        "page": 1,
        "screen": 1,
        "group": 1,
        "alias": 1,
    }
    assert len({call["messageId"] for call in calls}) == len(calls)
    track = next(call for call in calls if call["type"] == "track")
    assert track["originalTimestamp"] == "2026-03-01T12:00:00.000Z"
    assert track["context"]["library"]["name"] == "analytics-python"


def test_the_python_sdk_is_told_what_is_wrong(server: Server) -> None:
    """The SDK drops a call over 32 KiB itself; a batch that the server refuses reaches on_error."""
    failures: list[Any] = []
    client = Client(
        server.write_key,
        host=server.url,
        on_error=lambda error, batch: failures.append(error),
        max_retries=0,
    )
    client.track("u", "e", {"n": float("nan")})
    client.shutdown()
    assert len(failures) == 1
    assert failures[0].status == 400
    assert "malformed JSON" in failures[0].message


def test_the_node_sdk(server: Server) -> None:
    if shutil.which("node") is None or not (NODE / "node_modules" / "@segment").is_dir():
        pytest.skip("Node.js or its packages are not here (make setup installs them)")
    source = new_source(server, "node")
    done = subprocess.run(
        ["node", NODE / "segment.mjs", server.url, source["writeKeys"][0]],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"failures": []}
    calls = kept(server, source)
    assert types(calls) == {
        "identify": 1,
        "track": 20,
        "page": 1,
        "screen": 1,
        "group": 1,
        "alias": 1,
    }
    assert all(call["messageId"].startswith("node-next-") for call in calls)
