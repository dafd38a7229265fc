"""From `tailorbird up` to its first healthy answer, and the memory it then holds while idle.

The floor in the same run: an interpreter that only imports what every server needs (uvicorn,
starlette, sqlalchemy), and the command line's --help.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

RUNS = 5
IDLE_SECONDS = 3.0
FLOOR = "import uvicorn, starlette.applications, sqlalchemy"


def main() -> None:
    floor = statistics.median(run_seconds(["-c", FLOOR]) for _ in range(RUNS))
    helped = statistics.median(run_seconds(["-m", "tailorbird", "--help"]) for _ in range(RUNS))
    with tempfile.TemporaryDirectory() as folder:
        first, _ = start(Path(folder))
        runs = [start(Path(folder)) for _ in range(RUNS)]
    again = statistics.median(seconds for seconds, _ in runs)
    memory = statistics.median(megabytes for _, megabytes in runs)
    print(f"imports every server needs   {floor:6.2f} s")
    print(f"tailorbird --help            {helped:6.2f} s")
    print(f"up, first start (empty data) {first:6.2f} s  {first / floor:.1f} times the floor")
    print(f"up, again                    {again:6.2f} s  {again / floor:.1f} times the floor")
    print(f"idle memory                  {memory:6.0f} MB of all its processes")


def run_seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def start(data: Path) -> tuple[float, float]:
    """Seconds until healthy, and megabytes after a while of nothing to do."""
    port = free_port()
    began = time.perf_counter()
    command = ["-m", "tailorbird", "up", "--port", str(port), "--data", str(data)]
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    try:
        while not healthy(port):
            if process.poll() is not None:
                sys.exit("the server did not start")
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        time.sleep(IDLE_SECONDS)
        return seconds, sum(resident_megabytes(pid) for pid in family(process.pid))
    finally:
        process.terminate()
        process.wait()


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def family(pid: int) -> list[int]:
    """The process and all below it (Linux)."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def resident_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
