"""The rule alone, for processes that need nothing else: small to send, quick to start."""

from __future__ import annotations

import zipfile
from pathlib import Path

import tailorbird

PACKAGES = ("", "prepare/")
MODULES = (
    "paths", "mapping", "counts", "clock_texts", "quick", "rule", "csv_text", "blocks", "native",
    "lines", "worker",
)  # fmt: skip
SENT = ("errors", *(f"prepare/{name}" for name in MODULES))


def package(folder: Path) -> Path:
    """A zip in the folder that a Python can import the rule from."""
    root = Path(tailorbird.__file__).parent
    target = folder / "tailorbird_rule.zip"
    with zipfile.ZipFile(target, "w") as files:
        for name in PACKAGES:
            files.writestr(f"tailorbird/{name}__init__.py", "")
        for name in SENT:
            files.write(root / f"{name}.py", f"tailorbird/{name}.py")
    return target
