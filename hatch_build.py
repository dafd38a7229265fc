"""Builds the scanner of prepare where there is a C compiler; nothing fails without one.

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

FOLDER = "tailorbird/prepare"
SOURCES = (
    "scan_json.h",
    "scan_values.h",
    "scan.c",
)  # the last one is compiled; native.py knows them too
LIBRARY = "scan.so"
FLAGS = ("-std=c11", "-O2", "-shared", "-fPIC")
COMPILERS = ("cc", "gcc", "clang")
COMPILE_SECONDS = 120


class Scanner(BuildHookInterface):
    """Hatchling's hook: `version` is "editable" or "standard"."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            self._build(Path(self.root, FOLDER, LIBRARY))
            return
        self.folder = tempfile.TemporaryDirectory(prefix="tailorbird-build-")
        built = Path(self.folder.name, LIBRARY)
        if self._build(built):
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["force_include"][str(built)] = f"{FOLDER}/{LIBRARY}"
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"

    def _build(self, target: Path) -> bool:
        problem = build(Path(self.root, FOLDER), target)
        if problem:
            self.app.display_warning(f"No scanner, so prepare reads in Python: {problem}")
        return not problem


def build(folder: Path, target: Path) -> str:
    """Make the library, or say why there is none; whoever has the one before keeps it."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, COMPILERS), None)
    if not compiler:
        return "there is no C compiler (Debian: apt-get install gcc)"
    sources = [folder / name for name in SOURCES]
    stamp = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    command = [*compiler.split(), *FLAGS, f'-DSOURCE="{stamp}"', "-o", str(unfinished)]
    try:
        done = subprocess.run(
            [*command, str(sources[-1])], capture_output=True, text=True, timeout=COMPILE_SECONDS
        )
        if done.returncode:
            return done.stderr.strip() or f"{compiler} ended with status {done.returncode}"
        unfinished.replace(target)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    finally:
        unfinished.unlink(missing_ok=True)
    return ""
