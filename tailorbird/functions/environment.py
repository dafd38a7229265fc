"""One execution environment: a process that speaks the Runtime API, and one invocation at a time.

Whoever holds the environment does its input and output: there is no thread behind it, so a warm
invocation is two socket reads and two writes in the caller's own thread.
Source: Lambda developer guide, "Understanding the Lambda execution environment lifecycle".
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tailorbird.functions import runtime_api
from tailorbird.functions.process import Process
from tailorbird.functions.runtime_api import BASE, ApiRequest, BadRequest, Reader

MAX_OUTPUT_BYTES = (
    4 * 1024 * 1024
)  # per invocation; what is printed beyond it is cut, and the log says so
READ_BYTES = 262_144
DEATH_SECONDS = 5.0
OUTPUT_SECONDS = 0.05  # how often a running function's output is fetched
ROOMY_PIPE_BYTES = 524_288  # a pipe that holds this much can wait that long


@dataclass
class Launched:
    """What the launcher hands over: the process and the ends of its channels."""

    pid: int
    output: int
    status: int
    listener: socket.socket | None
    channel: socket.socket | None
    others: list[socket.socket] = field(default_factory=list)
    output_bytes: int = 0  # what the output's pipe holds
    key: int = 0  # what the launcher knows it by
    handle: int | None = None  # a pidfd of its first process, when the launcher does not know it


@dataclass(frozen=True)
class Answer:
    """What the runtime posted: a result, or an error when `error_type` is set."""

    payload: bytes
    error_type: str | None = None


@dataclass(eq=False)
class _Connection:
    sock: socket.socket
    reader: Reader = field(default_factory=Reader)
    unsent: bytes = b""
    waits: bool = False
    acknowledged: bool = True  # our own clients on the inherited socket expect no answers to posts


class Environment:
    """A running runtime: starting, ready (parked on /next), busy, or dead (`exit_code` set)."""

    def __init__(self, launched: Launched, kill: Callable[[int], None]) -> None:
        self.pid = launched.pid
        self.exit_code: int | None = None
        self.init_error: Answer | None = None
        self._kill = kill
        self._launched = launched
        self._connections: dict[int, _Connection] = {}
        self._parked: _Connection | None = None
        self._request_id: str | None = None
        self._answer: Answer | None = None
        self._take: Callable[[bytes], None] | None = None
        self._output = bytearray()
        self._cut = 0
        self._process = Process(launched.pid)
        self._frozen = False
        self._epoll = select.epoll()
        os.set_blocking(launched.output, False)
        self._epoll.register(launched.status, select.EPOLLIN)
        self._watched = False  # wakes us at every line that is printed
        if launched.output_bytes < ROOMY_PIPE_BYTES:
            self._watch_output()
        if launched.listener is not None:
            launched.listener.setblocking(False)
            self._epoll.register(launched.listener, select.EPOLLIN)
        if launched.channel is not None:
            self._adopt(launched.channel, acknowledged=False)

    def wait_ready(self, deadline: float) -> bool:
        """Run until the runtime asks for an invocation; False at the deadline (monotonic seconds).

        A runtime that failed to start leaves `init_error` or `exit_code` behind.
        """
        return self._pump(lambda: self._parked is not None or self.init_error is not None, deadline)

    @property
    def is_ready(self) -> bool:
        return self._parked is not None and self.exit_code is None

    def invoke(
        self,
        request_id: str,
        message: bytes,
        deadline: float,
        take: Callable[[bytes], None] | None = None,
    ) -> Answer | None:
        """Hand one invocation to the parked runtime; None when it died or the deadline passed.

        `take` gets the pieces of a streamed result as they come, and the answer is then empty.
        """
        assert self._parked is not None
        self._request_id, self._answer, self._take = request_id, None, take
        parked, self._parked = self._parked, None
        self._send(parked, message)
        return self.wait_answer(deadline)

    def wait_answer(self, deadline: float) -> Answer | None:
        """Go on with the invocation that is running."""
        self._pump(lambda: self._answer is not None, deadline)
        answer = self._answer
        if answer is not None:
            self._request_id = self._answer = self._take = None
        return answer

    def freeze(self) -> None:
        """Stop the function's process, as Lambda does between invocations."""
        if self.is_ready and not self._frozen:
            self._frozen = self._process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a stopped process go on."""
        if self._frozen:
            self._frozen = False
            self._process.signal(signal.SIGCONT)

    def check(self) -> bool:
        """Do what input and output is waiting; True while the process lives."""
        self._pump(lambda: False, time.monotonic())
        return self.exit_code is None

    def drain(self) -> None:
        """Fetch what an idle environment's threads print, so that they never wait for us."""
        self._read_output()

    def take_output(self) -> str:
        """What it printed since the last call."""
        self._read_output()
        text = self._output.decode("utf-8", errors="replace")
        if self._cut:
            text += f"\n[{self._cut} bytes more were printed and are not kept]\n"
        self._output.clear()
        self._cut = 0
        return text

    def peak_memory_mb(self) -> int:
        """The most memory the function's process has held, 0 when that cannot be seen."""
        return self._process.peak_memory_mb()

    def kill(self) -> None:
        """End the process and everything it started, and free what it held."""
        if self.exit_code is None:
            self.interrupt()
            self._pump(lambda: False, time.monotonic() + DEATH_SECONDS)

    def interrupt(self) -> None:
        """End the process from outside; whoever holds the environment finds it dead."""
        if self._launched.handle is None:
            self._kill(self._launched.key)
            return
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._launched.handle, signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        self._read_output()
        for connection in list(self._connections.values()):
            self._drop(connection)
        launched = self._launched
        for fd in (launched.output, launched.status, launched.handle):
            if fd is not None:
                os.close(fd)
        for sock in (launched.listener, *launched.others):
            if sock is not None:
                sock.close()
        self._process.close()
        self._epoll.close()

    # input and output

    def _pump(self, until: Callable[[], bool], deadline: float) -> bool:
        """Serve the environment's sockets until something is true, it dies, or the deadline."""
        while not until():
            if self.exit_code is not None:
                return False
            left = deadline - time.monotonic()
            ready = self._epoll.poll(max(0.0, left if self._watched else min(left, OUTPUT_SECONDS)))
            for fd, events in ready:
                self._serve(fd, events)
            if not ready and left <= 0:
                return False
            if not ready and self._read_output() > self._launched.output_bytes // 4:
                self._watch_output()
        return True

    def _watch_output(self) -> None:
        """From now on fetch output as it is printed: this function prints a lot."""
        if not self._watched:
            self._watched = True
            self._epoll.register(self._launched.output, select.EPOLLIN)

    def _serve(self, fd: int, events: int) -> None:
        launched = self._launched
        if fd == launched.output:
            self._read_output()
        elif fd == launched.status:
            self._died()
        elif launched.listener is not None and fd == launched.listener.fileno():
            self._accept(launched.listener)
        elif (connection := self._connections.get(fd)) is not None:
            if events & select.EPOLLOUT:
                self._flush(connection)
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._receive(connection)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._adopt(sock)

    def _adopt(self, sock: socket.socket, *, acknowledged: bool = True) -> None:
        sock.setblocking(False)
        reader = Reader(stream=self._streams)
        self._connections[sock.fileno()] = _Connection(sock, reader, acknowledged=acknowledged)
        self._epoll.register(sock, select.EPOLLIN)

    def _receive(self, connection: _Connection) -> bool:
        """Read and handle what has come; False when there was nothing (more) to read."""
        try:
            data = connection.sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return False
        try:
            for request in connection.reader.feed(data):
                self._handle(connection, request)
        except BadRequest:
            self._drop(connection)
            return False
        if connection.reader.wants_continue():
            self._send(connection, b"HTTP/1.1 100 Continue\r\n\r\n")
        return connection.sock.fileno() >= 0

    def _send(self, connection: _Connection, data: bytes) -> None:
        connection.unsent = connection.unsent + data if connection.unsent else data
        self._flush(connection)

    def _flush(self, connection: _Connection) -> None:
        try:
            sent = connection.sock.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(connection)
            return
        connection.unsent = connection.unsent[sent:]
        if bool(connection.unsent) != connection.waits:
            connection.waits = bool(connection.unsent)
            wanted = select.EPOLLIN | (select.EPOLLOUT if connection.waits else 0)
            self._epoll.modify(connection.sock, wanted)

    def _drop(self, connection: _Connection) -> None:
        """Forget a closed connection, so that nothing is ever handed to it."""
        if self._parked is connection:
            self._parked = None
        if self._connections.pop(connection.sock.fileno(), None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(connection.sock)
        connection.sock.close()

    def _read_output(self) -> int:
        """Fetch what was printed; how many bytes that was."""
        total = 0
        while True:
            try:
                data = os.read(self._launched.output, READ_BYTES)
            except BlockingIOError:
                return total
            if not data:
                with contextlib.suppress(OSError):
                    self._epoll.unregister(self._launched.output)
                return total
            total += len(data)
            room = max(0, MAX_OUTPUT_BYTES - len(self._output))
            self._output += data[:room]
            self._cut += max(0, len(data) - room)
            if len(data) < READ_BYTES:
                return total

    def _died(self) -> None:
        """Read the last words of a process that ended, then its exit code."""
        for connection in list(self._connections.values()):
            while self._receive(connection):
                pass
        self._read_output()
        self._parked = None
        text = os.read(self._launched.status, 16)
        self.exit_code = int(text) if text else -9
        with contextlib.suppress(OSError):
            self._epoll.unregister(self._launched.status)

    # the Runtime API

    def _handle(self, connection: _Connection, request: ApiRequest) -> None:
        path = request.path.removeprefix(BASE)
        if path == "invocation/next" and request.method == "GET":
            self._parked = connection
        elif path == "init/error":
            self._on_init_error(connection, request)
        elif path.startswith("invocation/") and request.method == "POST":
            self._on_answer(connection, path, request)
        else:
            self._send(connection, runtime_api.refusal(404, "NotFound", f"no such call: {path}"))

    def _streams(self, path: str, headers: Mapping[str, str]) -> Callable[[bytes], None] | None:
        """What takes the pieces of this body: the invocation's caller, when it is the result."""
        is_result = path == f"{BASE}invocation/{self._request_id}/response"
        if is_result and headers.get(runtime_api.RESPONSE_MODE, "").lower() == "streaming":
            return self._take
        return None

    def _on_init_error(self, connection: _Connection, request: ApiRequest) -> None:
        error_type = request.headers.get(runtime_api.ERROR_TYPE, "Runtime.Unknown")
        self.init_error = Answer(request.body, error_type)
        self._send(connection, runtime_api.ACCEPTED)

    def _on_answer(self, connection: _Connection, path: str, request: ApiRequest) -> None:
        _, request_id, kind = [*path.split("/", 2), "", ""][:3]
        if request_id != self._request_id or self._answer is not None:
            self._acknowledge(
                connection, runtime_api.refusal(400, "InvalidRequestID", "Invalid request ID")
            )
            return
        if request.too_large:
            self._answer = Answer(_too_large(), "Function.ResponseSizeTooLarge")
            message = _TOO_LARGE.format(runtime_api.MAX_RESPONSE_BYTES)
            self._acknowledge(
                connection, runtime_api.refusal(413, "RequestEntityTooLarge", message)
            )
            return
        self._answer = _answer(kind, request)
        self._acknowledge(connection, runtime_api.ACCEPTED)

    def _acknowledge(self, connection: _Connection, response: bytes) -> None:
        if connection.acknowledged:
            self._send(connection, response)


_TOO_LARGE = "Response payload size exceeded maximum allowed payload size ({} bytes)."


def _too_large() -> bytes:
    message = _TOO_LARGE.format(runtime_api.MAX_RESPONSE_BYTES)
    error = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}
    return json.dumps(error, separators=(",", ":")).encode()


def _answer(kind: str, request: ApiRequest) -> Answer:
    """A result or an error; a streamed result may end in an error that its trailers hold."""
    error_type = request.headers.get(runtime_api.ERROR_TYPE)
    if kind == "error":
        return Answer(request.body, error_type or "Unhandled")
    if error_type is None:
        return Answer(request.body)
    return Answer(_trailing_error(request.headers, error_type), error_type)


def _trailing_error(headers: Mapping[str, str], error_type: str) -> bytes:
    with contextlib.suppress(ValueError):
        if body := base64.b64decode(headers.get(runtime_api.ERROR_BODY, ""), validate=True):
            return body
    message = "The function failed while it streamed its result."
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()
