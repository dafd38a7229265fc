"""What an environment is shown of a version: its code at /var/task, its layers at /opt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.functions import hot_reload, packages
from tailorbird.functions.resolve import FunctionVersion

if TYPE_CHECKING:
    from tailorbird.functions.room import Functions


def code_folder(room: Functions, version: FunctionVersion) -> Path:
    """The version's code: unpacked, or the developer's own folder (hot reload)."""
    if version.directory is not None:
        return hot_reload.folder(room.settings, version.directory)
    return _used(packages.unpacked(room.objects, room.root, version.package))


def layers_folder(room: Functions, version: FunctionVersion) -> Path | None:
    """What the version's layers hold together, a later one's files over an earlier one's."""
    if not version.layers:
        return None
    return _used(packages.merged(room.objects, room.root, version.layers))


def _used(folder: Path) -> Path:
    """The folder, marked with the moment: what is not used for long is swept away."""
    os.utime(folder)
    return folder
