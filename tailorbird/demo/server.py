"""The server that the demo plays against: the same `tailorbird up`, in a process of its own."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import Unavailable
from tailorbird.remote import Remote

START_SECONDS = 30.0
STOP_SECONDS = 10.0
PR_SET_PDEATHSIG = 1
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    remote: Remote
    process: subprocess.Popen[bytes]
    started_seconds: float

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(data: Path, port: int = 0) -> Server:
    """Start a server on `data` and wait until it is ready; Unavailable shows the end of its log."""
    port, log = port or free_port(), data / "server.log"
    remote = Remote(f"http://{HOST}:{port}", data)
    command = [sys.executable, "-m", "tailorbird", "up"]
    command += ["--host", HOST, "--port", str(port), "--data", str(data)]
    began = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
    while not remote.is_ready():
        if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
            process.kill()
            raise Unavailable(f"The server did not start. {log} ends with:\n{tail(log)}")
        time.sleep(0.05)
    return Server(remote, process, time.perf_counter() - began)


def end_with_parent() -> None:
    """Linux: this process is terminated when its parent dies, however that dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
