"""The keeper of execution environments: one invocation each, kept warm, bounded, let go idle."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird import ids
from tailorbird.errors import Throttled, Unavailable
from tailorbird.functions import logs, packages, runtimes, sandbox, variables
from tailorbird.functions.credentials import RENEW_SECONDS, Credentials
from tailorbird.functions.egress import Egress
from tailorbird.functions.environment import Environment
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.resolve import FunctionVersion
from tailorbird.functions.runtimes.runtime import BOOT, Runtime
from tailorbird.functions.sandbox import HOUSE_PORT, RUNTIME_API_PORT, Mount, Walls
from tailorbird.functions.spawn import Launcher, Plan
from tailorbird.functions.variables import Places

if TYPE_CHECKING:
    from tailorbird.functions.room import Functions

SWEEP_SECONDS = 2.0
PROBE_SECONDS = 10.0
MIB = 1024 * 1024

log = logging.getLogger("tailorbird.functions")


@dataclass(eq=False)
class Slot:
    """An environment and what belongs to it: its function, its log stream, its /tmp."""

    number: int
    version: FunctionVersion
    runtime: Runtime
    environment: Environment
    stream: logs.Stream
    tmp: Path
    started: float
    used: float
    doors: list[asyncio.AbstractServer] = field(default_factory=list)
    invocations: int = 0
    retired: bool = False

    @property
    def arn(self) -> str:
        return self.version.ref.arn


class Supervisor:
    """Hands out a ready environment per invocation and takes it back."""

    def __init__(self, room: Functions) -> None:
        self._room = room
        settings = room.settings
        self._most = settings.functions_max_environments
        self._most_per_function = settings.functions_max_per_function
        self._idle_seconds = settings.functions_idle_seconds
        self._wait_seconds = settings.functions_wait_seconds
        self._turn = threading.Condition()
        self._ended = self._failed = 0
        self._idle: dict[tuple[str, str, str], list[Slot]] = defaultdict(list)
        self._slots: set[Slot] = set()
        self._numbers = set(range(sandbox.SLOTS))
        self._held: dict[str, int] = defaultdict(int)  # environments by function, also unborn ones
        self._spare_tmp: dict[str, list[Path]] = defaultdict(list)
        self._credentials = Credentials(room)
        self._stopped = threading.Event()
        _prepare_folders(room.root)
        self._launcher, self.walls = _raise_walls(settings.functions_sandbox, room.root)
        self._egress = Egress(room.house) if self.walls.private_network else None
        self._sweeper = threading.Thread(target=self._sweep, name="functions-sweeper", daemon=True)
        self._sweeper.start()

    def acquire(self, version: FunctionVersion, *, fresh: bool = False) -> Slot:
        """A warm environment of the version, else a new one; Throttled when none comes free."""
        deadline = time.monotonic() + self._wait_seconds
        while True:
            slot = self._claim(version, deadline, fresh)
            if slot is None:
                return self._start(version)
            if slot.environment.check() and not slot.retired:
                return slot
            self.discard(slot)

    def release(self, slot: Slot) -> None:
        """Put a healthy environment back for the next invocation."""
        with self._turn:
            slot.used = time.monotonic()
            keep = not slot.retired and not self._stopped.is_set()
            if keep:
                self._idle[slot.version.key].append(slot)
                self._turn.notify()
        if not keep:
            self.discard(slot)

    def discard(self, slot: Slot, *, keep_tmp: bool = False) -> None:
        """End an environment; its /tmp can pass to the function's next one."""
        slot.environment.close()
        if self._egress is not None:
            for door in slot.doors:
                self._egress.detach(door)
        if keep_tmp and not slot.retired:
            self._spare_tmp[slot.arn].append(slot.tmp)
        else:
            shutil.rmtree(slot.tmp, ignore_errors=True)
        with self._turn:
            self._slots.discard(slot)
            self._numbers.add(slot.number)
            self._forget(slot.arn)

    def retire(self, ref: FunctionRef) -> None:
        """End the function's idle environments, and its busy ones when they are done."""
        with self._turn:
            mine = [slot for slot in self._slots if slot.arn == ref.arn]
            for slot in mine:
                slot.retired = True
            idle = [slot for slot in mine if slot in self._idle.get(slot.version.key, ())]
            for slot in idle:
                self._idle[slot.version.key].remove(slot)
            spare = self._spare_tmp.pop(ref.arn, [])
        for slot in idle:
            self.discard(slot)
        for folder in spare:
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        """End every environment and the launcher."""
        self._stopped.set()
        with self._turn:
            idle = [slot for slots in self._idle.values() for slot in slots]
            self._idle.clear()
        for slot in idle:
            self.discard(slot)
        self._launcher.stop()
        if self._egress is not None:
            self._egress.stop()
        self._sweeper.join()
        shutil.rmtree(_tmp_root(self._room.root), ignore_errors=True)

    def counts(self) -> dict[str, int]:
        """Environments alive, how many of them are idle, and invocations since the start."""
        with self._turn:
            idle = sum(len(slots) for slots in self._idle.values())
            return {
                "environments": len(self._slots),
                "idle": idle,
                "invocations": self._ended,
                "errors": self._failed,
            }

    def ended(self, *, failed: bool) -> None:
        """Count an invocation that is over."""
        with self._turn:
            self._ended += 1
            self._failed += failed

    # choosing

    def _claim(self, version: FunctionVersion, deadline: float, fresh: bool) -> Slot | None:
        """An idle environment, or None for leave to start one (counted already)."""
        arn = version.ref.arn
        with self._turn:
            while True:
                idle = self._idle.get(version.key)
                if idle and not fresh:
                    return idle.pop()
                if self._stopped.is_set():
                    raise Unavailable("The house is stopping: no more invocations")
                if self._held[arn] < self._most_per_function and self._room_for_one():
                    self._held[arn] += 1
                    return None
                left = deadline - time.monotonic()
                if left <= 0 or not self._turn.wait(left):
                    raise _rate_exceeded(arn, self._held[arn])

    def _room_for_one(self) -> bool:
        """True below the global limit, making room by ending the longest idle environment."""
        if sum(self._held.values()) < self._most:
            return True
        idle = [slot for slots in self._idle.values() for slot in slots]
        if not idle:
            return False
        oldest = min(idle, key=lambda slot: slot.used)
        self._idle[oldest.version.key].remove(oldest)
        threading.Thread(target=self.discard, args=(oldest,), daemon=True).start()
        return False  # its end wakes us

    def _forget(self, arn: str) -> None:
        self._held[arn] -= 1
        if not self._held[arn]:
            del self._held[arn]
        self._turn.notify_all()

    # starting

    def _start(self, version: FunctionVersion) -> Slot:
        number = self._numbers.pop()
        try:
            slot = self._build(version, number)
        except BaseException:
            with self._turn:
                self._numbers.add(number)
                self._forget(version.ref.arn)
            raise
        with self._turn:
            self._slots.add(slot)
        return slot

    def _build(self, version: FunctionVersion, number: int) -> Slot:
        room, walls = self._room, self.walls
        runtime = runtimes.find(version.runtime)
        code = packages.unpacked(room.objects, room.root, version.package)
        ref = version.ref
        day = time.strftime("%Y/%m/%d", time.gmtime(room.clock.now()))
        stream = logs.new_stream(room.root, ref.account, ref.region, ref.name, version.version, day)
        tmp = self._tmp(ref, number)
        listener = None if walls.private_network else _loopback_listener()
        places = Places() if walls.private_network else _real_places(code, runtime, tmp)
        api = listener.getsockname()[1] if listener else RUNTIME_API_PORT
        house = f"http://127.0.0.1:{HOUSE_PORT}" if walls.private_network else room.url
        key = self._credentials.key(ref, version.role)
        env = variables.of(version, runtime, places, key, house, f"127.0.0.1:{api}", stream.name)
        launched = self._launcher.spawn(
            self._plan(version, runtime, places, code, tmp, number, env)
        )
        doors = []
        if listener is not None:
            launched.listener = listener
        elif self._egress is not None:
            doors = [self._egress.attach(door) for door in launched.others]
            launched.others = []
        environment = Environment(launched, self._launcher.kill)
        now = time.monotonic()
        return Slot(number, version, runtime, environment, stream, tmp, now, now, doors)

    def _plan(
        self,
        version: FunctionVersion,
        runtime: Runtime,
        places: Places,
        code: Path,
        tmp: Path,
        number: int,
        env: dict[str, str],
    ) -> Plan:
        walls = self.walls
        interpreter, mounts = sandbox.interpreter(runtime.binary, walls)
        mounts += [
            Mount(runtime.libraries, places.runtime),
            Mount(code, places.task),
            Mount(BOOT, places.boot),
            Mount(self._room.root / "etc", "/etc"),
            Mount(tmp, places.tmp, writable=True),
        ]
        inner = runtime.command(interpreter, places.boot)
        return Plan(
            sandbox.command(walls, inner, mounts, places.task, number),
            env,
            cwd="/" if walls.private_network else places.task,
            ports=(RUNTIME_API_PORT, HOUSE_PORT) if walls.private_network else (),
            channel=runtime.channel,
            rlimits=sandbox.limits(walls, version.storage_mb * MIB),
        )

    def _tmp(self, ref: FunctionRef, number: int) -> Path:
        """The function's /tmp that a killed environment left, else an empty one."""
        with self._turn:
            spare = self._spare_tmp.get(ref.arn)
            folder = spare.pop() if spare else None
        if folder is None:
            folder = _tmp_root(self._room.root) / ids.hex32()
            folder.mkdir(mode=0o700)
        if user := sandbox.owner(self.walls, number):
            _give(folder, *user)
        return folder

    # keeping

    def _sweep(self) -> None:
        """Now and then: end what is idle too long, old, or dead."""
        while not self._stopped.wait(SWEEP_SECONDS):
            for slot in self._stale():
                self.discard(slot)

    def _stale(self) -> list[Slot]:
        now = time.monotonic()
        stale: list[Slot] = []
        with self._turn:
            for slots in self._idle.values():
                for slot in [*slots]:
                    expired = now - slot.used > self._idle_seconds
                    if (
                        expired
                        or now - slot.started > RENEW_SECONDS
                        or not slot.environment.check()
                    ):
                        slots.remove(slot)
                        stale.append(slot)
        return stale


def _raise_walls(wanted: str, root: Path) -> tuple[Launcher, Walls]:
    """A launcher and the best walls that work here, tried by starting something behind them."""
    for walls in sandbox.candidates(wanted):
        launcher = Launcher()
        try:
            if walls.private_network and os.geteuid() != 0:
                launcher.enter_user_namespace()
            if walls.level != "bwrap" or _stands(launcher, walls, root):
                if walls.degraded:
                    log.warning("functions run at level %s: %s", walls.level, walls.degraded)
                return launcher, walls
        except Unavailable as refused:
            log.info("walls %s do not work here: %s", walls, refused.message)
        launcher.stop()
    raise Unavailable(
        f"functions_sandbox is {wanted!r}; one of {', '.join(sandbox.LEVELS)} is right"
    )


def _stands(launcher: Launcher, walls: Walls, root: Path) -> bool:
    """True when a process behind these walls starts and ends well."""
    mounts = [Mount(root / "etc", "/etc")]
    interpreter, more = sandbox.interpreter(sandbox.house_python(), walls)
    argv = sandbox.command(walls, [interpreter, "-S", "-c", ""], [*mounts, *more], "/", 0)
    env = {"LD_LIBRARY_PATH": "/var/lang/lib"}
    launched = launcher.spawn(Plan(argv, env, ports=(RUNTIME_API_PORT,)))
    environment = Environment(launched, launcher.kill)
    environment.wait_ready(time.monotonic() + PROBE_SECONDS)
    stands = environment.exit_code == 0
    if not stands:
        log.info("bubblewrap: %s", environment.take_output().strip())
    environment.close()
    return stands


def _prepare_folders(root: Path) -> None:
    for name in ("code", "logs", "etc"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in sandbox.etc_files({}).items():
        (root / "etc" / name).write_text(text)
    _tmp_root(root).mkdir(parents=True, exist_ok=True)


def _tmp_root(root: Path) -> Path:
    """Each process of the house has its own, so that none sweeps up another's."""
    return root / "tmp" / str(os.getpid())


def _real_places(code: Path, runtime: Runtime, tmp: Path) -> Places:
    return Places(str(code), str(runtime.libraries), "/opt", str(BOOT), str(tmp))


def _loopback_listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def _give(folder: Path, uid: int, gid: int) -> None:
    """Make a user the owner of a folder and everything in it, links themselves included."""
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(base) / name, uid, gid, follow_symlinks=False)
    os.chown(folder, uid, gid)


def _rate_exceeded(arn: str, held: int) -> Throttled:
    error = Throttled(
        f"Rate Exceeded. {arn} has {held} environments, all busy; functions_max_per_function and"
        " functions_max_environments set the limits",
        code="TooManyRequestsException",
    )
    error.members = {"Reason": "ConcurrentInvocationLimitExceeded"}  # type: ignore[attr-defined]
    return error
