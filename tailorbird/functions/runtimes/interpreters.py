"""The Python interpreters of this machine: on PATH, and in the folders of pyenv and uv.

Each is tried once before it is believed: a shim that leads nowhere or an interpreter without ssl
does not count.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TRY_SECONDS = 10.0
TRY = (
    "import ctypes, json, ssl, sys, zlib;"
    "print('.'.join(map(str, sys.version_info[:3])), sys.base_prefix, sep='\\n')"
)


@dataclass(frozen=True)
class Interpreter:
    binary: Path
    version: str  # "3.12.1"

    @property
    def minor(self) -> int:
        return int(self.version.split(".")[1])


@functools.cache
def house() -> Interpreter:
    """The interpreter under the virtual environment this process runs in."""
    version = ".".join(map(str, sys.version_info[:3]))
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    binary = Path(sys.base_prefix) / "bin" / name
    return Interpreter(binary if binary.exists() else Path(sys.executable).resolve(), version)


@functools.cache
def find(minor: int) -> Interpreter | None:
    """A working Python 3 of this minor version; the house's own when it is one."""
    if house().minor == minor:
        return house()
    return next((good for path in _candidates(minor) if (good := _tried(path, minor))), None)


def _candidates(minor: int) -> Iterator[Path]:
    name = f"python3.{minor}"
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        if entry and Path(entry).name != "shims":
            yield Path(entry) / name
    for versions, pattern in _managed():
        for folder in sorted(versions.glob(pattern.format(minor=minor)), reverse=True):
            yield folder / "bin" / name


def _managed() -> list[tuple[Path, str]]:
    """Where pyenv and uv keep interpreters, and how they name a folder of one version."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    return [(pyenv / "versions", "3.{minor}.*"), (uv, "cpython-3.{minor}.*")]


def _tried(path: Path, minor: int) -> Interpreter | None:
    if not path.exists():
        return None
    try:
        said = subprocess.run(
            [path, "-I", "-S", "-c", TRY],
            capture_output=True,
            text=True,
            timeout=TRY_SECONDS,
            check=True,
            cwd="/",
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    version, prefix = said
    binary = Path(prefix) / "bin" / f"python3.{minor}"
    if not version.startswith(f"3.{minor}.") or not binary.exists():
        return None
    return Interpreter(binary, version)
