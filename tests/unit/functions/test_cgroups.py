"""Control groups of both versions, on a tree of plain files: what is written where."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tailorbird.functions import cgroups


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to mount control groups at; removing a group takes its files along, as the kernel."""
    monkeypatch.setattr(cgroups, "MOUNT", tmp_path)
    monkeypatch.setattr(cgroups, "_own_groups", list)
    monkeypatch.setattr(cgroups, "_remove", lambda folder: shutil.rmtree(folder) or True)
    return tmp_path


def values(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_version_2_limits_memory_without_swap_and_processes(tree: Path):
    (tree / "cgroup.subtree_control").write_text("cpu memory pids\n")
    found = cgroups.find()
    group = found.make(7, 128)
    assert group is not None and found.limits_memory
    [folder] = group.folders
    assert folder == tree / f"tailorbird-{os.getpid()}" / "7"
    assert values(folder) == {
        "memory.max": str(128 * 1024 * 1024),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "1024",
    }
    assert group.members == [str(folder / "cgroup.procs")]


def test_version_2_hands_its_controllers_down(tree: Path):
    (tree / "cgroup.subtree_control").write_text("memory pids\n")
    cgroups.find()
    base = tree / f"tailorbird-{os.getpid()}"
    assert (base / "cgroup.subtree_control").read_text() in ("+memory", "+pids")


def test_version_2_uses_only_what_is_offered(tree: Path):
    (tree / "cgroup.subtree_control").write_text("pids\n")
    found = cgroups.find()
    assert (list(found.bases), found.limits_memory) == (["pids"], False)


def test_version_1_limits_memory_and_processes_in_their_own_trees(
    tree: Path, monkeypatch: pytest.MonkeyPatch
):
    lines = ["4:memory:/box", "9:cpu,pids:/box", "0::/"]
    monkeypatch.setattr(cgroups, "_own_groups", lambda: lines)
    for controller in ("memory", "pids"):
        (tree / controller / "box").mkdir(parents=True)
    group = cgroups.find().make(0, 256)
    assert group is not None
    memory, pids = group.folders
    assert memory.is_relative_to(tree / "memory" / "box")
    assert values(memory) == {
        "memory.limit_in_bytes": str(256 * 1024 * 1024),
        "memory.memsw.limit_in_bytes": str(256 * 1024 * 1024),
    }
    assert values(pids) == {"pids.max": "1024"}


def test_without_control_groups_there_is_no_group(tree: Path):
    found = cgroups.find()
    assert (found.limits_memory, found.make(0, 128)) == (False, None)


def test_what_dead_processes_left_is_swept_and_what_live_ones_have_is_not(tree: Path):
    (tree / "cgroup.subtree_control").write_text("memory\n")
    dead, alive = tree / "tailorbird-999999999", tree / f"tailorbird-{os.getppid()}"
    for base in (dead, alive):
        (base / "3").mkdir(parents=True)
    cgroups.find()
    assert (dead.exists(), alive.exists()) == (False, True)


def test_nothing_is_left_at_the_end(tree: Path):
    (tree / "cgroup.subtree_control").write_text("memory pids\n")
    found = cgroups.find()
    group = found.make(1, 128)
    assert group is not None
    group.remove()
    found.close()
    assert not list(tree.glob("tailorbird-*"))
