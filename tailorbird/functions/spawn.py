"""The house's end of the launcher: ask it for an environment, get the process and its channels."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tailorbird.errors import Unavailable
from tailorbird.functions.environment import Launched

PIPE_BYTES = 1_048_576
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
REPLY_BYTES = 65_536
REPLY_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What to start: a command, its environment, and what it gets in its network namespace."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str = "/"
    ports: Sequence[int] = ()  # listeners on 127.0.0.1 of a network namespace of its own
    datagrams: Sequence[int] = ()  # the same for UDP
    watched: bool = False  # a socket that sees every connection begun, after the others
    channel: bool = False  # a socket that speaks the Runtime API, inherited
    rlimits: Mapping[str, int] = field(default_factory=dict)
    cgroups: Sequence[str] = ()
    seccomp: str = ""  # file of a filter program for bubblewrap


@dataclass
class Channels:
    """The pipes and the socket of one environment: our ends, and `given`, those it inherits."""

    output: int
    status: int
    channel: socket.socket | None
    given: list[int]

    @classmethod
    def open(cls, *, channel: bool) -> Channels:
        """Output, the Runtime API's socket where wanted, and the exit status, in this order."""
        output_read, output_write = os.pipe2(os.O_CLOEXEC)
        status_read, status_write = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(output_read, F_SETPIPE_SZ, PIPE_BYTES)
        given, ours = [output_write], None
        if channel:
            ours, theirs = socket.socketpair()
            given.append(theirs.detach())
        return cls(output_read, status_read, ours, [*given, status_write])

    def launched(
        self,
        pid: int,
        listener: socket.socket | None,
        others: list[socket.socket],
        handle: int | None = None,
    ) -> Launched:
        output_bytes = fcntl.fcntl(self.output, F_GETPIPE_SZ)
        return Launched(
            pid,
            self.output,
            self.status,
            listener,
            self.channel,
            others,
            output_bytes,
            handle=handle,
        )

    def close_given(self) -> None:
        """Leave the environment's ends to it; at once, so that its end is seen here."""
        while self.given:
            os.close(self.given.pop())

    def close(self) -> None:
        self.close_given()
        for fd in (self.output, self.status):
            os.close(fd)
        if self.channel is not None:
            self.channel.close()


class Launcher:
    """A launcher process. It and all it started end when this process does, however it ends."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(REPLY_SECONDS)
        self._control = ours
        self._lock = threading.Lock()
        script = Path(__file__).with_name("launcher.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        theirs.close()

    def enter_user_namespace(self) -> None:
        """Let an unprivileged launcher make network namespaces; Unavailable when refused."""
        self._ask({"enter": True}, [])

    def spawn(self, plan: Plan) -> Launched:
        """Start an environment; Unavailable says what the system refused."""
        channels = Channels.open(channel=plan.channel)
        request = {
            "argv": list(plan.argv),
            "env": dict(plan.env),
            "cwd": plan.cwd,
            "ports": list(plan.ports),
            "datagrams": list(plan.datagrams),
            "watched": plan.watched,
            "rlimits": dict(plan.rlimits),
            "cgroups": list(plan.cgroups),
            "seccomp": plan.seccomp,
        }
        try:
            reply, sockets = self._ask(request, channels.given)
        except BaseException:
            channels.close()
            raise
        finally:
            channels.close_given()
        listener, others = (sockets[0], sockets[1:]) if sockets else (None, [])
        return replace(channels.launched(reply["pid"], listener, others), key=reply["key"])

    def kill(self, key: int) -> None:
        """Kill an environment's processes; one that has ended already is left alone."""
        with contextlib.suppress(Unavailable):
            self._ask({"kill": key}, [])

    def stop(self) -> None:
        """End the launcher and everything it started."""
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(
        self, request: dict[str, Any], fds: Sequence[int]
    ) -> tuple[dict[str, Any], list[socket.socket]]:
        packed = array.array("i", fds)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)] if fds else []
        with self._lock:
            try:
                self._control.sendmsg([json.dumps(request).encode()], ancillary)
                data, received, _, _ = socket.recv_fds(self._control, REPLY_BYTES, 16)
            except OSError as error:
                raise Unavailable(f"The launcher of functions does not answer: {error}") from None
        sockets = [socket.socket(fileno=fd) for fd in received]
        reply = json.loads(data) if data else {"error": "the launcher has ended"}
        if "error" in reply:
            raise Unavailable(f"A function's environment could not be started: {reply['error']}")
        return reply, sockets
