"""A Python with boto3 loaded, of which environments are forked instead of started anew.

No function's code, event or variable ever reaches this process: each fork gets a socket that the
template never reads, learns from it what it is to be, builds the same walls as bubblewrap does
(namespaces, mounts, user, capabilities, limits, filter of system calls), and only then runs
bootstrap.py as a process started anew would.
"""

import os
import sys
import warnings

RUNTIME = "/var/runtime/"
CONTROL = int(os.environ.pop("TAILORBIRD_RUNTIME_FD"))
BOOT = "/var/tailorbird/bootstrap.py"
os.environ["TAILORBIRD_RUNTIME_FD"] = "0"  # read as the client is loaded; nothing is done with it
import awslambdaric.bootstrap  # noqa: E402, F401 - what a process started anew has loaded, too

EVERY = {name.partition(".")[0] for name in sys.modules}
FILTERS = list(warnings.filters)

import array  # noqa: E402
import ctypes  # noqa: E402
import fcntl  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import struct  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from private_network import furnish  # type: ignore[import-not-found]  # noqa: E402

del sys.modules["private_network"]  # the name is the function's to use

CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x02000000, 0x04000000, 0x08000000
CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
WALLS = CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 8, 32, 4096, 16384
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 38, 2
CAPABILITY_VERSION_3 = 0x20080522
MESSAGE_BYTES = 1_048_576
TABLES = ("endpoints", "partitions", "sdk-default-configuration", "_retry")  # of botocore
COERCED = os.environ.get("LC_CTYPE")  # set by Python itself where the locale of LANG is missing
CHANNEL = 3  # where a function's process finds its socket
FORKS_FIRST = 3  # descriptors a request starts with: output, channel, status; then control groups

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Load what functions usually need, say which names that takes, then fork when asked."""
    _load()
    libraries = _libraries()
    names = {name.partition(".")[0] for name in sys.modules} - EVERY - libraries
    code = compile(Path(BOOT).read_text(), BOOT, "exec")
    for name in [n for n in sys.modules if n.startswith(("awslambdaric", "runtime_client"))]:
        del sys.modules[name]  # they read the environment's variables: loaded again in each fork
    control = socket.socket(fileno=CONTROL)
    control.sendall(json.dumps([sorted(names), sorted(libraries)]).encode())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # the collector leaves these pages shared
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            return
        if os.fork() == 0:
            control.close()
            request = _become(fds[0])
            if request["forgets"]:
                _forget(libraries)
            exec(code, _main_module(request["env"]))
            os._exit(0)
        os.close(fds[0])


def _load() -> None:
    """boto3 and all that it loads at the first client and the first connection."""
    try:
        import boto3.session
    except ImportError:
        return
    for name in ("concurrent.futures.thread", "encodings.idna", "html.entities"):
        importlib.import_module(name)
    _share_tables()
    session = boto3.session.Session(
        aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1"
    )
    for name in ("s3", "personalize-events", "personalize-runtime"):
        session.client(name)
    session.resource("s3")


def _share_tables() -> None:
    """Tables that every session reads and none changes: parsed once, here, for every fork."""
    from botocore.loaders import JSONFileLoader, Loader

    load = JSONFileLoader.load_file
    shared: dict[str, object] = {}

    def load_file(self: JSONFileLoader, file_path: str) -> object:
        if file_path in shared:
            return shared[file_path]
        data = load(self, file_path)
        if Path(file_path).name in TABLES:
            shared[file_path] = data
        return data

    JSONFileLoader.load_file = load_file
    look, seen = Loader.list_available_services, {}

    def list_available_services(self: Loader, type_name: str) -> "list[str]":
        places = tuple(path for path in self.search_paths if Path(path).is_dir())
        if not all(path.startswith(RUNTIME) for path in places):  # models of the function's own
            return look(self, type_name)
        if (places, type_name) not in seen:
            seen[places, type_name] = look(self, type_name)
        return list(seen[places, type_name])

    Loader.list_available_services = list_available_services


def _main_module(env: dict) -> dict:
    """The variables of a process started anew, and the module it would run in."""
    os.environ.clear()
    if COERCED is not None:
        os.environ["LC_CTYPE"] = COERCED
    os.environ.update(env)
    time.tzset()
    sys.path_importer_cache.clear()
    main = type(sys)("__main__")
    main.__file__ = BOOT
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    if "__mp_main__" in sys.modules:
        sys.modules["__mp_main__"] = main
    return main.__dict__


def _libraries() -> "set[str]":
    """The packages loaded that are not Python's own."""
    found = set()
    for name, module in sys.modules.items():
        if (getattr(module, "__file__", None) or "").startswith(RUNTIME):
            found.add(name.partition(".")[0])
    return found - EVERY


# from here on a fork


def _become(conversation: int) -> dict:
    """Learn what to be, build the walls, split into keeper, first process and function.

    Returns in the function's process, with what was asked for.
    """
    template = os.getppid()
    asked = socket.socket(fileno=conversation)
    data, fds, _, _ = socket.recv_fds(asked, MESSAGE_BYTES, 16)
    request = json.loads(data)
    output, channel, status = fds[:FORKS_FIRST]
    os.setsid()
    _check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "parent's death")
    if os.getppid() != template:
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        for group in fds[FORKS_FIRST:]:
            os.write(group, b"0")
            os.close(group)
        _check(libc.unshare(WALLS), "unshare")
        asked_for = (request[name] for name in ("ports", "datagrams", "watched"))
        listening = furnish(*asked_for)
        alive, lifeline = os.pipe()
        told, telling = os.pipe()
        first = os.fork()
        if first:
            os.close(telling)
            _keep(asked, first, listening, status, told)
        for fd in (lifeline, told, status):
            os.close(fd)
        for sock in (asked, *listening):
            sock.close()
        _mounts(request)
    except OSError as error:
        os.write(output, f"{error.strerror} ({error.filename})\n".encode())
        os._exit(1)
    function = os.fork()
    if function:
        for fd in (output, channel, telling):
            os.close(fd)
        _reap(function, alive, request)
    _confine(request, output, channel, telling)
    return request


def _forget(libraries: "set[str]") -> None:
    """Be as if they had never been loaded: the function brings one of them, and its own wins."""
    for name in [name for name in sys.modules if name.partition(".")[0] in libraries]:
        del sys.modules[name]
    own = (finder for finder in sys.meta_path if _package_of(finder) not in libraries)
    sys.meta_path[:] = list(own)
    filters: object = warnings.filters
    assert isinstance(filters, list)
    filters[:] = FILTERS
    with warnings.catch_warnings():  # whoever keeps the filters in mind reads them anew
        pass


def _package_of(finder: object) -> str:
    kind = finder if isinstance(finder, type) else type(finder)
    return kind.__module__.partition(".")[0]


def _keep(asked: socket.socket, first: int, listening: list, status: int, told: int) -> None:
    """Wait outside the process namespace for its end, and say how it was."""
    handle = os.pidfd_open(first)
    fds = array.array("i", [handle, *(sock.fileno() for sock in listening)])
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
    if os.read(told, 1):  # else the walls do not stand, and the house starts the function anew
        asked.sendmsg([json.dumps({"pid": os.getpid()}).encode()], ancillary)
    asked.close()
    for sock in listening:
        sock.close()
    for fd in (0, 1, 2):
        os.close(fd)
    _, ended = os.waitpid(first, 0)
    os.write(status, str(_exit_status(ended)).encode())
    os._exit(0)


def _reap(function: int, alive: int, request: dict) -> None:
    """The first process: reaps orphans, and ends all when the function or the keeper ends."""
    _drop_bounding()
    _drop_capabilities()
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _filter(request)
    _check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "parent's death")
    os.set_blocking(alive, False)
    try:
        if not os.read(alive, 1):
            os._exit(1)  # the keeper died before we could hear of it
    except BlockingIOError:
        pass
    for fd in (0, 1, 2):
        os.close(fd)
    while True:
        pid, ended = os.wait()
        if pid == function:
            os._exit(_exit_status(ended))


def _confine(request: dict, output: int, channel: int, telling: int) -> None:
    """The function's process: its descriptors, limits, user and filter."""
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDONLY)
    _arrange(nothing, output, output, channel, telling)
    os.chdir(request["chdir"])
    for name, value in request["rlimits"].items():
        _lower(getattr(resource, name), value)
    if request["uid"] is not None:
        os.setgroups([])
    _become_user(request)
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _filter(request)
    os.write(CHANNEL + 1, b"1")
    os.close(CHANNEL + 1)
    request["env"]["TAILORBIRD_RUNTIME_FD"] = str(CHANNEL)


def _arrange(*fds: int) -> None:
    """These as 0, 1, 2 ..., and no other; from above, so that none is overwritten unread."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
    for number, fd in enumerate(high):
        os.dup2(fd, number)
    os.closerange(len(fds), 4096)


def _become_user(request: dict) -> None:
    """Become the environment's own user without a capability left."""
    _drop_bounding()
    uid = request["uid"]
    if uid is not None:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _drop_capabilities()
    _check(libc.prctl(PR_SET_DUMPABLE, 1), "dumpable")  # /proc/self is its own again


def _drop_bounding() -> None:
    number = 0
    while libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1


def _drop_capabilities() -> None:
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    _check(libc.capset(header, bytes(24)), "capabilities")


def _filter(request: dict) -> None:
    program = bytes.fromhex(request["seccomp"])
    if not program:
        return
    kept = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HP", len(program) // 8, ctypes.addressof(kept))
    _check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described), "seccomp")


def _mounts(request: dict) -> None:
    """The function's own folders over the empty ones, processes and devices of its own."""
    hidden = [os.open(folder, os.O_PATH) for folder in request["hidden"]]
    for source, target, writable in request["binds"]:
        _mount(source, target, None, MS_BIND | MS_REC)
        flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV
        _mount(None, target, None, flags if writable else flags | MS_RDONLY)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in filter(os.path.exists, request["shut"]):
        _mount(name, name, None, MS_BIND | MS_REC)
        flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
        _mount(None, name, None, flags)
    _mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    terminals = "newinstance,ptmxmode=0666,mode=620"
    _mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, terminals)
    for fd in hidden:  # what lies below a mount is out of reach already; where allowed, it goes
        libc.umount2(f"/proc/self/fd/{fd}".encode(), MNT_DETACH)
        os.close(fd)


def _mount(
    source: "str | None", target: str, kind: "str | None", flags: int, options: str = ""
) -> None:
    encoded = [None if word is None else word.encode() for word in (source, target, kind)]
    _check(libc.mount(*encoded, ctypes.c_ulong(flags), options.encode() or None), target)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _exit_status(ended: int) -> int:
    """As a shell says it: a signal is 128 and its number."""
    return 128 + os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else os.WEXITSTATUS(ended)


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)


if __name__ == "__main__":
    main()
