"""Unloads that come here: a query's CSV becomes a file that is there whole, or is not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tailorbird.errors import Invalid


@contextlib.contextmanager
def landing(output: str) -> Iterator[Path]:
    """A file to write to, which has the output's name when the context ends well."""
    if output.startswith("s3://") or not output.endswith(".csv"):
        raise Invalid(f"output is {output!r}; a file on this machine that ends in .csv is right")
    target = Path(output)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def escaped(query: str, names: tuple[str, ...], numbers: tuple[str, ...]) -> str:
    """The query with backslashes doubled in its texts, as Personalize reads CSV."""
    columns = [
        name
        if name in numbers
        else f"replace(cast({name} as varchar), chr(92), chr(92) || chr(92)) as {name}"
        for name in names
    ]
    return f"select {', '.join(columns)} from (\n{query}\n) as rows_to_unload"
