"""Version 2 of control groups: the group below which this process may make groups that limit.

The kernel's rules: a group hands controllers to its children through cgroup.subtree_control; one
that does so has no processes itself, the real root excepted; a process is moved by who may write
cgroup.procs of both groups and of the ancestor they share. Source: Linux kernel documentation,
admin-guide/cgroup-v2, "No Internal Process Constraint" and "Delegation"; systemd's page
CGROUP_DELEGATION.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONTROLLERS = ("memory", "pids")
LEAF = "tailorbird-house"  # where this process goes when its own group is to have children
DELEGATED = ("user.delegate", "trusted.delegate")  # systemd marks with these what Delegate= gave
MOVES = 5  # a process that is moved may fork meanwhile


@dataclass(frozen=True)
class Ground:
    """A group and the controllers it hands down; without any, why."""

    folder: Path
    controllers: tuple[str, ...] = ()
    why: str = ""


def find(mount: Path, own: str) -> Ground:
    """The ground for a process in the group `own`, as /proc/self/cgroup writes it."""
    if not (mount / "cgroup.subtree_control").exists():
        return Ground(mount, why="there are no control groups of version 2")
    group = mount / own.lstrip("/")
    if ".." in group.parts or not group.is_dir():
        return Ground(mount, why=f"its own control group {own} cannot be seen from here")
    if _is_delegated(group) and (ground := _make_way(group)).controllers:
        return ground
    for above in _up(group, mount):
        handed = _handed_down(above)
        if handed and _is_writable(above):
            return Ground(above, handed)
    return _make_way(group)


def hand_down(folder: Path, controllers: tuple[str, ...]) -> tuple[str, ...]:
    """Let the group's children use the controllers; those that the kernel agreed to."""
    for name in controllers:
        with contextlib.suppress(OSError):
            write(folder / "cgroup.subtree_control", f"+{name}")
    return tuple(name for name in controllers if name in _handed_down(folder))


def write(file: Path, text: str) -> None:
    """The kernel takes one value in one write, and refuses it there."""
    with file.open("w") as opened:
        opened.write(text)


def _make_way(group: Path) -> Ground:
    """The process's own group, itself and its relatives moved to a leaf below."""
    if not _is_writable(group):
        return Ground(group, why=f"the control group {group} is not this user's (Delegate=yes)")
    offered = (group / "cgroup.controllers").read_text().split()
    wanted = tuple(name for name in CONTROLLERS if name in offered)
    if not wanted:
        return Ground(group, why=f"the control group {group} is offered no memory controller")
    if not _is_real_root(group):
        strangers = _processes(group) - _relatives()
        if strangers:
            return Ground(group, why=f"the control group {group} has other processes in it")
        if not _empty(group):
            return Ground(group, why=f"the processes of the control group {group} do not move")
    handed = hand_down(group, wanted)
    return Ground(group, handed, "" if handed else f"the control group {group} hands nothing down")


def _empty(group: Path) -> bool:
    """Move what is in the group to the leaf below it."""
    leaf = group / LEAF
    leaf.mkdir(exist_ok=True)
    for _ in range(MOVES):
        processes = _processes(group)
        if not processes:
            return True
        for pid in processes:
            with contextlib.suppress(OSError):  # it ended meanwhile
                write(leaf / "cgroup.procs", str(pid))
    return False


def _up(group: Path, mount: Path) -> Iterator[Path]:
    """The group's ancestors from the nearest on; the real root also when it is the group itself."""
    if group == mount and _is_real_root(mount):
        yield mount
    while group != mount:
        group = group.parent
        yield group


def _handed_down(folder: Path) -> tuple[str, ...]:
    try:
        handed = (folder / "cgroup.subtree_control").read_text().split()
    except OSError:
        return ()
    return tuple(name for name in CONTROLLERS if name in handed)


def _is_real_root(group: Path) -> bool:
    """Only the machine's root group has no type; a container's looks like the root and is none."""
    return not (group / "cgroup.type").exists()


def _is_writable(group: Path) -> bool:
    files = (group, group / "cgroup.procs", group / "cgroup.subtree_control")
    return all(os.access(file, os.W_OK) for file in files)


def _is_delegated(group: Path) -> bool:
    for name in DELEGATED:
        with contextlib.suppress(OSError):
            if os.getxattr(group, name) == b"1":
                return True
    return False


def _processes(group: Path) -> set[int]:
    return {int(pid) for pid in (group / "cgroup.procs").read_text().split()}


def _relatives() -> set[int]:
    """This process, what it was started by, and what it started."""
    parents = dict(_parents())
    found, pid = {os.getpid()}, os.getpid()
    while (pid := parents.get(pid, 0)) > 0:
        found.add(pid)
    below = {os.getpid()}
    while fresh := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= fresh
    return found | below


def _parents() -> Iterator[tuple[int, int]]:
    """Every process with its parent."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                yield int(entry.name), int(stat.rpartition(")")[2].split()[1])
