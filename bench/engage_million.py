"""A million endpoints through a Node.js FILTER hook and rendering to a channel that does nothing.

    python -m bench.engage_million [endpoints] [database url] [processes]

Endpoints are written by SQL. Printed while it runs: how far it is, the memory of this process. At
the end: wall seconds, and processor seconds of this process and of the function's, whose sum over
the cores is what the wall clock of an idle machine comes to.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from subprocess import PIPE

from bench.engage import ROOT, Watch, add_function, house, run, set_up
from bench.segments import write
from tailorbird.engage.room import Engage

DEFAULT_ENDPOINTS = 1_000_000
WORKER = "--worker"
SHOW_EVERY_SECONDS = 10.0
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ENDPOINTS
    processes = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with tempfile.TemporaryDirectory() as folder, house(Path(folder)) as room:
        app = set_up(room)
        write(room, app, count)
        source = (ROOT / "examples/hooks/credit-score/index.js").read_text()
        add_function(room, "node", source, "nodejs20.x")
        others = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.engage_million", WORKER, sys.argv[2], folder],
                stdin=PIPE,
            )
            for _ in range(processes - 1)
        ]
        over = threading.Event()
        threading.Thread(target=_show, args=(room, count, over), daemon=True).start()
        watch, before = Watch(), _children_seconds()
        run(room, app, count, "campaign, node hook", "node")
        over.set()
        took, function = watch.read(), _children_seconds() - before
        print(
            f"{count:,} endpoints: {took.seconds:.0f} s wall; {took.processor:.0f} s of processor,"
            f" {function:.0f} s in its children, {(took.processor + function) / 2:.0f} s a core",
            flush=True,
        )
        for other in others:
            other.communicate()


def help_out(folder: Path) -> None:
    """One more process on the same database, until its standard input ends."""
    with house(folder):
        sys.stdin.read()


def _show(room: Engage, count: int, over: threading.Event) -> None:
    """How far the run is, and what it holds in memory."""
    begun = time.monotonic()
    while not over.wait(SHOW_EVERY_SECONDS):
        with room.db.read() as conn:
            done = conn.exec_driver_sql("SELECT SUM(settled) FROM engage_activities").scalar()
        print(
            f"{time.monotonic() - begun:>6.0f} s {done or 0:>10,} of {count:,}"
            f" {_resident_mb():>6.0f} MB",
            flush=True,
        )


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _children_seconds() -> float:
    """Processor time of every process that this one has started, directly or not."""
    owners: dict[int, int] = {}
    spent: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(stat.parent.name)
        owners[pid], spent[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS
    return sum(seconds for pid, seconds in spent.items() if _is_ours(pid, owners))


def _is_ours(pid: int, owners: dict[int, int]) -> bool:
    while pid := owners.get(pid, 0):
        if pid == os.getpid():
            return True
    return False


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        help_out(Path(sys.argv[3]))
    else:
        main()
