"""Python functions, on the official `awslambdaric` and the interpreter this house runs on."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

from tailorbird.errors import Unavailable
from tailorbird.functions import sandbox
from tailorbird.functions.runtimes.runtime import Runtime

NAMES = tuple(f"python3.{minor}" for minor in range(7, 16))
VERSION = f"python{platform.python_version()}"


def find(name: str) -> Runtime:
    """Every python3.x name leads to the house's interpreter, whose site-packages hold boto3."""
    libraries = _libraries()
    return Runtime(name, sandbox.house_python(), VERSION, libraries, _command, _env)


def describe() -> str:
    try:
        _libraries()
    except Unavailable as missing:
        return missing.message
    return f"{VERSION} with awslambdaric, for {NAMES[0]} to {NAMES[-1]}"


def _libraries() -> Path:
    found = importlib.util.find_spec("awslambdaric")
    if found is None or found.origin is None:
        raise Unavailable("Python functions need awslambdaric: run `make setup`")
    return Path(found.origin).parent.parent


def _command(interpreter: str, boot: str, _memory_mb: int) -> list[str]:
    return [interpreter, "-s", "-S", f"{boot}/bootstrap.py"]


def _env(runtime: str, layers: str) -> dict[str, str]:
    return {
        "PYTHONPATH": runtime,
        "TAILORBIRD_LAYERS": layers,
    }
