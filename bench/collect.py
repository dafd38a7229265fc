"""Durable Segment calls a second over HTTP, against the same server without its log.

    python -m bench.collect [database url]

Both servers parse, check, normalise and answer; the second one drops the calls instead of
committing them. On PostgreSQL (an empty database of its own) the log is also shared by two servers.
One client process sends prepared requests over keep-alive connections. Message ids are random, as
SDKs make them. Beside the calls a second stands the servers' processor time for a call, which other
work on the machine changes less; that of PostgreSQL's own processes is not in it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import multiprocessing
import random
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson

from tailorbird import settings
from tailorbird.clock import SystemClock
from tailorbird.collect import Collect, ensure_default_source
from tailorbird.gateway import segment
from tailorbird.store import Database, Jobs, Objects
from tailorbird.store.migrations import upgrade

WRITE_KEY = "bench"
CONNECTIONS = 64
BATCH = 100
SECONDS = 3.0
WARM_UP_SECONDS = 1.0
ROUNDS = 3
ID_BYTES = 16
TWO_SERVERS = "durable, two servers"

Figures = tuple[float, float]  # calls a second, microseconds of processor time a call


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else ""
    kinds = ["durable", "no log"]
    kinds += [TWO_SERVERS] if url.startswith("postgres") else ["without fsync"]
    for name, size in {"batches of 100": BATCH, "single calls": 0}.items():
        found: dict[str, list[Figures]] = {kind: [] for kind in kinds}
        for _ in range(ROUNDS):
            for kind in found:
                found[kind].append(measure(kind, size, url))
        for n, what in enumerate(("calls/s", "us of processor time a call")):
            middle = {kind: sorted(f[n] for f in each)[ROUNDS // 2] for kind, each in found.items()}
            ratio = middle["durable"] / middle["no log"] if n == 0 else 0.0
            ratio = ratio or middle["no log"] / middle["durable"]
            figures = ", ".join(f"{kind} {figure:,.1f}" for kind, figure in middle.items())
            print(f"{name}: {figures} {what} (durable is {ratio:.0%} of no log)", flush=True)


def measure(kind: str, batch: int, url: str) -> Figures:
    """Calls a second that were answered with 200 while the clock ran, and what one cost."""
    with tempfile.TemporaryDirectory(prefix="tailorbird-bench-") as folder:
        url = url or f"sqlite:///{folder}/bench.db"
        context = multiprocessing.get_context("spawn")
        servers, ports = [], []
        before = stored(url) if kind != "no log" else 0
        for _ in range(2 if kind == TWO_SERVERS else 1):
            here, there = context.Pipe()
            server = context.Process(target=serve, args=(Path(folder), kind, url, there))
            server.start()
            there.close()  # a server that dies is an end of the pipe
            ports.append(here.recv())
            servers.append((server, here))
        try:
            calls, seconds = asyncio.run(load(ports, batch))
        finally:
            ended = [stop(*each) for each in servers]
        taken, worked = sum(each[0] for each in ended), sum(each[1] for each in ended)
        if kind != "no log" and stored(url) - before < taken:
            raise SystemExit(f"{stored(url) - before} calls are stored of {taken} answered")
        return calls / seconds, worked / taken * 1e6


def stop(server: Any, pipe: Any) -> tuple[int, float]:
    """End a server: the calls it answered and the seconds of processor time it took."""
    pipe.send("stop")
    calls, worked = pipe.recv()
    server.join()
    return calls, worked


def stored(url: str) -> int:
    """Calls that were counted as received so far."""
    db = Database(url)
    try:
        upgrade(db)
        with db.read() as conn:
            query = "SELECT sum(n) FROM collect_counts WHERE step = 'successfully_received'"
            return int(conn.exec_driver_sql(query).scalar() or 0)
    finally:
        db.close()


def serve(folder: Path, kind: str, url: str, pipe: Any) -> None:
    """The server: Segment's API on a free port, until the pipe says stop."""
    import uvicorn

    given = settings.load(
        {
            "data": folder,
            "collect_fsync": kind != "without fsync",
            "database_url": url,
            "segment_requests_per_second": 0,
        },
        folder=folder,
    )
    db = Database(given.database())
    upgrade(db)
    clock = SystemClock()
    nobody: Any = None
    objects = Objects(folder / "objects", given)
    functions: Any = SimpleNamespace(caller_at=lambda address: None)
    room = Collect(db, Jobs(db, clock), objects, clock, given, functions, *([nobody] * 4))
    ensure_default_source(room, WRITE_KEY)
    taken, append = [0], room.log.append

    async def counted(entry: Any) -> int:
        fresh = len(entry.kept) if kind == "no log" else await append(entry)
        taken[0] += fresh
        return fresh

    room.log.append = counted  # type: ignore[method-assign]
    if kind != "no log":
        room.log.start()

    async def run() -> None:
        config = uvicorn.Config(
            segment.app(room), port=0, log_level="warning", access_log=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        pipe.send(server.servers[0].sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        server.should_exit = True
        await running

    began = time.process_time()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())
    if kind != "no log":
        room.log.stop()
    pipe.send((taken[0], time.process_time() - began))


def new_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


async def load(ports: list[int], batch: int) -> tuple[int, float]:
    """Send from every connection, as fast as answers come."""
    sent = [0] * CONNECTIONS
    each = [(ports[n % len(ports)], n) for n in range(CONNECTIONS)]
    clients = [asyncio.create_task(client(port, batch, sent, n)) for port, n in each]
    await asyncio.sleep(WARM_UP_SECONDS)
    before, began = sum(sent), time.perf_counter()
    await asyncio.sleep(SECONDS)
    calls, seconds = sum(sent) - before, time.perf_counter() - began
    for task in clients:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*clients)
    return calls, seconds


async def client(port: int, batch: int, sent: list[int], number: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    template = Template(batch)
    while True:
        writer.write(template.request())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        sent[number] += batch or 1


class Template:
    """A request whose message ids are new and random each time, at the price of one replacement."""

    def __init__(self, batch: int) -> None:
        calls = [track(n, "%s") for n in range(batch or 1)]
        now = "2026-11-21T12:00:00.000000+00:00"
        body = {"batch": calls, "sentAt": now, "writeKey": WRITE_KEY} if batch else calls[0]
        self.body = orjson.dumps(body)
        self.count = len(calls)
        path = b"/v1/batch" if batch else b"/v1/track"
        size = len(self.body) + (2 * ID_BYTES - 2) * self.count  # what "%s" grows by
        key = base64.b64encode(f"{WRITE_KEY}:".encode())
        self.head = b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n" % (path, key)
        self.head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size

    def request(self) -> bytes:
        ids = random.randbytes(ID_BYTES * self.count).hex().encode()
        cut = range(0, len(ids), 2 * ID_BYTES)
        return self.head + self.body % tuple(ids[at : at + 2 * ID_BYTES] for at in cut)


def track(number: int, mark: str) -> dict[str, Any]:
    """A call as the Python SDK sends it."""
    return {
        "integrations": {},
        "anonymousId": f"anonymous-{number}",
        "properties": {"sku": f"sku-{number}", "price": 19.5, "quantity": 1, "category": "Coffee"},
        "timestamp": "2026-11-21T11:59:59.123000+00:00",
        "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
        "userId": f"person-{number}",
        "type": "track",
        "event": "Product Added",
        "messageId": mark,
    }


if __name__ == "__main__":
    main()
