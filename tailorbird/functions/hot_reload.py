"""Hot reload, for development: a folder of this machine as a function's code, without a zip.

`S3Bucket="hot-reload", S3Key="/path"` in place of a bucket, below the roots that the setting
`functions_hot_reload_roots` lists. A change of a file starts fresh environments.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailorbird.errors import Denied, Invalid
from tailorbird.settings import Settings

BUCKET = "hot-reload"


def is_meant(code: Mapping[str, Any]) -> bool:
    return code.get("S3Bucket") == BUCKET and not code.get("ZipFile")


def folder(settings: Settings, path: str) -> Path:
    """The folder, links resolved; Denied outside the roots, Invalid when it is none."""
    roots = [root.strip() for root in settings.functions_hot_reload_roots.split(",")]
    wanted = Path(path)
    if not wanted.is_absolute():
        raise Invalid(
            f"S3Key {path!r} is not an absolute path, which {BUCKET} needs",
            code="InvalidParameterValueException",
        )
    real = Path(os.path.realpath(wanted))
    if not any(root and real.is_relative_to(os.path.realpath(root)) for root in roots):
        allowed = ", ".join(filter(None, roots)) or "none"
        raise Denied(
            f"{path} is not below a root of functions_hot_reload_roots (there: {allowed})",
            code="AccessDeniedException",
        )
    if not real.is_dir():
        raise Invalid(f"{path} is not a folder", code="InvalidParameterValueException")
    return real


def fingerprint(directory: str) -> str:
    """Changes whenever a file below the folder does."""
    seen = hashlib.sha256()
    for base, folders, files in os.walk(directory):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            path = Path(base) / name
            try:
                state = path.lstat()
            except FileNotFoundError:
                continue
            seen.update(f"{path}\0{state.st_mtime_ns}\0{state.st_size}\0".encode())
    return seen.hexdigest()[:16]


def code_members(directory: str) -> dict[str, Any]:
    """What a function shows where others have a zip's size and digest."""
    return {"CodeSize": 0, "CodeSha256": f"{BUCKET}:{directory}"}
