"""Python functions, on the official `awslambdaric` and an interpreter of the version they name.

The house's libraries (boto3 and what it needs) run on Python 3.10 and newer. The legacy bundle, an
optional download with boto3 of 2021, runs on 3.7 to 3.11: code of 2019 that brings its own urllib3
breaks every newer boto3.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path

from tailorbird.errors import Unavailable
from tailorbird.functions.runtimes import interpreters
from tailorbird.functions.runtimes.interpreters import Interpreter
from tailorbird.functions.runtimes.runtime import Places, Runtime

NAMES = tuple(f"python3.{minor}" for minor in range(6, 16))
LIBRARIES_FROM = 10  # the house's boto3 needs Python 3.10
LEGACY = "legacy"
LEGACY_MINORS = range(7, 12)
LEGACY_COMMAND = "python -m tailorbird.functions.setup --legacy"


def find(name: str, bundle: str = "") -> Runtime:
    """The interpreter of the version named when this machine has it, else the nearest that runs.

    `bundle` "legacy" asks for the libraries of 2021; Unavailable when they were never fetched.
    """
    minor = int(name.removeprefix("python3."))
    if bundle == LEGACY:
        if not has_legacy():
            raise Unavailable(f"The legacy bundle of Python is not here: {LEGACY_COMMAND}")
        found, shown = _for_legacy(minor), legacy_folder()
    elif minor >= LIBRARIES_FROM:
        found, shown = interpreters.find(minor) or interpreters.house(), libraries()
    elif has_legacy() and minor in LEGACY_MINORS and interpreters.find(minor):
        found, shown = _for_legacy(minor), legacy_folder()
    else:
        found, shown = interpreters.house(), libraries()
    return Runtime(
        name,
        f"python{found.version}",
        _command,
        _env,
        binary=found.binary,
        libraries=shown,
        shown=house_names() if shown == libraries() else (),
        channel=True,
    )


def describe() -> str:
    """Which version runs behind each name."""
    try:
        libraries()
    except Unavailable as missing:
        return missing.message
    by_version: dict[str, list[str]] = {}
    for name in NAMES:
        by_version.setdefault(find(name).version, []).append(name.removeprefix("python"))
    shown = [f"{version} for {_span(names)}" for version, names in by_version.items()]
    return "; ".join(shown)


def legacy_folder() -> Path:
    """Where the legacy bundle is put: beside the virtual environment's libraries."""
    return Path(sys.prefix) / "share" / "tailorbird" / "python-legacy"


def recipe_folder() -> Path:
    """Wheels of 2019, for the test that packs them into a zip as the published recipe does."""
    return Path(sys.prefix) / "share" / "tailorbird" / "recipe-2019"


def has_legacy() -> bool:
    return (legacy_folder() / "awslambdaric").is_dir()


def packages() -> tuple[str, ...]:
    """What the runtime brings: names of the packages functions may count on."""
    return (
        "awslambdaric",
        "simplejson",
        "snapshot_restore_py",
        "boto3",
        "botocore",
        "s3transfer",
        "jmespath",
        "dateutil",
        "urllib3",
        "six",
    )


@cache
def house_names() -> tuple[str, ...]:
    """The files and folders among the house's libraries that are the runtime's: nothing else of the
    server's own is shown to functions."""
    found = [entry for name in packages() for entry in libraries().glob(f"{name}*")]
    wanted = {name + end for name in packages() for end in ("", ".py")}
    names = {entry.name for entry in found if entry.name in wanted}
    dated = {entry.name for entry in found if entry.match("boto*.dist-info")}
    return tuple(sorted(names | dated))


def _for_legacy(minor: int) -> Interpreter:
    """The version named if the bundle runs on it, else the newest interpreter it does run on."""
    wanted = [minor, interpreters.house().minor, *reversed(LEGACY_MINORS)]
    for each in wanted:
        if each in LEGACY_MINORS and (found := interpreters.find(each)):
            return found
    raise Unavailable("The legacy bundle needs a Python 3.7 to 3.11, and this machine has none")


def libraries() -> Path:
    """The house's own, shown to functions as /var/runtime."""
    found = importlib.util.find_spec("awslambdaric")
    if found is None or found.origin is None:
        raise Unavailable("Python functions need awslambdaric: run `make setup`")
    return Path(found.origin).parent.parent


def _command(interpreter: str, places: Places, _memory_mb: int) -> list[str]:
    return [interpreter, "-s", "-S", f"{places.boot}/bootstrap.py"]


def _env(places: Places) -> dict[str, str]:
    return {
        "PYTHONPATH": places.runtime,
        "TAILORBIRD_LAYERS": places.layers,
    }


def _span(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names)}"
