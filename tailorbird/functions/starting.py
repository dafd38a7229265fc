"""How an execution environment comes to be: walls, code, variables, /tmp, and the way out."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from tailorbird import ids
from tailorbird.errors import Unavailable
from tailorbird.functions import (
    cgroups,
    logs,
    packages,
    proxy,
    runtimes,
    sandbox,
    seccomp,
    variables,
)
from tailorbird.functions.authority import Authority
from tailorbird.functions.cgroups import Cgroups, Group
from tailorbird.functions.credentials import Credentials
from tailorbird.functions.egress import Egress, Exit, Inner
from tailorbird.functions.environment import Environment, Launched
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.proxy import Doors
from tailorbird.functions.resolve import FunctionVersion
from tailorbird.functions.runtimes import interpreters
from tailorbird.functions.runtimes.runtime import BOOT, Places, Runtime
from tailorbird.functions.sandbox import HOUSE_PORT, RUNTIME_API_PORT, Mount, Walls
from tailorbird.functions.spawn import Launcher, Plan
from tailorbird.functions.templates import Templates
from tailorbird.functions.unpacking import code_folder, layers_folder

if TYPE_CHECKING:
    from tailorbird.functions.room import Functions

PROBE_SECONDS = 10.0
TMP_MODE = 0o1777
OWN_MODE = 0o700
BUNDLE_VARIABLE = "TAILORBIRD_BUNDLE"  # "legacy": boto3 of 2021, for zips that bring their urllib3
MAX_COUNTED_FILES = 20_000
MIB = 1024 * 1024
# Inside a private network: the Runtime API, the house, and the doors that lead by host name.
PORTS = (RUNTIME_API_PORT, HOUSE_PORT, *sandbox.WEB_PORTS)

log = logging.getLogger("tailorbird.functions")


@dataclass(eq=False)
class Slot:
    """An environment and what belongs to it: its function, its log stream, its /tmp."""

    number: int
    version: FunctionVersion
    runtime: Runtime
    environment: Environment
    log: logs.Writer
    tmp: Path
    started: float
    used: float
    way_out: Exit
    group: Group | None = None
    invocations: int = 0
    retired: bool = False
    busy: bool = False  # an invocation has it

    @property
    def arn(self) -> str:
        return self.version.ref.arn


class Starter:
    """Starts and ends environments behind the best walls this machine allows."""

    def __init__(self, room: Functions) -> None:
        self._room = room
        self._credentials = Credentials(room)
        self._spare_tmp: dict[tuple[str, str], list[Path]] = defaultdict(list)
        self._lock = threading.Lock()
        names = room.settings.functions_legacy_runtimes.split(",")
        self._legacy_names = {name.strip() for name in names}
        authority = Authority(room.root / "authority")
        _prepare_folders(room.root, authority)
        self.cgroups = cgroups.find() if room.settings.functions_memory_limit else Cgroups()
        self._launcher, self.walls = _raise_walls(room.settings.functions_sandbox, room.root)
        most = room.settings.functions_templates
        self.templates = Templates(self._launcher, self.walls, room.root, most)
        allowed = [host.strip() for host in room.settings.functions_egress.split(",")]
        self._egress = Egress(room.house, authority, [host for host in allowed if host])
        self._doors: Path | None = None
        if not self.walls.private_network:  # a short path: a socket's name is 107 bytes at most
            self._doors = Path(tempfile.mkdtemp(prefix="tailorbird-"))

    def start(self, version: FunctionVersion, number: int) -> Slot:
        """A new environment of the version; its runtime is still starting."""
        room, walls, ref = self._room, self.walls, version.ref
        runtime = runtimes.find(version.runtime, self._bundle(version))
        code, layers = code_folder(room, version), layers_folder(room, version)
        day = time.strftime("%Y/%m/%d", time.gmtime(room.clock.now()))
        kept = logs.folder(room.root, ref.account, ref.region, version.logging.group)
        stream = logs.new_stream(kept, ref.name, version.version, day)
        written = logs.Writer(stream)
        tmp = self._tmp(version, number)
        listener = None if walls.private_network else _loopback_listener()
        etc = room.root / "etc"
        places = (
            Places() if walls.private_network else _real_places(code, layers, runtime, tmp, etc)
        )
        api = listener.getsockname()[1] if listener else RUNTIME_API_PORT
        house = f"http://127.0.0.1:{HOUSE_PORT}" if walls.private_network else room.url
        key = self._credentials.key(ref, version.role)
        doors = proxy.open_doors(self._doors, number) if self._doors else None
        led = proxy.variables(doors, room.house[0]) if doors else {}
        address = f"127.0.0.1:{api}"
        env = variables.of(version, runtime, places, key, house, address, stream.name, led)
        group = self.cgroups.make(number, version.memory_mb) if walls.level != "none" else None
        plan = self._plan(version, runtime, places, code, layers, tmp, number, env)
        plan = replace(plan, cgroups=group.members if group else ())
        launched = self._fork(version, runtime, plan, code, layers, tmp, number)
        launched = launched or self._launcher.spawn(plan)
        launched.listener = listener or launched.listener
        way_out = self._way_out(launched, doors, ref.arn, written)
        environment = Environment(launched, self._launcher.kill)
        now = time.monotonic()
        return Slot(number, version, runtime, environment, written, tmp, now, now, way_out, group)

    def end(self, slot: Slot, *, keep_tmp: bool) -> None:
        """End an environment; its /tmp can pass to the function's next one."""
        slot.environment.close()
        self._egress.detach(slot.way_out)
        slot.log.close()
        if slot.group is not None:
            slot.group.remove()
        if keep_tmp and not slot.retired:
            with self._lock:
                self._spare_tmp[slot.version.key[:2]].append(slot.tmp)
        else:
            shutil.rmtree(slot.tmp, ignore_errors=True)

    def overflows(self, slot: Slot) -> bool:
        """True when the environment's /tmp holds more than its function may store."""
        return _bytes_below(slot.tmp) > slot.version.storage_mb * MIB

    def kill(self, slot: Slot, why: str) -> None:
        """End an environment from outside; whoever holds it finds it dead. Its /tmp is not kept."""
        slot.retired = True
        slot.log.write(int(time.time() * 1000), f"Tailorbird ended the environment: {why}\n")
        slot.environment.interrupt()

    def forget(self, ref: FunctionRef) -> None:
        """Drop what ended environments of the function left for its next ones."""
        with self._lock:
            keys = [key for key in self._spare_tmp if is_meant(ref, *key)]
            spare = [folder for key in keys for folder in self._spare_tmp.pop(key)]
        for folder in spare:
            shutil.rmtree(folder, ignore_errors=True)

    def prepare(self, runtime: str) -> None:
        """Expect functions of this runtime: what their first one would wait for is made now."""
        with contextlib.suppress(Unavailable):
            self.templates.prepare(runtimes.find(runtime))

    def is_prepared(self, runtime: str) -> bool:
        """True when environments of the runtime are forked."""
        return self.templates.is_ready(runtimes.find(runtime))

    def stop(self) -> None:
        """End the launcher and everything it started."""
        self.templates.stop()
        self._launcher.stop()
        self.cgroups.close()
        self._egress.stop()
        if self._doors is not None:
            shutil.rmtree(self._doors, ignore_errors=True)
        shutil.rmtree(_tmp_root(self._room.root), ignore_errors=True)

    def caller_at(self, port: int) -> str | None:
        """The ARN of the function that a connection from this port of ours comes from."""
        return self._egress.callers.get(port)

    def _fork(
        self,
        version: FunctionVersion,
        runtime: Runtime,
        plan: Plan,
        code: Path,
        layers: Path | None,
        tmp: Path,
        number: int,
    ) -> Launched | None:
        """The environment as a fork of a loaded interpreter, where that changes nothing for it."""
        fit = self.templates.find(runtime, version.variables, code, layers)
        if fit is None:
            return None
        folders = {"/var/task": code, "/opt": layers, "/tmp": tmp}
        return self.templates.fork(fit, plan, folders, number)

    def _way_out(
        self, launched: Launched, doors: Doors | None, function: str, log: logs.Writer
    ) -> Exit:
        if doors is not None:
            return self._egress.attach_doors(doors, function, _report(log))
        house, *web, names, watch = launched.others
        launched.others = []
        inner = Inner(house, web, names, watch)
        return self._egress.attach(inner, function, _report(log))

    def _plan(
        self,
        version: FunctionVersion,
        runtime: Runtime,
        places: Places,
        code: Path,
        layers: Path | None,
        tmp: Path,
        number: int,
        env: dict[str, str],
    ) -> Plan:
        walls = self.walls
        interpreter, mounts = sandbox.interpreter(runtime.binary, walls)
        if runtime.libraries:
            mounts += sandbox.libraries(runtime.libraries, runtime.shown, places.runtime)
        mounts += [
            Mount(code, places.task),
            Mount(BOOT, places.boot),
            Mount(self._room.root / "etc", "/etc"),
            Mount(tmp, places.tmp, writable=True),
        ]
        if layers is not None:
            mounts.append(Mount(layers, places.layers))
        brought = layers is not None and any(layers.glob("nodejs/**/node_modules/*aws-sdk"))
        if runtime.modules and not brought:
            mounts.append(Mount(runtime.modules, "/var/node_modules"))
        inner = runtime.command(interpreter, places, version.memory_mb)
        return Plan(
            sandbox.command(walls, inner, mounts, places.task, number),
            env,
            cwd="/" if walls.private_network else places.task,
            ports=PORTS if walls.private_network else (),
            datagrams=(sandbox.NAME_PORT,) if walls.private_network else (),
            watched=walls.private_network,
            channel=runtime.channel,
            seccomp=walls.seccomp,
            rlimits=sandbox.limits(walls, version.storage_mb * MIB),
        )

    def _bundle(self, version: FunctionVersion) -> str:
        """The libraries a Python function asks for, or that go with the name of its runtime."""
        asked = version.variables.get(BUNDLE_VARIABLE)
        if asked is not None:
            return asked
        old = version.runtime in self._legacy_names and runtimes.has_legacy()
        return runtimes.LEGACY if old else ""

    def _tmp(self, version: FunctionVersion, number: int) -> Path:
        """The function's /tmp that a killed environment left, else an empty one."""
        with self._lock:
            spare = self._spare_tmp.get(version.key[:2])
            folder = spare.pop() if spare else None
        if folder is None:
            folder = _tmp_root(self._room.root) / ids.hex32()
            folder.mkdir()
            folder.chmod(TMP_MODE)
        if user := sandbox.owner(self.walls, number):
            _give(folder, *user)
        return folder


def is_meant(ref: FunctionRef, arn: str, version: str) -> bool:
    """True when the reference means this version of this function: it, or every version."""
    return arn == ref.arn and ref.qualifier in (None, version)


def _raise_walls(wanted: str, root: Path) -> tuple[Launcher, Walls]:
    """A launcher and the best walls that work here, tried by starting something behind them."""
    for walls in sandbox.candidates(wanted, _filter_file(root), sandbox.first_uid(root)):
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
        f"functions_sandbox is {wanted!r}, which does not work here; one of"
        f" {', '.join(sandbox.LEVELS)} is right, or nothing for the best there is"
    )


def _stands(launcher: Launcher, walls: Walls, root: Path) -> bool:
    """True when a process behind these walls starts, and may read the house's libraries."""
    mounts = [Mount(root / "etc", "/etc"), Mount(Path(orjson.__file__).parent, "/var/runtime")]
    interpreter, more = sandbox.interpreter(interpreters.house().binary, walls)
    reading = [interpreter, "-S", "-c", "open('/var/runtime/__init__.py')"]
    argv = sandbox.command(walls, reading, [*mounts, *more], "/", 0)
    env = {"LD_LIBRARY_PATH": "/var/lang/lib"}
    launched = launcher.spawn(Plan(argv, env, ports=(RUNTIME_API_PORT,), seccomp=walls.seccomp))
    environment = Environment(launched, launcher.kill)
    environment.wait_ready(time.monotonic() + PROBE_SECONDS)
    stands = environment.exit_code == 0
    if not stands:
        log.info("bubblewrap: %s", environment.take_output().strip())
    environment.close()
    return stands


def _filter_file(root: Path) -> Path | None:
    """The seccomp program as a file for bubblewrap; none where the system calls are not known."""
    program = seccomp.program()
    if program is None:
        return None
    file = root / "seccomp.bpf"
    if not file.exists() or file.read_bytes() != program:
        staging = file.with_name(f".{file.name}.{os.getpid()}")
        staging.write_bytes(program)
        staging.replace(file)
    return file


def _prepare_folders(root: Path, authority: Authority) -> None:
    for name in ("code", "logs"):
        (root / name).mkdir(parents=True, exist_ok=True)
    files = sandbox.etc_files(authority.bundle(), authority.pem, sandbox.first_uid(root))
    for name, text in files.items():
        file = root / "etc" / name
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            staging = file.with_name(f".{file.name}.{os.getpid()}")
            staging.write_text(text)
            staging.replace(file)
    packages.sweep(root)
    for left in (root / "tmp").glob("*"):
        if not Path(f"/proc/{left.name}").exists():
            shutil.rmtree(left, ignore_errors=True)
    _tmp_root(root).mkdir(parents=True, exist_ok=True, mode=OWN_MODE)


def _tmp_root(root: Path) -> Path:
    """Each process of the house has its own, so that none sweeps up another's."""
    return root / "tmp" / str(os.getpid())


def _real_places(code: Path, layers: Path | None, runtime: Runtime, tmp: Path, etc: Path) -> Places:
    libraries = str(runtime.libraries or "/var/runtime")
    return Places(
        str(code), libraries, str(layers or "/opt"), str(BOOT), str(tmp), str(etc.resolve())
    )


def _loopback_listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def _bytes_below(folder: Path) -> int:
    """What the files below a folder take on the disk, as far as the first many of them tell."""
    total = 0
    for seen, path in enumerate(folder.rglob("*")):
        with contextlib.suppress(OSError):
            total += path.lstat().st_blocks * 512
        if seen >= MAX_COUNTED_FILES:
            break
    return total


def _give(folder: Path, uid: int, gid: int) -> None:
    """Make a user the owner of a folder and everything in it, links themselves included."""
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(base) / name, uid, gid, follow_symlinks=False)
    os.chown(folder, uid, gid)


def _report(log: logs.Writer) -> Callable[[str], None]:
    return lambda text: log.write(int(time.time() * 1000), text)
