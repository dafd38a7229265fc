"""Rows as CSV that Personalize reads: quotes doubled, backslashes too. Standard library only."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any


def template(columns: int) -> str:
    """A row of texts and whole numbers that need no quotes."""
    return "%s," * (columns - 1) + "%s\n"


def text_of(rows: Sequence[tuple[Any, ...]], whole: str | None) -> str:
    """The rows, each a line; with a template `whole` first tried the quick way."""
    if whole is not None:
        text = "".join(map(whole.__mod__, rows))
        if _needs_no_quotes(text, whole, len(rows)):
            return text
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", escapechar="\\").writerows(rows)
    return out.getvalue()


def field(text: str) -> str:
    """One text, in quotes when it needs them."""
    return text_of([(text, "")], None).removesuffix(",\n")


def _needs_no_quotes(text: str, whole: str, rows: int) -> bool:
    """Whether rows that were only put together are CSV: no more commas and lines than they need."""
    return (
        '"' not in text
        and "\\" not in text
        and "\r" not in text
        and text.count(",") == whole.count(",") * rows
        and text.count("\n") == rows
    )
