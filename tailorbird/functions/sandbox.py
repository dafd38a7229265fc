"""The walls around one execution environment: bubblewrap, resource limits, or none.

Source of the numbers: what code in AWS Lambda sees (1024 files, 742 processes, user 993).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

LEVELS = ("none", "rlimit", "bwrap")
RUNTIME_API_PORT = 9001
HOUSE_PORT = 9002
WEB_PORTS = (443, 80)
NAME_PORT = 53
OPEN_FILES = 1024
PROCESSES = 742
STACK_BYTES = 8 * 1024 * 1024
INSIDE_UID = 993
INSIDE_GID = 990
SLOTS = 512  # environments of one process at most
OUTSIDE_UID = 199_300_000  # nobody else's users: those of the functions of houses run by root
HOUSES = 4096  # each data folder has SLOTS of these users: limits on processes count by user
SECCOMP_FD = "{seccomp}"  # in a command: the launcher puts the open file's number here
TEMPLATE_CAPABILITIES = ("CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",
                         "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # fmt: skip
PROC_READ_ONLY = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")  # as bubblewrap's
LED = "only Node.js and clients that heed proxy variables are led to this house"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Mount:
    """A host folder or file shown inside, read-only unless said otherwise."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Walls:
    """What surrounds every environment of this process, and why it is not more."""

    level: str
    degraded: str = ""
    bwrap: str = ""
    setpriv: str = ""
    seccomp: str = ""  # file of the filter program
    first_uid: int = OUTSIDE_UID  # an environment runs as this plus its slot

    @property
    def private_network(self) -> bool:
        return self.level == "bwrap"

    def __str__(self) -> str:
        """The level, what strengthens it, and why it is not more."""
        name = f"{self.level} with seccomp" if self.seccomp else self.level
        return f"{name} ({self.degraded})" if self.degraded else name


def first_uid(root: Path) -> int:
    """The first user of the functions whose house keeps them in this folder."""
    return OUTSIDE_UID + crc32(str(root.resolve()).encode()) % HOUSES * SLOTS


def candidates(
    wanted: str, filters: Path | None = None, first_uid: int = OUTSIDE_UID
) -> list[Walls]:
    """The walls worth trying on this machine, best first; `wanted` is a level or "" for any.

    `filters` is the file of a seccomp program, where one is known for this machine.
    """
    bwrap, setpriv = shutil.which("bwrap"), shutil.which("setpriv")
    found: list[Walls] = []
    if wanted in ("", "bwrap") and bwrap:
        bare = [Walls("bwrap", bwrap=bwrap)]
        if os.geteuid() == 0 and setpriv:
            bare.insert(0, Walls("bwrap", bwrap=bwrap, setpriv=setpriv, first_uid=first_uid))
        for walls in bare:
            found += [replace(walls, seccomp=str(filters))] if filters else []
            found.append(walls)
    missing = "bubblewrap is not installed" if not bwrap else "bubblewrap does not work here"
    if wanted in ("", "rlimit"):
        why = "as set" if wanted else missing
        found.append(
            Walls("rlimit", f"{why}: functions see this machine's files and network; {LED}")
        )
    if wanted == "none":
        found.append(Walls("none", f"functions run without any walls; {LED}"))
    return found


def libraries(folder: Path, shown: Sequence[str], target: str) -> list[Mount]:
    """What a runtime's libraries are shown as: the whole folder, or what is named of it."""
    if not shown:
        return [Mount(folder, target)]
    return [Mount(folder / name, f"{target}/{name}") for name in shown]


def command(
    walls: Walls, inner: Sequence[str], mounts: Sequence[Mount], chdir: str, slot: int
) -> list[str]:
    """The command line that runs `inner` behind these walls."""
    if walls.level != "bwrap":
        return list(inner)
    line = [walls.bwrap, "--die-with-parent", "--new-session", "--unshare-ipc", "--unshare-pid",
            "--unshare-uts", "--unshare-cgroup-try", "--hostname", "169-254-0-1"]  # fmt: skip
    line += ["--seccomp", SECCOMP_FD] if walls.seccomp else []
    line += _identity(walls)
    line += _base_mounts()
    for mount in mounts:
        line += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    line += ["--chdir", chdir, "--", *_drop(walls, slot), *inner]
    return line


def template_command(walls: Walls, inner: Sequence[str], mounts: Sequence[Mount]) -> list[str]:
    """The command line of a process that makes the other walls itself, for each of its forks.

    It can do what that takes and nothing beyond, and it runs none of a function's code.
    """
    line = [walls.bwrap, "--die-with-parent", "--new-session", "--unshare-ipc", "--unshare-uts",
            "--unshare-cgroup-try", "--hostname", "169-254-0-1"]  # fmt: skip
    if not walls.setpriv:
        line += ["--unshare-user", "--uid", str(INSIDE_UID), "--gid", str(INSIDE_GID)]
    line += ["--cap-drop", "ALL"]
    for capability in TEMPLATE_CAPABILITIES:
        line += ["--cap-add", capability]
    line += _base_mounts("--bind", "/proc", "/proc")
    for mount in mounts:
        line += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    return [*line, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--", *inner]


def limits(walls: Walls, file_bytes: int) -> dict[str, int]:
    """Resource limits set before the environment starts."""
    if walls.level == "none":
        return {}
    found = {
        "RLIMIT_NOFILE": OPEN_FILES,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": file_bytes,
        "RLIMIT_STACK": STACK_BYTES,
    }
    if walls.setpriv:  # a user of its own per environment: the count is its alone
        found["RLIMIT_NPROC"] = PROCESSES
    return found


def owner(walls: Walls, slot: int) -> tuple[int, int] | None:
    """The user that must own what the environment writes; None when it is the house's own."""
    return (walls.first_uid + slot, walls.first_uid + slot) if walls.setpriv else None


def interpreter(binary: Path | None, walls: Walls) -> tuple[str, list[Mount]]:
    """Where the interpreter is inside, and what must be mounted for it: /var/lang, as in Lambda."""
    if binary is None:
        return "", []
    resolved = binary.resolve()
    if walls.level != "bwrap" or resolved.is_relative_to("/usr"):
        return str(resolved), []
    prefix = resolved.parent.parent
    return f"/var/lang/{resolved.relative_to(prefix)}", [Mount(prefix, "/var/lang")]


def _identity(walls: Walls) -> list[str]:
    if walls.setpriv:
        return ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
                "--cap-add", "CAP_SETPCAP"]  # fmt: skip
    return ["--unshare-user", "--uid", str(INSIDE_UID), "--gid", str(INSIDE_GID),
            "--cap-drop", "ALL"]  # fmt: skip


def _drop(walls: Walls, slot: int) -> list[str]:
    user = owner(walls, slot)
    if user is None:
        return []
    return [walls.setpriv, f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups",
            "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]  # fmt: skip


def _base_mounts(*proc: str) -> list[str]:
    line = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/") / name
        if path.is_symlink():
            line += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            line += ["--ro-bind", str(path), str(path)]
    line += _shell()
    line += [
        *(proc or ("--proc", "/proc")),
        "--dev",
        "/dev",
        "--dir",
        "/var",
        "--dir",
        "/var/runtime",
        "--dir",
        "/opt",
    ]
    return line


def _shell() -> list[str]:
    """`sh` is bash inside, as on Amazon Linux: published bootstraps count on it."""
    shell, bash = Path("/bin/sh").resolve(), shutil.which("bash")
    if bash is None or shell == Path(bash).resolve() or not shell.is_relative_to("/usr"):
        return []
    return ["--ro-bind", str(Path(bash).resolve()), str(shell)]


def etc_files(bundle: str, authority: str, first_uid: int) -> dict[str, str]:
    """The few files of /etc that programs look for; every name is asked of 127.0.0.1."""
    users = {INSIDE_UID: INSIDE_GID} | {first_uid + n: first_uid + n for n in range(SLOTS)}
    shell = "/sbin/nologin"
    return {
        "hosts": "127.0.0.1 localhost\n",
        "passwd": f"root:x:0:0:root:/root:{shell}\n"
        + "".join(f"sbx_user1051:x:{uid}:{gid}::/tmp:{shell}\n" for uid, gid in users.items()),
        "group": f"root:x:0:\nsbx_user1051:x:{INSIDE_GID}:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n",
        "ssl/certs/ca-certificates.crt": bundle,
        "tailorbird/authority.pem": authority,
    }
