"""`provided.*`: the function brings its own runtime, an executable file named `bootstrap`.

Source: Lambda developer guide, "Building a custom runtime for AWS Lambda".
"""

from __future__ import annotations

from tailorbird.functions.runtimes.runtime import Places, Runtime

NAMES = ("provided", "provided.al2", "provided.al2023")
VERSION = "bootstrap"
NO_BOOTSTRAP = 213  # exit code of the search below: neither place holds an executable
SEARCH = 'for file; do [ -f "$file" ] && [ -x "$file" ] && exec "$file"; done; exit 213'


def find(name: str, _bundle: str = "") -> Runtime:
    """The function's own bootstrap, else one of its layers'."""
    return Runtime(name, VERSION, _command, _env)


def describe() -> str:
    return "bootstrap files of functions and layers, over HTTP"


def bootstraps(places: Places) -> list[str]:
    """Where Lambda looks for a bootstrap, in its order."""
    return [f"{places.task}/bootstrap", f"{places.layers}/bootstrap"]


def _command(_interpreter: str, places: Places, _memory_mb: int) -> list[str]:
    return ["/bin/sh", "-c", SEARCH, "sh", *bootstraps(places)]


def _env(_places: Places) -> dict[str, str]:
    return {}
