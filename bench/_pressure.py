"""A client that costs little: signed requests made beforehand, on kept connections, in one loop."""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TICK = os.sysconf("SC_CLK_TCK")
READ_BYTES = 256 * 1024
TAIL_SECONDS = 10.0  # what is still out when the last request was sent may take so long
REGION = "us-east-1"


@dataclass
class Run:
    """What came of one round."""

    seconds: float = 0.0
    took_ms: list[float] = field(default_factory=list)  # from the moment it was due
    wrong: list[bytes] = field(default_factory=list)
    server_ms: float = 0.0  # CPU, over the round
    client_ms: float = 0.0

    def says(self, what: str) -> str:
        took, count = sorted(self.took_ms), len(self.took_ms)
        spots = ", ".join(f"p{p} {took[(count - 1) * p // 100]:.2f}" for p in (50, 95, 99))
        wrong = f"; {len(self.wrong)} FAILED: {self.wrong[0][:200]!r}" if self.wrong else ""
        return (
            f"{what}: {count / self.seconds:,.0f}/s, {spots} ms; CPU a request: server "
            f"{self.server_ms / count:.3f} ms, client {self.client_ms / count:.3f} ms{wrong}"
        )


def signed(
    url: str, keys: Credentials, service: str, path: str, body: bytes, headers: dict[str, str]
) -> bytes:
    """A whole request as it goes over the wire; it may be sent for five minutes."""
    request = AWSRequest("POST", url + path, data=body, headers=headers)
    SigV4Auth(keys, service, REGION).add_auth(request)
    lines = [f"POST {path} HTTP/1.1", f"host: {urlsplit(url).netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def closed(address: str, requests: Sequence[bytes], count: int, connections: int, pid: int) -> Run:
    """As many as the server answers: each connection asks again as soon as it is answered."""
    return _round(address, requests, count, connections, pid, 0.0)


def opened(
    address: str, requests: Sequence[bytes], count: int, connections: int, pid: int, rate: float
) -> Run:
    """So many a second whatever the server does; what a request has to wait is counted."""
    return _round(address, requests, count, connections, pid, rate)


def cpu_ms(pid: int) -> float:
    """CPU of a process and of all that it started, so far."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) * 1000 / TICK
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return total


def _round(
    address: str, requests: Sequence[bytes], count: int, connections: int, pid: int, rate: float
) -> Run:
    host, _, port = urlsplit(address).netloc.partition(":")
    sockets = {}
    poll = select.epoll()
    for _ in range(connections):
        one = socket.create_connection((host, int(port)))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[one.fileno()] = one
        poll.register(one.fileno(), select.EPOLLIN)
    run, free, due = Run(), deque(sockets), {}
    held: dict[int, bytes] = {}
    server, client, begun = cpu_ms(pid), time.process_time(), time.perf_counter()
    sent = 0
    while len(run.took_ms) < count:
        now = time.perf_counter()
        while free and sent < count and (not rate or begun + sent / rate <= now):
            number = free.popleft()
            due[number] = begun + sent / rate if rate else time.perf_counter()
            sockets[number].sendall(requests[sent % len(requests)])
            sent += 1
        wait = TAIL_SECONDS
        if rate and free and sent < count:
            wait = max(0.0, begun + sent / rate - time.perf_counter())
        found = poll.poll(wait)
        if not found and wait == TAIL_SECONDS:
            raise TimeoutError(f"{len(due)} requests were not answered")
        for number, _ in found:
            data = held.pop(number, b"") + sockets[number].recv(READ_BYTES)
            if not _whole(data):
                held[number] = data
                continue
            run.took_ms.append(1000 * (time.perf_counter() - due.pop(number)))
            free.append(number)
            if data[9:12] != b"200":
                run.wrong.append(data)
    run.seconds = time.perf_counter() - begun
    run.server_ms = cpu_ms(pid) - server
    run.client_ms = 1000 * (time.process_time() - client)
    for one in sockets.values():
        one.close()
    return run


def _whole(data: bytes) -> bool:
    head = data.find(b"\r\n\r\n")
    if head < 0:
        if not data:
            raise ConnectionError("the server closed the connection")
        return False
    place = data.lower().find(b"content-length:", 0, head)
    length = int(data[place + 15 : data.index(b"\r", place)])
    return len(data) >= head + 4 + length
