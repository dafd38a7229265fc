"""A runtime's name leads to an interpreter of that version, else to the house's own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailorbird.errors import Invalid, Unavailable
from tailorbird.functions import runtimes
from tailorbird.functions.runtimes import interpreters, python
from tests.unit.functions.conftest import Workshop

HERE = f"python3.{sys.version_info.minor}"
INSTALLED = [n for n in range(10, 16) if (found := interpreters.find(n)) is not None]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine without other interpreters, and a folder on PATH to put some into."""
    for name in ("HOME", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    interpreters.find.cache_clear()
    yield tmp_path / "bin"
    interpreters.find.cache_clear()


def test_the_houses_own_version_is_the_houses_own_interpreter():
    assert runtimes.find(HERE).binary == interpreters.house().binary


@pytest.mark.parametrize("minor", INSTALLED)
def test_a_name_runs_on_the_version_it_names_when_it_is_here(workshop: Workshop, minor: int):
    source = """
import sys, boto3
def handler(event, context): return [list(sys.version_info[:2]), boto3.__name__]
"""
    done = workshop.run(source, runtime=f"python3.{minor}", Timeout=60)
    assert json.loads(done.payload) == [[3, minor], "boto3"]


def test_a_version_that_is_not_here_runs_on_the_houses_own(nowhere: Path):
    other = next(n for n in range(10, 16) if n != sys.version_info.minor)
    runtime = runtimes.find(f"python3.{other}")
    assert (runtime.name, runtime.binary) == (f"python3.{other}", interpreters.house().binary)


def test_a_shim_that_leads_nowhere_is_not_an_interpreter(nowhere: Path):
    other = next(n for n in range(10, 16) if n != sys.version_info.minor)
    shim = nowhere / f"python3.{other}"
    shim.write_text("#!/bin/sh\necho 'not installed' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert interpreters.find(other) is None


@pytest.mark.parametrize("place", ["pyenv", "uv"])
def test_interpreters_of_pyenv_and_uv_are_found(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    other = next(n for n in range(10, 16) if n != sys.version_info.minor)
    root = nowhere.parent
    folder = {
        "pyenv": root / "PYENV_ROOT" / "versions" / f"3.{other}.4",
        "uv": root / "UV_PYTHON_INSTALL_DIR" / f"cpython-3.{other}.4-linux",
    }[place]
    binary = folder / "bin" / f"python3.{other}"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\nprintf '3.{other}.4\\n{folder}\\n'\n")
    binary.chmod(0o755)
    found = interpreters.find(other)
    assert found == interpreters.Interpreter(binary, f"3.{other}.4")


def test_what_runs_behind_each_name_is_said():
    said = runtimes.installed()
    assert set(said) == {"python", "nodejs", "provided"}
    assert f"python{interpreters.house().version} for" in said["python"]


def test_a_name_that_lambda_does_not_have_is_refused_with_the_list():
    with pytest.raises(Invalid, match=r"provided\.al2023"):
        runtimes.find("python2.7")


def test_the_legacy_bundle_that_was_never_fetched_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(python, "legacy_folder", lambda: tmp_path / "none")
    with pytest.raises(Unavailable, match="--legacy"):
        runtimes.find("python3.12", "legacy")
    assert os.fspath(runtimes.find("python3.7").libraries or "").endswith("site-packages")
