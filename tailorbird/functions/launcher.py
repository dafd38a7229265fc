"""The launcher: a small single-threaded process that starts execution environments and reaps them.

It runs with the standard library only. One request on its control socket starts one environment,
with its listeners made inside a network namespace of its own; a closed control socket ends all.
It is a process because namespaces and parent-death signals belong to a thread, and callers' threads
come and go.
"""

from __future__ import annotations

import array
import ctypes
import itertools
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parent / "runtimes" / "boot"))
from private_network import furnish  # type: ignore[import-not-found]

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
SECCOMP_FD = "{seccomp}"
MESSAGE_BYTES = 262_144

libc = ctypes.CDLL(None, use_errno=True)
_keys = itertools.count(1)


class Child(NamedTuple):
    """A started environment. Its key is its own for good, while its process id is given anew as
    soon as it is reaped: whoever asks for the end of a dead one must not end another."""

    key: int
    status: int  # the pipe that its exit status goes to


def main(control_fd: int) -> None:
    """Serve spawn requests until the control socket closes, then kill what is left."""
    control = socket.socket(fileno=control_fd)
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    children: dict[int, Child] = {}
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(woken, select.POLLIN)
    try:
        while True:
            for fd, _ in poller.poll():
                if fd == woken:
                    os.read(woken, 4096)
                    _reap(children)
                elif not _answer(control, children):
                    return
    finally:
        for pid in children:
            _kill(pid)


def _answer(control: socket.socket, children: dict[int, Child]) -> bool:
    """Carry out one request; False when the house has gone."""
    data, fds, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 8)
    if not data:
        return False
    request = json.loads(data)
    sockets: list[socket.socket] = []
    try:
        if "kill" in request:
            for pid, child in children.items():
                if child.key == request["kill"]:
                    _kill(pid)
            reply: dict[str, object] = {}
        elif "enter" in request:
            _enter_user_namespace()
            reply = {}
        else:
            pid, sockets = _spawn(request, fds)
            child = Child(next(_keys), fds.pop())
            children[pid] = child
            reply = {"pid": pid, "key": child.key}
    except OSError as error:
        reply = {"error": f"{error.strerror or error} ({error.filename or 'launcher'})"}
    _reply(control, reply, sockets)
    for leftover in fds:
        os.close(leftover)
    return True


def _reply(control: socket.socket, reply: dict[str, object], sockets: list[socket.socket]) -> None:
    packed = array.array("i", [s.fileno() for s in sockets])
    control.sendmsg(
        [json.dumps(reply).encode()],
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)] if sockets else [],
    )
    for made in sockets:
        made.close()


def _spawn(request: dict, fds: list[int]) -> tuple[int, list[socket.socket]]:
    """Start one environment. `fds`: its output, what it inherits, the status pipe."""
    sockets: list[socket.socket] = []
    if request["ports"]:
        _check(libc.unshare(CLONE_NEWNET), "unshare network")
        sockets = furnish(request["ports"], request["datagrams"], request["watched"])
    output, inherited = fds[0], fds[1:-1]
    env = dict(request["env"])
    if inherited:
        env["TAILORBIRD_RUNTIME_FD"] = str(inherited[0])
    argv, filters = _with_filter(request)
    try:
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=request["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[*inherited, *filters],
            start_new_session=True,
            preexec_fn=_confine(request),
        )
    finally:
        for fd in filters:
            os.close(fd)
    process.returncode = 0  # reaped by _reap; keeps Popen from waiting itself
    return process.pid, sockets


def _with_filter(request: dict) -> tuple[list[str], list[int]]:
    """The command with the number of its opened seccomp program, for bubblewrap to read."""
    if not request["seccomp"]:
        return request["argv"], []
    fd = os.open(request["seccomp"], os.O_RDONLY | os.O_CLOEXEC)
    return [str(fd) if word == SECCOMP_FD else word for word in request["argv"]], [fd]


def _confine(request: dict) -> Callable[[], None]:
    """What the child does to itself between fork and exec."""

    def confine() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for path in request.get("cgroups", []):
            Path(path).write_text(str(os.getpid()))
        for name, value in request.get("rlimits", {}).items():
            _lower(getattr(resource, name), value)

    return confine


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _enter_user_namespace() -> None:
    """Become root of a user namespace, so that an ordinary user can make network namespaces."""
    uid, gid = os.getuid(), os.getgid()
    _check(libc.unshare(CLONE_NEWUSER), "unshare user")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"0 {uid} 1"),
        ("gid_map", f"0 {gid} 1"),
    ):
        Path(f"/proc/self/{name}").write_text(text)


def _reap(children: dict[int, Child]) -> None:
    """Write each dead child's wait status to its status pipe and close it."""
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if (child := children.pop(pid, None)) is not None:
            os.write(child.status, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(child.status)


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)


if __name__ == "__main__":
    main(int(sys.argv[1]))
