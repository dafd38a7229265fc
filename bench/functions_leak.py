"""Functions: what a hundred thousand invocations leave behind in the house and in an environment.

TAILORBIRD_BENCH_INVOCATIONS is another number of them. Every hundredth fails, every thousandth ends
its environment, and a second function prints a lot.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.functions import ACCOUNT, OWNER, REGION, _open, zipped
from tailorbird.functions import Functions, catalog, invoke

INVOCATIONS = int(os.environ.get("TAILORBIRD_BENCH_INVOCATIONS", "100000"))
ROUNDS = 5
SOURCE = """
import os
def handler(event, context):
    if event == 999: os._exit(1)
    if event % 100 == 99: raise ValueError("no")
    print("x" * (10_000 if event % 50 == 0 else 10))
    return {"n": event}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        room = _open(Path(folder))
        room.start()
        request = {
            "FunctionName": "leaky",
            "Runtime": f"python3.{sys.version_info.minor}",
            "Role": f"arn:aws:iam::{ACCOUNT}:role/bench",
            "Handler": "app.handler",
            "Code": {"ZipFile": zipped("app.py", SOURCE)},
        }
        catalog.create_function(room, OWNER, request)
        _round(room, INVOCATIONS // 20)
        first = _held()
        print(f"sandbox {room.level}; after warming: {_text(first)}", flush=True)
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            _round(room, INVOCATIONS // ROUNDS)
            took = time.perf_counter() - begun
            print(
                f"{INVOCATIONS // ROUNDS} invocations in {took:.0f} s: {_text(_held())}", flush=True
            )
        room.stop()


def _round(room: Functions, count: int) -> None:
    for number in range(count):
        event = str(number % 1000).encode()
        invoke(room, "leaky", event, caller=OWNER, account=ACCOUNT, region=REGION)


def _held() -> tuple[float, int, int, int]:
    """Memory of this process in MB, its open files, its threads, processes below it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(list(Path("/proc/self/fd").iterdir()))
    return pages * 4096 / 1e6, files, threading.active_count(), _below(os.getpid())


def _below(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return len(children) + sum(_below(int(child)) for child in children)


def _text(held: tuple[float, int, int, int]) -> str:
    memory, files, threads, below = held
    return f"{memory:.1f} MB, {files} open files, {threads} threads, {below} processes below"


if __name__ == "__main__":
    main()
