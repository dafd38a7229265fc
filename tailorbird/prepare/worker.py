"""A process that does nothing but turn groups of files into parts.

It is told its dataset once, then reads a line of JSON for each group and answers with one; it
ends when whoever started it is gone.
"""

from __future__ import annotations

import base64
import gc
import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailorbird.prepare.counts import Counts
from tailorbird.prepare.lines import converter
from tailorbird.prepare.mapping import Dataset

Named = tuple[str, Path]  # what a file is called in reports, and where it lies here


def convert(dataset: Dataset, files: Sequence[Named], part: Path, now: float) -> Counts:
    """The rows of some files in one part: CSV without a header."""
    counts = Counts()
    one_file = converter(dataset, now)
    with part.open("w", newline="", encoding="utf-8") as out:
        for name, path in files:
            with path.open("rb") as file:
                counts.add(one_file(name, file, out))
    return counts


def greeting(dataset: Dataset) -> str:
    """The first line a worker is sent."""
    return base64.b64encode(pickle.dumps(dataset)).decode()


def serve() -> None:
    """Groups from standard input, counts to standard output."""
    gc.disable()  # rows make no cycles
    dataset: Dataset = pickle.loads(base64.b64decode(sys.stdin.readline()))
    for line in sys.stdin:
        task = json.loads(line)
        files = [(name, Path(path)) for name, path in task["files"]]
        try:
            counts = convert(dataset, files, Path(task["part"]), task["now"])
            answer: dict[str, Any] = {"counts": counts.to_dict()}
        except OSError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
