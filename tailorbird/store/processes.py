"""Names of processes that tell whether the process still lives."""

from __future__ import annotations

import gc
import os
import socket
from pathlib import Path

COLLECT_AFTER_OBJECTS = 100_000


def process_name() -> str:
    """`host|pid|start time`: enough to see on this machine whether the process still lives."""
    return f"{socket.gethostname()}|{os.getpid()}|{_start_time(os.getpid())}"


def is_dead(worker: str) -> bool:
    host, pid, rest = [*worker.split("|"), "", ""][:3]
    started = rest.split(":")[0]
    return host == socket.gethostname() and pid.isdigit() and _start_time(int(pid)) != started


def _start_time(pid: int) -> str:
    """Start of a process in clock ticks (Linux): a reused pid is another process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "" if pid != os.getpid() else "alive"
    return stat.rpartition(")")[2].split()[19]


def spare_the_collector() -> None:
    """What is there at the start stays: looking through it again costs a fifth of a long run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, 20, 10)
