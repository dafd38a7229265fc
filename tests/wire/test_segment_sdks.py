"""Segment's own SDKs work when only `host` is changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from segment.analytics.client import Client

from tests.conftest import Server, wait_for
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


def run_node(package: str, script: str, *words: str) -> Any:
    """What a script prints; skipped where its packages are not installed."""
    if shutil.which("node") is None or not (NODE / "node_modules" / package).is_dir():
        pytest.skip(f"Node.js or its package {package} is not here (make setup installs it)")
    done = subprocess.run(
        ["node", NODE / script, *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_browser_library_in_jsdom(server: Server) -> None:
    source = new_source(server, "browser")
    key = source["writeKeys"][0]
    sent = run_node("@segment/analytics-next", "segment_browser.mjs", server.url, key)
    assert sent[0] == [f"/v1/projects/{key}/settings", "", 200]
    assert sent[1:] == [[f"/v1/{letter}", "text/plain", 200] for letter in "ptiga"]
    calls = kept(server, source)
    assert types(calls) == {"page": 1, "track": 1, "identify": 1, "group": 1, "alias": 1}
    assert all(call["channel"] == "client" for call in calls)


def test_rudderstacks_node_sdk(server: Server) -> None:
    source = new_source(server, "rudder-node")
    run_node("@rudderstack/rudder-sdk-node", "rudder.mjs", server.url, source["writeKeys"][0])
    assert wait_for(
        lambda: types(kept(server, source)) == {"identify": 1, "track": 1, "page": 1, "group": 1},
        10,
    )


def test_the_public_apis_typescript_sdk(server: Server) -> None:
    package = "@segment/public-api-sdk-typescript"
    assert run_node(package, "public_api.mjs", server.url, server.token) == {
        "workspace": "tailorbird",
        "source": "by-sdk",
        "destination": "Hook",
        "filter": "none",
        "total": 0,
        "kinds": True,
    }


SCRIPT = """
import sys
from {module} import Client
client = Client(sys.argv[1], host=sys.argv[2])
client.track("ann", "Product Added", {{"sku": "tea-1"}})
client.identify("ann", {{"plan": "pro"}})
client.flush()
client.shutdown() if hasattr(client, "shutdown") else client.join()
"""
# analytics-python 1.4: Basic authorization only, no write key in the body.
OTHERS = {
    "analytics-python": "analytics.client",
    "rudder-sdk-python": "rudderstack.analytics.client",
}


@pytest.mark.parametrize("sdk", OTHERS)
def test_another_python_sdk(server: Server, sdk: str) -> None:
    folder = Path(sys.prefix) / "sdks" / sdk
    if not folder.is_dir():
        pytest.skip(f"{sdk} is not here (make setup installs it)")
    source = new_source(server, sdk)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SCRIPT.format(module=OTHERS[sdk]),
            source["writeKeys"][0],
            server.url,
        ],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    calls = kept(server, source)
    assert types(calls) == {"track": 1, "identify": 1}
    names = {call["context"]["library"]["name"] for call in calls}
    assert len(names) == 1 and "segment" not in names.pop()
