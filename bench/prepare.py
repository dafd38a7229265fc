"""Archive to interactions: seconds and memory of each reader, Spark beside it, rows exact.

    python -m bench prepare          5,000,000 calls
    python -m bench.prepare CALLS

The calls are the messy ones of the unit tests (3 in 100) among ordinary ones, in gzip files as
collect writes them; a tenth of them is made, and lies there ten times. Readers are the scanner in
C, the rule in Python (what a machine without a C compiler has), and DuckDB. Every run is a process
of its own, started anew; its memory is the most that it and its children held together. Spark runs
the job as one would write it for Spark (`_spark_interactions.py`), on two threads.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from tailorbird import prepare, settings
from tailorbird.clock import SystemClock
from tailorbird.prepare import Options, Prepare, from_dict, native
from tailorbird.store import Database, Jobs, Objects
from tests.unit.prepare import messy, reference

CALLS = 5_000_000
TIMES = 10
FILES = 8
MESSY_SHARE = 0.03
SEED = 11
EVENTS = ("Product Viewed", "Product Added", "Order Completed", "Page Seen", "Signed Up")
LOOK_SECONDS = 0.05
PAGE_BYTES = resource.getpagesize()
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
SPARK_MASTER = "local[2]"
READERS = ("native", "python", "duckdb")


@dataclass
class Taken:
    """What a run took: wall seconds, CPU seconds, and the most memory in MB."""

    wall: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.wall:7.1f} s, CPU {self.cpu:6.1f} s, peak {self.memory:6,.0f} MB"


def main() -> None:
    if len(sys.argv) == 4:
        sys.stdout.write(json.dumps(engine(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    with tempfile.TemporaryDirectory(prefix="tailorbird-bench-") as folder:
        measure(Path(folder), calls)


def measure(place: Path, calls: int) -> None:
    tenth, whole = place / "tenth", place / "whole"
    began = time.perf_counter()
    size = write(tenth, calls // TIMES)
    for n in range(TIMES):
        (whole / str(n)).mkdir(parents=True)
        for file in tenth.iterdir():
            (whole / str(n) / file.name).hardlink_to(file)
    print(f"{calls:,} calls, {size * TIMES / 1e6:,.0f} MB packed, made in {since(began):.1f} s")
    expected = the_rule(tenth)
    ours: dict[tuple[str, str], Taken] = {}
    readers = READERS if native.library() else READERS[1:]
    if readers != READERS:
        print("native: the scanner is not built here, there was no C compiler")
    for name in readers:
        for archive in (tenth, whole):
            output = place / f"{name}-{archive.name}.csv"
            taken = run([sys.executable, "-m", "bench.prepare", name, str(archive), str(output)])
            ours[name, archive.name] = taken
            times = TIMES if archive == whole else 1
            exact = digest(output) == (expected[0] * times, expected[1] * times % 2**64)
            print(f"{name:8} {archive.name}: {taken}, {'exact' if exact else 'ROWS DIFFER'}")
            output.unlink()
        small, large = ours[name, "tenth"], ours[name, "whole"]
        print(
            f"{name:8} {TIMES} times the calls: {large.cpu / small.cpu:.1f} times the CPU,"
            f" {large.wall / small.wall:.1f} times the time,"
            f" {large.memory / small.memory:.2f} times the memory"
        )
    ours_whole = {name: ours[name, "whole"] for name in readers}
    against_spark(place, whole, ours_whole, expected[0] * TIMES)


def against_spark(place: Path, whole: Path, ours: dict[str, Taken], rows: int) -> None:
    try:
        import pyspark
    except ImportError:
        print("PySpark is not installed (pip install 'tailorbird[spark]'): no yardstick")
        return
    output = place / "spark"
    module = "bench._spark_interactions"
    taken = run([sys.executable, "-m", module, str(whole), str(output), SPARK_MASTER])
    found = sum(digest(part)[0] for part in output.glob("*.csv"))
    print(f"PySpark {pyspark.__version__} {SPARK_MASTER}: {taken}, {found - rows:+,} rows")
    for name, mine in ours.items():
        print(
            f"{name:8} against it: {taken.wall / mine.wall:.1f} times as fast,"
            f" 1/{taken.cpu / mine.cpu:.1f} of the CPU, 1/{taken.memory / mine.memory:.1f} of the"
            " memory"
        )


def engine(name: str, archive: Path, output: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tailorbird-bench-") as folder:
        place = Path(folder)
        wanted = {"data": place / "data", "prepare_native": name == "native"}
        given = settings.load(wanted, folder=place)
        db, clock = Database(given.database()), SystemClock()
        room = Prepare(db, Jobs(db, clock), Objects(place / "objects"), clock, given)
        options = Options(engine="duckdb" if name == "duckdb" else "python")
        report = prepare.run(room, str(archive), str(output), options=options)
    assert report["reader"] == name, report["reader"]
    return report


def the_rule(archive: Path) -> tuple[int, int]:
    """Rows of the rule in plain Python, and a sum over them that knows no order."""
    rows: Counter[tuple[str, ...]] = Counter()
    for file in sorted(archive.iterdir()):
        with gzip.open(file) as lines:
            rows += reference.convert(lines, from_dict({}).interactions).rows
    total = sum(stamp(row) * times for row, times in rows.items())
    return rows.total(), total % 2**64


def digest(output: Path) -> tuple[int, int]:
    """Rows of a CSV, and the same sum."""
    rows = total = 0
    with output.open(newline="") as file:
        reader = csv.reader(file, escapechar="\\")
        next(reader)
        for row in reader:
            rows += 1
            total += stamp(tuple(row))
    return rows, total % 2**64


def stamp(row: tuple[str, ...]) -> int:
    return int.from_bytes(blake2b("\0".join(row).encode(), digest_size=8).digest(), "big")


def run(command: list[str]) -> Taken:
    """What a process and its children took."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    family = Family(process)
    family.start()
    assert process.stderr is not None
    said = process.stderr.read()
    family.join()
    wall = since(began)
    if process.wait():
        raise SystemExit(said.decode()[-3000:])
    return Taken(wall, sum(family.cpu.values()), family.peak / 1e6)


class Family(threading.Thread):
    """A process and all below it, watched: the most memory held at one time, CPU seconds by pid."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.process = process
        self.peak = 0
        self.cpu: dict[int, float] = {}

    def run(self) -> None:
        while self.process.poll() is None:
            self.peak = max(self.peak, sum(map(self.look, self.pids())))
            time.sleep(LOOK_SECONDS)

    def pids(self) -> list[int]:
        found = [self.process.pid]
        for one in found:
            with contextlib.suppress(OSError):  # it has just ended
                for thread in Path(f"/proc/{one}/task").iterdir():
                    found += map(int, (thread / "children").read_text().split())
        return found

    def look(self, pid: int) -> int:
        """Bytes that a process holds."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0
        self.cpu[pid] = (int(stat[11]) + int(stat[12])) / TICKS_A_SECOND
        return int(stat[21]) * PAGE_BYTES


def write(folder: Path, calls: int) -> int:
    folder.mkdir()
    chance = random.Random(SEED)
    bad = [line for line in messy.lines() if len(line) < 10_000 and b"\n" not in line]
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
