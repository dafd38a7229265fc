"""Archive to interactions: seconds and memory of the default engine, checked row by row.

    python -m bench.prepare [calls]

The calls are the messy ones of the unit tests (3 in 100) among ordinary ones, in gzip files as
collect writes them. The yardstick is the rule in plain Python (orjson, one process), on the same
files in the same run.
"""

from __future__ import annotations

import csv
import gzip
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tailorbird import prepare, settings
from tailorbird.clock import SystemClock
from tailorbird.prepare import Mapping, Prepare
from tailorbird.store import Database, Jobs, Objects
from tests.unit.prepare import messy, reference

CALLS = 500_000
FILES = 8
MESSY_SHARE = 0.03
SEED = 11
EVENTS = ("Product Viewed", "Product Added", "Order Completed", "Page Seen", "Signed Up")


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    with tempfile.TemporaryDirectory(prefix="tailorbird-bench-") as folder:
        place = Path(folder)
        began = time.perf_counter()
        size = write(place / "archive", calls)
        print(f"{calls:,} calls, {size / 1e6:,.0f} MB packed, made in {since(began):.1f} s")
        report, memory = apart(engine, place)
        seconds = report["seconds"]
        print(
            f"duckdb: {seconds:.1f} s, {calls / seconds:,.0f} calls/s, {report['rows']:,} rows,"
            f" {sum(report['rejected'].values()):,} rejected, peak {memory:,.0f} MB"
        )
        (plain, rows), memory = apart(yardstick, place)
        print(f"plain Python: {plain:.1f} s, peak {memory:,.0f} MB; ratio {seconds / plain:.2f}")
        print("rows are exact" if rows == report["rows"] else f"ROWS DIFFER: {rows}")


def engine(place: Path) -> dict[str, Any]:
    given = settings.load({"data": place / "data"}, folder=place)
    db = Database(given.database())
    clock = SystemClock()
    room = Prepare(db, Jobs(db, clock), Objects(place / "objects"), clock, given)
    return prepare.run(room, str(place / "archive"), str(place / "interactions.csv"))


def yardstick(place: Path) -> tuple[float, int]:
    """Seconds of the plain rule, and its rows when they are those of the engine (else -1)."""
    began = time.perf_counter()
    rows: Counter[tuple[str, ...]] = Counter()
    for file in sorted((place / "archive").iterdir()):
        with gzip.open(file) as lines:
            rows += reference.convert(lines, Mapping())[0]
    seconds = since(began)
    with (place / "interactions.csv").open(newline="") as file:
        reader = csv.reader(file)
        next(reader)
        same = Counter(map(tuple, reader)) == rows
    return seconds, rows.total() if same else -1


def apart(work: Any, place: Path) -> tuple[Any, float]:
    """The result of a function in a process of its own, and that process's peak memory in MB."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=told, args=(work, place, there))
    process.start()
    found = here.recv()
    process.join()
    return found


def told(work: Any, place: Path, pipe: Any) -> None:
    result = work(place)
    pipe.send((result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def write(folder: Path, calls: int) -> int:
    folder.mkdir()
    chance = random.Random(SEED)
    bad = [line for line in messy.lines() if len(line) < 10_000]
    for n in range(FILES):
        with gzip.open(folder / f"{n}.gz", "wb", compresslevel=1) as file:
            for _ in range(calls // FILES):
                line = chance.choice(bad) if chance.random() < MESSY_SHARE else usual(chance)
                file.write(line + b"\n")
    return sum(file.stat().st_size for file in folder.iterdir())


def usual(chance: random.Random) -> bytes:
    """A call as collect archives it."""
    sku = f"sku-{chance.randrange(5_000)}"
    event = chance.choice(EVENTS)
    properties: dict[str, Any] = {"sku": sku, "price": 19.5, "category": "Coffee", "quantity": 1}
    if event == "Order Completed":
        products = [{"sku": f"sku-{chance.randrange(5_000)}", "price": 5} for _ in range(3)]
        properties = {"order_id": "o", "total": 15, "products": products}
    moment = f"2026-10-{chance.randrange(1, 29):02d}T10:{chance.randrange(60):02d}:00.123Z"
    user = chance.randrange(100_000)
    return orjson.dumps(
        {
            "type": "track",
            "messageId": f"{chance.getrandbits(64):016x}-bench",
            "userId": f"person-{user}",
            "anonymousId": f"anonymous-{user}",
            "event": event,
            "properties": properties,
            "timestamp": moment,
            "originalTimestamp": moment,
            "receivedAt": moment,
            "sentAt": moment,
            "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
            "version": 2,
            "channel": "server",
            "projectId": "source",
        }
    )


def since(began: float) -> float:
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
