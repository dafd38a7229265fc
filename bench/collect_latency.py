"""From a call to the end of its function: the 95th percentile at 500 calls a second.

    python -m bench.collect_latency

Single track calls at an even pace over keep-alive connections into a started server whose source
has a function; then the same with two more destinations on the source, one whose function takes
four seconds and one that nobody answers. The time runs from receipt to the committed end of the
delivery; the function's own invocation, asked for directly, is the floor in the same run.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from tests.conftest import Server, start_server
from tests.wire.segment_client import basic, public
from tests.wire.test_segment_delivery import connected, role_for

RATE = 500
SECONDS = 10.0
CONNECTIONS = 16
DRAIN_SECONDS = 60.0
PLAIN = "def handler(event, context):\n    return None\n"
SLOW = "import time\ndef handler(event, context):\n    time.sleep(4)\n"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tailorbird-bench-") as folder:
        server = start_server(Path(folder) / "data", segment_requests_per_second=0)
        try:
            source, to = connected(server, "plain", PLAIN)
            send(server, source, 200)  # the function is warm
            wait_until_delivered(server, to, 200)
            print(f"invoke alone: {floor(server):.1f} ms (median of 100)", flush=True)
            report(server, source, to, "one destination")
            slow_one(server, source)
            public(server, "POST", "/destinations", nobody(source))
            report(server, source, to, "with a slow and a dead one beside it")
        finally:
            server.stop()


def report(server: Server, source: dict[str, Any], to: str, what: str) -> None:
    began = time.time()
    late = send(server, source, int(RATE * SECONDS))
    wait_until_delivered(server, to, int(RATE * SECONDS), began)
    found = latencies(server, to, began)
    marks = {p: found[min(len(found) - 1, int(len(found) * p / 100))] * 1000 for p in (50, 95, 99)}
    figures = ", ".join(f"p{p} {value:.0f} ms" for p, value in marks.items())
    print(
        f"{what}: {figures} of {len(found)} calls at {RATE}/s (sender {late:.0f} ms late at most)"
    )


def floor(server: Server) -> float:
    client = server.client("lambda")
    taken = []
    for _ in range(100):
        began = time.perf_counter()
        client.invoke(FunctionName="plain", Payload=b"{}")
        taken.append(time.perf_counter() - began)
    return sorted(taken)[50] * 1000


def slow_one(server: Server, source: dict[str, Any]) -> None:
    from tests import aws

    function = aws.python_function(server, "slow", SLOW, Timeout=15)
    role = role_for(server, "slow", function, source["id"])
    settings = {"function": function, "roleAddress": role, "region": "us-east-1"}
    body = {"sourceId": source["id"], "metadataId": "Amazon Lambda", "settings": settings}
    public(server, "POST", "/destinations", body)


def nobody(source: dict[str, Any]) -> dict[str, Any]:
    settings = {"url": "http://198.51.100.1:9/"}  # an address that answers nobody (RFC 5737)
    return {"sourceId": source["id"], "metadataId": "Webhooks", "settings": settings}


def latencies(server: Server, to: str, since: float) -> list[float]:
    """Seconds from receipt to the committed end, the shortest first."""
    with sqlite3.connect(f"file:{server.data}/tailorbird.db?mode=ro", uri=True) as conn:
        rows = conn.execute(
            "SELECT finished - received FROM collect_deliveries"
            " WHERE destination_id = ? AND state = 1 AND received >= ?",
            (to, since),
        )
        return sorted(row[0] for row in rows)


def wait_until_delivered(server: Server, to: str, calls: int, since: float = 0.0) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while len(latencies(server, to, since)) < calls:
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(latencies(server, to, since))} of {calls} calls were delivered")
        time.sleep(0.2)


def send(server: Server, source: dict[str, Any], calls: int) -> float:
    """Calls at an even pace; how many milliseconds the latest was behind its time."""
    return asyncio.run(_send(server, basic(source["writeKeys"][0]), calls))


async def _send(server: Server, key: str, calls: int) -> float:
    began = time.perf_counter() + 0.1
    numbers = iter(range(calls))
    late = 0.0

    async def one() -> None:
        nonlocal late
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for number in numbers:
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            late = max(late, time.perf_counter() - due)
            body = orjson.dumps({"userId": f"u{number}", "event": "Product Added"})
            head = f"POST /v1/track HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(answer.lower().split(b"content-length: ")[1].split()[0]))
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return late * 1000


if __name__ == "__main__":
    main()
