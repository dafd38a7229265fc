"""Control groups: the memory a function has and the processes it may start, enforced by the kernel.

Version 1 and 2, when this process may make groups; otherwise environments run without these two.
Source: Linux kernel documentation, admin-guide/cgroup-v1/memory and admin-guide/cgroup-v2.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
PREFIX = "tailorbird-"
MAX_PROCESSES = 1024
GONE_SECONDS = 2.0
GONE_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Group:
    """The control groups of one environment."""

    folders: tuple[Path, ...]

    @property
    def members(self) -> list[str]:
        """The files a process writes its id to when it joins."""
        return [str(folder / "cgroup.procs") for folder in self.folders]

    def remove(self) -> None:
        """Remove the groups when their processes are gone; the next start sweeps leftovers."""
        deadline = time.monotonic() + GONE_SECONDS
        for folder in self.folders:
            while not _remove(folder) and time.monotonic() < deadline:
                time.sleep(GONE_POLL_SECONDS)


@dataclass
class Cgroups:
    """The folders below which this process makes its groups; none when it may not."""

    bases: dict[str, Path] = field(default_factory=dict)  # controller -> folder
    version: int = 0

    @property
    def limits_memory(self) -> bool:
        return "memory" in self.bases

    def make(self, number: int, memory_mb: int) -> Group | None:
        """A group with these limits; None where there are no control groups."""
        if not self.bases:
            return None
        made: dict[Path, None] = {}
        for controller, base in self.bases.items():
            folder = base / str(number)
            folder.mkdir(exist_ok=True)
            made[folder] = None
            for name, value in self._values(controller, memory_mb).items():
                with contextlib.suppress(OSError):  # swap accounting may be switched off
                    (folder / name).write_text(value)
        return Group(tuple(made))

    def close(self) -> None:
        """Remove this process's own folders."""
        for base in set(self.bases.values()):
            if base.exists():
                for folder in base.iterdir():
                    if folder.is_dir():
                        _remove(folder)
            _remove(base)

    def _values(self, controller: str, memory_mb: int) -> dict[str, str]:
        if controller == "pids":
            return {"pids.max": str(MAX_PROCESSES)}
        size = str(memory_mb * 1024 * 1024)
        if self.version == 1:
            return {"memory.limit_in_bytes": size, "memory.memsw.limit_in_bytes": size}
        return {"memory.max": size, "memory.swap.max": "0", "memory.oom.group": "1"}


def find() -> Cgroups:
    """The control groups this process can use, emptied of what dead processes left."""
    found = _version_1() or _version_2()
    bases: dict[str, Path] = {}
    for controller, parent in found.bases.items():
        _sweep(parent)
        base = parent / f"{PREFIX}{os.getpid()}"
        try:
            base.mkdir(exist_ok=True)
            if found.version == 2:
                (base / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            continue
        bases[controller] = base
    return Cgroups(bases, found.version)


def _version_1() -> Cgroups | None:
    parents: dict[str, Path] = {}
    for line in _own_groups():
        _, names, path = line.split(":", 2)
        for controller in ("memory", "pids"):
            if controller in names.split(","):
                parents[controller] = MOUNT / controller / path.lstrip("/")
    usable = {name: path for name, path in parents.items() if os.access(path, os.W_OK)}
    return Cgroups(usable, 1) if usable else None


def _version_2() -> Cgroups:
    """Below the root: a group that has processes itself cannot have controlled children."""
    try:
        offered = (MOUNT / "cgroup.subtree_control").read_text().split()
    except OSError:
        return Cgroups()
    if not os.access(MOUNT, os.W_OK):
        return Cgroups()
    return Cgroups({name: MOUNT for name in ("memory", "pids") if name in offered}, 2)


def _own_groups() -> list[str]:
    try:
        return Path("/proc/self/cgroup").read_text().split()
    except OSError:
        return []


def _sweep(parent: Path) -> None:
    """Remove the groups of processes that are no more."""
    for base in parent.glob(f"{PREFIX}*"):
        owner = base.name.removeprefix(PREFIX)
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            for folder in base.iterdir():
                if folder.is_dir():
                    _remove(folder)
            _remove(base)


def _remove(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
