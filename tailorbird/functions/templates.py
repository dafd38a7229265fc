"""Python environments forked from a process that has boto3 loaded, where that changes nothing.

A function that brings a module of the same name as a loaded one, or variables that Python reads as
it starts, gets a process started anew: its own module must win.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tailorbird.errors import Unavailable
from tailorbird.functions import sandbox, seccomp, variables
from tailorbird.functions.environment import Environment, Launched
from tailorbird.functions.runtimes import python
from tailorbird.functions.runtimes.runtime import BOOT, Places, Runtime
from tailorbird.functions.sandbox import Mount, Walls
from tailorbird.functions.spawn import Channels, Launcher, Plan

LOAD_SECONDS = 20.0
WAIT_SECONDS = 2.0  # a template that is loading is worth waiting for: it takes as long as a start
FORK_SECONDS = 10.0
MESSAGE_BYTES = 65_536
INHERITED = ("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_STACK")
HOUSE = "/tmp"  # in a template: the house's folders of code and /tmp, covered by each fork's own
# Read by Python, the loader or libc as a process starts, so that a fork is too late for them.
EARLY = re.compile(
    r"PYTHON|LD_|LC_|LANG$|LANGUAGE$|MALLOC_|GLIBC_|OPENSSL_|BOTO|AWS_LAMBDA_EXEC_WRAPPER$"
)
FIRST = {"gevent", "eventlet", "sitecustomize", "usercustomize"}  # patch what is loaded after them

log = logging.getLogger("tailorbird.functions")


@dataclass(eq=False)
class Template:
    """One loaded interpreter, and what it has loaded beyond a bare one: `names` of Python's own
    modules, and `libraries`, which a fork can forget."""

    launched: Launched
    control: socket.socket
    names: frozenset[str]
    libraries: frozenset[str]
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Fit:
    """A template that a function may be forked from, and whether it brings a library of its own."""

    template: Template
    forgets: bool


class Templates:
    """The templates of this process, one for each interpreter that functions use."""

    def __init__(self, launcher: Launcher, walls: Walls, root: Path, most: int) -> None:
        self._launcher, self._walls, self._root, self._most = launcher, walls, root, most
        self._lock = threading.Lock()
        self._ready: dict[Path, Template | None] = {}  # None: it does not work here
        self._loading: dict[Path, threading.Event] = {}
        self._threads: list[threading.Thread] = []
        self._started: list[Launched] = []
        program = seccomp.program() if walls.seccomp else None
        self._filter = program.hex() if program else ""
        for name in ("bare", "full/lib"):
            (root / "empty" / name).mkdir(parents=True, exist_ok=True)

    def prepare(self, runtime: Runtime) -> None:
        """Load the runtime's template in the background, if there is none and room for it."""
        if not self._serves(runtime):
            return
        assert runtime.binary is not None
        with self._lock:
            known = len(self._ready) + len(self._loading)
            binary = runtime.binary
            if binary in self._ready or binary in self._loading or known >= self._most:
                return
            self._loading[binary] = threading.Event()
            thread = threading.Thread(
                target=self._load, args=(runtime,), name="functions-template", daemon=True
            )
            self._threads.append(thread)
        thread.start()

    def find(
        self,
        runtime: Runtime,
        variables: Mapping[str, str],
        code: Path,
        layers: Path | None,
    ) -> Fit | None:
        """The template a function may be forked from; None when it needs a process of its own."""
        if not self._serves(runtime) or any(EARLY.match(name) for name in variables):
            return None
        if not code.is_relative_to(self._root / "code"):
            return None
        assert runtime.binary is not None
        loading = self._loading.get(runtime.binary)
        if loading is not None:
            loading.wait(WAIT_SECONDS)
        else:
            self.prepare(runtime)
        template = self._ready.get(runtime.binary)
        own = _own_names(runtime, code, layers)
        if template is None or own & (template.names | FIRST):
            return None
        return Fit(template, forgets=bool(own & template.libraries))

    def fork(
        self, fit: Fit, plan: Plan, folders: Mapping[str, Path | None], number: int
    ) -> Launched | None:
        """An environment of the template's; None when that failed, and the next is started anew.

        `folders` are the house's for /var/task, /opt and /tmp.
        """
        template = fit.template
        request = {**self._request(plan, folders, number), "forgets": fit.forgets}
        groups = [os.open(path, os.O_WRONLY | os.O_CLOEXEC) for path in plan.cgroups]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(FORK_SECONDS)
        channels = Channels.open(channel=True)
        try:
            with template.lock:
                socket.send_fds(template.control, [b"f"], [theirs.fileno()])
            theirs.close()
            socket.send_fds(ours, [json.dumps(request).encode()], [*channels.given, *groups])
            channels.close_given()
            data, received, _, _ = socket.recv_fds(ours, MESSAGE_BYTES, 16)
            if not data:
                raise OSError(f"a fork did not get its walls: {_said(channels.output)}")
        except OSError as error:
            log.warning("functions are started anew, not forked: %s", error)
            channels.close()
            self._give_up(template)
            return None
        finally:
            theirs.close()
            ours.close()
            for fd in groups:
                os.close(fd)
        handle, *sockets = received
        listener, *others = [socket.socket(fileno=fd) for fd in sockets]
        return channels.launched(json.loads(data)["pid"], listener, others, handle)

    def is_ready(self, runtime: Runtime) -> bool:
        """True when the runtime's template has loaded, and works."""
        return runtime.binary is not None and self._ready.get(runtime.binary) is not None

    def stop(self) -> None:
        """End the templates; what was forked of them ends with them."""
        with self._lock:
            self._most = 0
            threads, self._threads = self._threads, []
            started = [*self._started]
        for launched in started:  # one that is still loading ends, too
            self._launcher.kill(launched.key)
        for thread in threads:
            thread.join(LOAD_SECONDS)
        for template in filter(None, self._ready.values()):
            _end(self._launcher, template.launched)

    def _serves(self, runtime: Runtime) -> bool:
        if not (self._most and self._walls.private_network and runtime.channel):
            return False
        return runtime.version.startswith("python") and runtime.libraries == python.libraries()

    def _load(self, runtime: Runtime) -> None:
        assert runtime.binary is not None
        template: Template | None = None
        try:
            template = self._start(runtime)
        except (Unavailable, OSError, ValueError) as error:
            if self._most:  # else it was ended with the house
                log.warning("functions are started anew, not forked: %s", error)
        with self._lock:
            self._ready[runtime.binary] = template
            self._loading.pop(runtime.binary).set()

    def _start(self, runtime: Runtime) -> Template:
        places, root = Places(), self._root
        interpreter, mounts = sandbox.interpreter(runtime.binary, self._walls)
        assert runtime.libraries is not None
        mounts += [
            *sandbox.libraries(runtime.libraries, runtime.shown, places.runtime),
            Mount(root / "empty" / "full", places.task),  # with lib/: the loader remembers absence
            Mount(root / "empty" / "full", places.layers),
            Mount(BOOT, places.boot),
            Mount(root / "etc", "/etc"),
            Mount(root / "code", f"{HOUSE}/code"),
            Mount(root / "empty", f"{HOUSE}/empty"),
            Mount(root / "tmp", f"{HOUSE}/tmp", writable=True),
        ]
        limits = sandbox.limits(self._walls, 0)
        inner = [interpreter, "-s", "-S", f"{places.boot}/template.py"]
        plan = Plan(
            sandbox.template_command(self._walls, inner, mounts),
            _variables(runtime, places),
            ports=(sandbox.RUNTIME_API_PORT,),  # for a network namespace of its own
            channel=True,
            rlimits={name: value for name, value in limits.items() if name in INHERITED},
        )
        launched = self._launcher.spawn(plan)
        with self._lock:
            self._started.append(launched)
            if not self._most:
                self._launcher.kill(launched.key)
        control = launched.channel
        assert control is not None
        control.settimeout(LOAD_SECONDS)
        names = control.recv(MESSAGE_BYTES)
        if not names:
            said = _said(launched.output)
            _end(self._launcher, launched)
            raise Unavailable(f"{runtime.version} cannot be kept loaded: {said}")
        own, libraries = json.loads(names)
        return Template(launched, control, frozenset(own), frozenset(libraries))

    def _request(
        self, plan: Plan, folders: Mapping[str, Path | None], number: int
    ) -> dict[str, object]:
        user = sandbox.owner(self._walls, number)
        binds = [
            (self._inside(folder or self._root / "empty" / "bare"), target, target == "/tmp")
            for target, folder in folders.items()
        ]
        return {
            "env": dict(plan.env),
            "uid": user[0] if user else None,
            "rlimits": dict(plan.rlimits),
            "ports": list(plan.ports),
            "datagrams": list(plan.datagrams),
            "watched": plan.watched,
            "seccomp": self._filter,
            "binds": binds,
            "hidden": [f"{HOUSE}/{name}" for name in ("code", "empty", "tmp")],
            "shut": sandbox.PROC_READ_ONLY,
            "chdir": Places().task,
        }

    def _inside(self, folder: Path) -> str:
        return f"{HOUSE}/{folder.relative_to(self._root)}"

    def _give_up(self, template: Template) -> None:
        with self._lock:
            for binary, known in self._ready.items():
                if known is template:
                    self._ready[binary] = None


def _variables(runtime: Runtime, places: Places) -> dict[str, str]:
    """What must be as in a function's process while the interpreter starts."""
    return {
        "LANG": variables.LANG,
        "TZ": variables.TZ,
        "PATH": variables.PATH,
        "LD_LIBRARY_PATH": variables.library_path(places),
        "HOME": places.tmp,
        **runtime.env(places),
    }


def _own_names(runtime: Runtime, code: Path, layers: Path | None) -> set[str]:
    """What code and layers have at the top of Python's search path."""
    minor = ".".join(runtime.version.removeprefix("python").split(".")[:2])
    folders = [code]
    if layers is not None:
        below = layers / "python"
        folders += [below, below / "lib" / f"python{minor}" / "site-packages"]
    found: set[str] = set()
    for folder in folders:
        try:
            found |= {path.name.partition(".")[0] for path in folder.iterdir()}
        except OSError:
            continue
    return found


def _said(output: int) -> str:
    os.set_blocking(output, False)
    try:
        return os.read(output, MESSAGE_BYTES).decode(errors="replace").strip()[-500:]
    except BlockingIOError:
        return ""


def _end(launcher: Launcher, launched: Launched) -> None:
    environment = Environment(launched, launcher.kill)
    environment.close()
