"""Control groups: the memory a function has and the processes it may start, enforced by the kernel.

Version 1 and 2, when this process may make groups; otherwise environments run without these two.
Source: Linux kernel documentation, admin-guide/cgroup-v1/memory and admin-guide/cgroup-v2.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tailorbird.functions import delegation

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
    why: str = ""  # there are none

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
                    delegation.write(folder / name, value)
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
    parents = _version_1()
    return _below(parents, 1) if parents else _version_2()


def _below(parents: Mapping[str, Path], version: int) -> Cgroups:
    """Groups of this process's own below those that were found."""
    bases: dict[str, Path] = {}
    for controller, parent in parents.items():
        _sweep(parent)
        base = parent / f"{PREFIX}{os.getpid()}"
        with contextlib.suppress(OSError):
            base.mkdir(exist_ok=True)
            bases[controller] = base
    return Cgroups(bases, version, "" if bases else "no control group can be made")


def _version_1() -> dict[str, Path]:
    """The group of each controller that this process may make groups in."""
    parents: dict[str, Path] = {}
    for controllers, path in _own_groups():
        for controller in delegation.CONTROLLERS:
            if controller in controllers:
                parents[controller] = MOUNT / controller / path.lstrip("/")
    return {name: path for name, path in parents.items() if os.access(path, os.W_OK)}


def _version_2() -> Cgroups:
    own = next((path for controllers, path in _own_groups() if controllers == [""]), "/")
    ground = delegation.find(MOUNT, own)
    if not ground.controllers:
        return Cgroups(why=ground.why)
    found = _below(dict.fromkeys(ground.controllers, ground.folder), 2)
    for base in set(found.bases.values()):
        handed = delegation.hand_down(base, ground.controllers)
        found.bases = {name: folder for name, folder in found.bases.items() if name in handed}
    return found


def _own_groups() -> list[tuple[list[str], str]]:
    """The controllers of each hierarchy (none: version 2) and this process's group in it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    return [(line.split(":", 2)[1].split(","), line.split(":", 2)[2]) for line in lines]


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
