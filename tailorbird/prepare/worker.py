"""A process that does nothing but turn groups of files into parts.

It is told its dataset once, then reads a line of JSON for each group and answers with one; it
ends when whoever started it is gone.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Any

from tailorbird.prepare.counts import Counts
from tailorbird.prepare.lines import converter
from tailorbird.prepare.mapping import Column, Dataset
from tailorbird.prepare.paths import Path

Named = tuple[str, FilePath]  # what a file is called in reports, and where it lies here


def convert(
    dataset: Dataset,
    files: Sequence[Named],
    part: FilePath,
    now: float,
    library: FilePath | None = None,
) -> Counts:
    """The rows of some files in one part: CSV without a header."""
    counts = Counts()
    one_file = converter(dataset, now, library)
    with part.open("wb") as out:
        for name, path in files:
            with path.open("rb") as file:
                counts.add(one_file(name, file, out))
    return counts


def greeting(dataset: Dataset) -> str:
    """The first line a worker is sent."""
    return json.dumps(asdict(dataset))


def greeted(line: str) -> Dataset:
    """The dataset of a greeting."""
    given = {name: _tupled(value) for name, value in json.loads(line).items()}
    for name in ("user", "item", "anonymous"):
        given[name] = tuple(_path(path) for path in given[name])
    columns = (
        Column(one["name"], one["kind"], tuple(_path(path) for path in one["paths"]))
        for one in given["columns"]
    )
    return Dataset(**{**given, "time": _path(given["time"]), "columns": tuple(columns)})


def _path(given: Any) -> Path:
    return Path(tuple(given["outer"]), None if given["inner"] is None else tuple(given["inner"]))


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def serve() -> None:
    """Groups from standard input, counts to standard output."""
    gc.disable()  # rows make no cycles
    dataset = greeted(sys.stdin.readline())
    for line in sys.stdin:
        task = json.loads(line)
        files = [(name, FilePath(path)) for name, path in task["files"]]
        library = FilePath(task["library"]) if task["library"] else None
        try:
            counts = convert(dataset, files, FilePath(task["part"]), task["now"], library)
            answer: dict[str, Any] = {"counts": counts.to_dict()}
        except OSError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
