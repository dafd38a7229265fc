"""Builds the scanner of prepare (scan.c) where there is a C compiler; nothing fails without one.

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
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "tailorbird/prepare/scan.c"
LIBRARY = "tailorbird/prepare/scan.so"
FLAGS = ("-std=c11", "-O2", "-shared", "-fPIC")
COMPILERS = ("cc", "gcc", "clang")
COMPILE_SECONDS = 120


class Scanner(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's hook: `version` is "editable" or "standard"."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        source = Path(self.root, SOURCE)
        if version == "editable":
            self._build(source, Path(self.root, LIBRARY))
            return
        self.folder = tempfile.TemporaryDirectory(prefix="tailorbird-build-")
        built = Path(self.folder.name, "scan.so")
        if self._build(source, built):
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["force_include"][str(built)] = LIBRARY
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"

    def _build(self, source: Path, target: Path) -> bool:
        problem = build(source, target)
        if problem:
            self.app.display_warning(f"{SOURCE} is not built, prepare reads in Python: {problem}")
        return not problem


def build(source: Path, target: Path) -> str:
    """Make the library, or say why there is none; whoever has the one before keeps it."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, COMPILERS), None)
    if not compiler:
        return "there is no C compiler (Debian: apt-get install gcc)"
    stamp = hashlib.sha256(source.read_bytes()).hexdigest()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    command = [*compiler.split(), *FLAGS, f'-DSOURCE="{stamp}"', "-o", str(unfinished), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS)
        if done.returncode:
            return done.stderr.strip() or f"{compiler} ended with status {done.returncode}"
        unfinished.replace(target)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    finally:
        unfinished.unlink(missing_ok=True)
    return ""
