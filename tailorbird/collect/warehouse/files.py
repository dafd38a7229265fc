"""Warehouses that are files lie in one folder; a setting names the file in it."""

from __future__ import annotations

import re
from typing import Any

from tailorbird.collect.catalog.definition import Option
from tailorbird.errors import Invalid

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def file_option(example: str) -> Option:
    return Option("file", f"Name of the file, such as {example}", str, required=True)


def checked_file(settings: dict[str, Any]) -> None:
    if not _NAME.fullmatch(settings["file"]):
        raise Invalid(
            f"setting 'file' is {settings['file']!r}; a name of letters, digits, '.', '_' and '-'"
            " is right: files lie in the folder of warehouses"
        )
