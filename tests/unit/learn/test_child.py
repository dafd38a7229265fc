"""A child process of its own: its result, its refusals, its end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tailorbird.errors import Invalid
from tailorbird.learn import child

from .conftest import as_csv, chains, schema_text


def spec(tmp_path: Path, data: bytes) -> dict:
    file = tmp_path / "in.csv"
    file.write_bytes(data)
    return {
        "files": [["in.csv", str(file)]],
        "schema": schema_text(),
        "out": str(tmp_path / "part.npz"),
        "keep_good_rows": False,
        "blank_cells": True,
    }


def test_a_child_says_how_far_it_is_and_what_came_of_it(tmp_path: Path):
    said: list = []
    result = child.run("import", spec(tmp_path, as_csv(chains())), said.append, threads=1)
    assert (result["rows"], result["written"]) == (1800, True)
    assert said[-1]["rows"] == 1800


def test_a_child_refuses_bad_input_by_reason(tmp_path: Path):
    with pytest.raises(Invalid, match="missing the following columns"):
        child.run("import", spec(tmp_path, b"A,B\n1,2\n"), print, threads=1)


def test_a_child_that_breaks_is_an_error_with_its_last_words(tmp_path: Path):
    with pytest.raises(RuntimeError, match="KeyError"):
        child.run("import", {"schema": schema_text()}, print, threads=1)


def test_a_child_leaves_when_its_parent_is_killed(tmp_path: Path):
    given = spec(tmp_path, as_csv(chains()))
    Path(given["files"][0][1]).unlink()
    import os

    os.mkfifo(given["files"][0][1])  # the child waits for a writer that never comes
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import json, sys; from tailorbird.learn import child;"
            "child.run('import', json.loads(sys.argv[1]), print, threads=1)",
            json.dumps(given),
        ]
    )
    pids = wait_for_children(parent.pid)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def wait_for_children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("this system does not list a process's children")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pids = [int(one) for one in path.read_text().split()]
        if pids:
            return pids
        time.sleep(0.05)
    raise AssertionError("no child was started")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
