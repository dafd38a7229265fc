"""Control groups of both versions, on a tree of plain files: what is written where."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tailorbird.functions import cgroups, delegation


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to mount control groups at; removing a group takes its files along, as the kernel."""
    monkeypatch.setattr(cgroups, "MOUNT", tmp_path)
    monkeypatch.setattr(cgroups, "_own_groups", list)
    monkeypatch.setattr(cgroups, "_remove", lambda folder: shutil.rmtree(folder) or True)
    monkeypatch.setattr(delegation, "write", Kernel(tmp_path).write)
    return tmp_path


@dataclass
class Kernel:
    """What the kernel does on a write below /sys/fs/cgroup, as far as version 2's rules go."""

    mount: Path

    def write(self, file: Path, text: str) -> None:
        if file.name == "cgroup.procs":
            self._move(file, text)
        elif file.name == "cgroup.subtree_control":
            self._hand_down(file, text.removeprefix("+"))
        else:
            file.write_text(text)

    def _move(self, procs: Path, pid: str) -> None:
        if self._words(procs.parent / "cgroup.subtree_control"):
            raise OSError(errno.EBUSY, "has children with controllers")
        for other in self.mount.rglob("cgroup.procs"):
            other.write_text("".join(f"{p}\n" for p in self._words(other) if p != pid))
        procs.write_text("".join(f"{p}\n" for p in [*self._words(procs), pid]))

    def _hand_down(self, control: Path, controller: str) -> None:
        group = control.parent
        offered = self._words(group / "cgroup.controllers")
        if group != self.mount and not offered:
            offered = self._words(group.parent / "cgroup.subtree_control")
        if controller not in offered:
            raise OSError(errno.ENOENT, "is not offered")
        is_root = group == self.mount and not (group / "cgroup.type").exists()
        if not is_root and self._words(group / "cgroup.procs"):
            raise OSError(errno.EBUSY, "has processes itself")
        control.write_text(" ".join({*self._words(control), controller}))

    @staticmethod
    def _words(file: Path) -> list[str]:
        return file.read_text().split() if file.exists() else []


def group(
    folder: Path, offered: str = "", handed: str = "", pids: str = "", *, root: bool = False
) -> Path:
    """A control group of version 2 as the kernel shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text(offered)
    (folder / "cgroup.subtree_control").write_text(handed)
    (folder / "cgroup.procs").write_text(pids)
    if not root:
        (folder / "cgroup.type").write_text("domain")
    return folder


def within(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    monkeypatch.setattr(cgroups, "_own_groups", lambda: [([""], own)])


def values(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_version_2_limits_memory_without_swap_and_processes(tree: Path):
    group(tree, "cpu memory pids", "cpu memory pids", root=True)
    found = cgroups.find()
    made = found.make(7, 128)
    assert made is not None and found.limits_memory
    [folder] = made.folders
    assert folder == tree / f"tailorbird-{os.getpid()}" / "7"
    assert values(folder) == {
        "memory.max": str(128 * 1024 * 1024),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "1024",
    }
    assert made.members == [str(folder / "cgroup.procs")]


def test_version_2_hands_its_controllers_down(tree: Path):
    group(tree, "memory pids", "memory pids", root=True)
    cgroups.find()
    base = tree / f"tailorbird-{os.getpid()}"
    assert set((base / "cgroup.subtree_control").read_text().split()) == {"memory", "pids"}


def test_version_2_uses_only_what_is_offered(tree: Path):
    group(tree, "cpu pids", "pids", root=True)
    found = cgroups.find()
    assert (list(found.bases), found.limits_memory) == (["pids"], False)


def test_version_1_limits_memory_and_processes_in_their_own_trees(
    tree: Path, monkeypatch: pytest.MonkeyPatch
):
    lines = [(["memory"], "/box"), (["cpu", "pids"], "/box"), ([""], "/")]
    monkeypatch.setattr(cgroups, "_own_groups", lambda: lines)
    for controller in ("memory", "pids"):
        (tree / controller / "box").mkdir(parents=True)
    made = cgroups.find().make(0, 256)
    assert made is not None
    memory, pids = made.folders
    assert memory.is_relative_to(tree / "memory" / "box")
    assert values(memory) == {
        "memory.limit_in_bytes": str(256 * 1024 * 1024),
        "memory.memsw.limit_in_bytes": str(256 * 1024 * 1024),
    }
    assert values(pids) == {"pids.max": "1024"}


def test_without_control_groups_there_is_no_group(tree: Path):
    found = cgroups.find()
    assert (found.limits_memory, found.make(0, 128)) == (False, None)
    assert found.why == "there are no control groups of version 2"


def test_what_dead_processes_left_is_swept_and_what_live_ones_have_is_not(tree: Path):
    group(tree, "memory", "memory", root=True)
    dead, alive = tree / "tailorbird-999999999", tree / f"tailorbird-{os.getppid()}"
    for base in (dead, alive):
        (base / "3").mkdir(parents=True)
    cgroups.find()
    assert (dead.exists(), alive.exists()) == (False, True)


def test_nothing_is_left_at_the_end(tree: Path):
    group(tree, "memory pids", "memory pids", root=True)
    found = cgroups.find()
    made = found.make(1, 128)
    assert made is not None
    made.remove()
    found.close()
    assert not list(tree.glob("tailorbird-*"))


def test_the_real_root_hands_down_though_it_has_processes(tree: Path):
    group(tree, "memory pids", "", "1\n2\n", root=True)
    found = cgroups.find()
    assert found.bases == dict.fromkeys(("memory", "pids"), tree / f"tailorbird-{os.getpid()}")


def test_a_group_of_ones_own_is_emptied_before_it_has_children(
    tree: Path, monkeypatch: pytest.MonkeyPatch
):
    """A container's root, or a service with Delegate=yes: it looks like a root and is none."""
    group(tree, "memory pids", "", f"{os.getpid()}\n{os.getppid()}\n")
    within(monkeypatch, "/")
    found = cgroups.find()
    assert set(found.bases) == {"memory", "pids"}
    assert not (tree / "cgroup.procs").read_text()
    moved = (tree / delegation.LEAF / "cgroup.procs").read_text().split()
    assert set(moved) == {str(os.getpid()), str(os.getppid())}


def test_a_second_process_of_the_house_finds_the_ground_prepared(
    tree: Path, monkeypatch: pytest.MonkeyPatch
):
    group(tree, "memory pids", "memory pids")
    group(tree / delegation.LEAF, "memory pids", "", f"{os.getpid()}\n")
    within(monkeypatch, f"/{delegation.LEAF}")
    assert cgroups.find().bases["memory"].parent == tree


def test_a_group_with_strangers_in_it_is_left_alone(tree: Path, monkeypatch: pytest.MonkeyPatch):
    group(tree, "memory pids", "", f"{os.getpid()}\n0\n")  # 0: of another process namespace
    within(monkeypatch, "/")
    found = cgroups.find()
    assert (found.bases, found.version) == ({}, 0)
    assert found.why.endswith("has other processes in it")
    assert not (tree / delegation.LEAF).exists()


def test_a_delegated_group_comes_before_the_groups_above(
    tree: Path, monkeypatch: pytest.MonkeyPatch
):
    group(tree, "memory pids", "memory pids", root=True)
    service = group(tree / "house.service", "memory pids", "", f"{os.getpid()}\n")
    within(monkeypatch, "/house.service")
    assert cgroups.find().bases["memory"].parent == tree
    monkeypatch.setattr(delegation, "_is_delegated", lambda folder: folder == service)
    assert cgroups.find().bases["memory"].parent == service


def test_a_group_that_is_offered_no_controllers_says_so(
    tree: Path, monkeypatch: pytest.MonkeyPatch
):
    group(tree, "memory", "", root=True)
    group(tree / "box", "cpu", "", f"{os.getpid()}\n")
    within(monkeypatch, "/box")
    assert "no memory controller" in cgroups.find().why


def test_a_group_out_of_sight_says_so(tree: Path, monkeypatch: pytest.MonkeyPatch):
    group(tree, "memory", "memory")
    within(monkeypatch, "/../elsewhere")
    assert "cannot be seen from here" in cgroups.find().why


def test_the_relatives_of_this_process_are_its_parents_and_children():
    with subprocess.Popen(["sleep", "5"]) as child:
        found = delegation._relatives()
        child.kill()
    assert {os.getpid(), os.getppid(), child.pid} <= found
