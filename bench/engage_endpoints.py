"""UpdateEndpointsBatch from several clients: endpoints a second, and what each costs.

    python -m bench.engage_endpoints [endpoints] [database url] [processes] [clients of each]

Every client writes endpoints of its own, a hundred at a time, first new ones and then again. One
house has one process; more share a PostgreSQL. Processor time is that of the clients' processes
and of PostgreSQL's on this machine; the yardstick is what one core could write by that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE

from bench.engage import house, set_up, write
from tailorbird.engage.room import Engage

DEFAULT_ENDPOINTS = 20_000
CLIENT = "--client"
TICKS = os.sysconf("SC_CLK_TCK")
ROUNDS = ("new", "again")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ENDPOINTS
    processes = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    clients = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    with tempfile.TemporaryDirectory() as folder, house(Path(folder)) as room:
        app, url = set_up(room), room.db.engine.url.render_as_string(hide_password=False)
        share = count // processes
        others = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.engage_endpoints", CLIENT, url, folder, app,
                 str(n * share), str(share), str(clients)],
                stdin=PIPE, stdout=PIPE, text=True,
            )
            for n in range(1, processes)
        ]  # fmt: skip
        for other in others:
            _expect(other)
        for name in ROUNDS:
            one_round(room, app, name, share, clients, others)
        for other in others:
            other.communicate()


def one_round(
    room: Engage, app: str, name: str, share: int, clients: int, others: list[subprocess.Popen[str]]
) -> None:
    """Everybody writes at once."""
    begun, mine, database = time.perf_counter(), time.process_time(), postgres_seconds(room)
    for other in others:
        _tell(other)
    put(room, app, range(share), clients)
    theirs = sum(float(_expect(other)) for other in others)
    wall, count = time.perf_counter() - begun, share * (len(others) + 1)
    processor = time.process_time() - mine + theirs
    database = postgres_seconds(room) - database
    each = (processor + database) / count
    print(
        f"{name:<6} {len(others) + 1} x {clients} {count / wall:>9,.0f} endpoints/s;"
        f" per 1,000: {processor / count * 1e3:.3f} s of ours, {database / count * 1e3:.3f} s of"
        f" PostgreSQL; one core {1 / each:,.0f}/s",
        flush=True,
    )


def put(room: Engage, app: str, numbers: range, clients: int) -> None:
    share = len(numbers) // clients
    with ThreadPoolExecutor(clients) as pool:
        parts = [range(numbers.start + n * share, numbers.start + (n + 1) * share)
                 for n in range(clients)]  # fmt: skip
        list(pool.map(lambda part: write(room, app, part), parts))


def client(folder: Path, app: str, first: int, share: int, clients: int) -> None:
    """One more process: writes when told, and says what it took."""
    with house(folder) as room:
        print("ready", flush=True)
        for _ in ROUNDS:
            sys.stdin.readline()
            begun = time.process_time()
            put(room, app, range(first, first + share), clients)
            print(time.process_time() - begun, flush=True)


def postgres_seconds(room: Engage) -> float:
    """Processor time of the server's processes, when it is PostgreSQL on this machine."""
    if room.db.dialect != "postgresql":
        return 0.0
    with room.db.read() as conn:
        backend = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
    server = found.get(backend, ["", "0"])[1]
    ours = [fields[11:13] for fields in found.values() if fields[1] == server]
    ours.append(found.get(int(server), [])[11:15])  # and of those that have ended
    return sum(int(ticks) for fields in ours for ticks in fields) / TICKS


def _tell(other: subprocess.Popen[str]) -> None:
    assert other.stdin is not None
    other.stdin.write("go\n")
    other.stdin.flush()


def _expect(other: subprocess.Popen[str]) -> str:
    assert other.stdout is not None
    return other.stdout.readline()


if __name__ == "__main__":
    if sys.argv[1:2] == [CLIENT]:
        client(Path(sys.argv[3]), sys.argv[4], *map(int, sys.argv[5:]))
    else:
        main()
