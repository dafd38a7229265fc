"""Builds what there is in C where there is a C compiler; nothing fails without one.

For an editable install beside its source, else into a wheel, which is then one for this platform.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ("-std=c11", "-O2", "-fopenmp-simd", "-fno-trapping-math", "-shared", "-fPIC")
COMPILERS = ("cc", "gcc", "clang")
COMPILE_SECONDS = 120


class Library(NamedTuple):
    """A shared library; the last of its sources is compiled, and who opens it knows them too."""

    folder: str
    name: str
    sources: tuple[str, ...]
    without: str  # what is done in Python where it was not built


LIBRARIES = (
    Library(
        "tailorbird/prepare",
        "scan.so",
        ("scan_json.h", "scan_values.h", "scan.c"),
        "prepare reads",
    ),
    Library("tailorbird/learn/models", "adding.so", ("adding.c",), "recommendations are added up"),
)


class Compiled(BuildHookInterface):
    """Hatchling's hook: `version` is "editable" or "standard"."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            for library in LIBRARIES:
                self._build(library, Path(self.root, library.folder))
            return
        self.folder = tempfile.TemporaryDirectory(prefix="tailorbird-build-")
        for library in LIBRARIES:
            if self._build(library, Path(self.folder.name)):
                built = Path(self.folder.name, library.name)
                build_data["force_include"][str(built)] = f"{library.folder}/{library.name}"
                platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
                build_data["pure_python"] = False
                build_data["tag"] = f"py3-none-{platform}"

    def _build(self, library: Library, target: Path) -> bool:
        sources = [Path(self.root, library.folder, name) for name in library.sources]
        problem = build(sources, target / library.name)
        if problem:
            self.app.display_warning(
                f"No {library.name}, so {library.without} in Python: {problem}"
            )
        return not problem


def build(sources: list[Path], target: Path) -> str:
    """Make the library, or say why there is none; whoever has the one before keeps it."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, COMPILERS), None)
    if not compiler:
        return "there is no C compiler (Debian: apt-get install gcc)"
    stamp = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    command = [*compiler.split(), *FLAGS, f'-DSOURCE="{stamp}"', "-o", str(unfinished)]
    try:
        done = subprocess.run(
            [*command, str(sources[-1]), "-lm"],
            capture_output=True,
            text=True,
            timeout=COMPILE_SECONDS,
        )
        if done.returncode:
            return done.stderr.strip() or f"{compiler} ended with status {done.returncode}"
        unfinished.replace(target)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    finally:
        unfinished.unlink(missing_ok=True)
    return ""
