"""What an engine is given: groups of files, each to become one part, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tailorbird.prepare.counts import Counts
from tailorbird.prepare.mapping import Dataset
from tailorbird.prepare.worker import Named


@dataclass(frozen=True)
class Work:
    dataset: Dataset
    todo: Sequence[int]  # numbers of the groups that have no part yet
    open: Callable[[int], AbstractContextManager[list[Named]]]  # a group's files, on this machine
    part: Callable[[int], Path]  # where its rows go, as CSV without a header
    scratch: Path
    processes: int
    now: float
    master: str | None = None  # of Spark
    library: Path | None = None  # of the scanner, when it covers the dataset


Engine = Callable[[Work], Iterator[tuple[int, Counts]]]  # each group when its part is whole
