"""What a Spark executor does with its share of a batch job: open the model it was sent, answer.

It needs Python, numpy and scipy; the code comes with the job.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tailorbird.learn import artifacts, batch_lines, batch_today
from tailorbird.learn.artifacts import Trained
from tailorbird.learn.batch_lines import Given, Told, Wanted
from tailorbird.learn.batch_today import Today

_open: dict[str, Trained] = {}  # the model of the job this process works for


class Line(NamedTuple):
    """A line as it travels: what its filter lets by, or why it has no answer, is settled."""

    given: Given
    passes: bytes | None = None
    record: Given | None = None
    output: Given | None = None
    error: str | None = None


def line(given: Given, told: Told) -> Line:
    passes = told.passes
    packed = None if passes is None else zlib.compress(np.packbits(passes).tobytes(), 1)
    return Line(given, packed, told.record, told.output)


def answered(
    model: str, wanted: Wanted, today: Today | None, lines: Sequence[Line]
) -> list[dict[str, Any]]:
    """The lines of the output, in order."""
    trained = _model(model)
    return [_answered(trained, wanted, today, one) for one in lines]


def belonging(model: str, queries: Sequence[np.ndarray], users: range) -> np.ndarray:
    """[query, user]: the share of a user's score that lies on the query's items."""
    return batch_lines.belonging(_model(model), queries, users)


def _answered(trained: Trained, wanted: Wanted, today: Today | None, one: Line) -> dict[str, Any]:
    if one.error is not None:
        return {"input": one.given, "output": None, "error": one.error}
    passes = None
    if one.passes is not None:
        bits = np.frombuffer(zlib.decompress(one.passes), dtype=np.uint8)
        count = len(trained.items) + (0 if today is None else len(today))
        passes = np.unpackbits(bits, count=count).astype(bool)
    told = Told(passes, one.record, one.output)
    return batch_lines.line(
        lambda given: batch_today.answered(trained, wanted, today, given, told), one.given
    )


def _model(name: str) -> Trained:
    if name not in _open:
        from pyspark import SparkFiles

        _open.clear()
        _open[name] = artifacts.load(_Folder(), SparkFiles.get(name))
    return _open[name]


class _Folder:
    """A model's files as Spark unpacked them."""

    def get(self, uri: str) -> bytes:
        return Path(uri).read_bytes()

    def fetch(self, uri: str) -> AbstractContextManager[Path]:
        return nullcontext(Path(uri))
