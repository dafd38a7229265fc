"""The library that adds up a blend in C (adding.c), held by ctypes.

It is made when Tailorbird is installed where there is a C compiler (hatch_build.py); a library of
another source is not used. Without it numpy does the same, several times slower.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
from collections.abc import Callable
from ctypes import POINTER, Structure, c_char_p, c_double, c_float, c_int64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.learn.models import neighbours, personal
from tailorbird.learn.models.best import softmax
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import History
from tailorbird.learn.models.linear import Linear
from tailorbird.learn.models.neighbours import ItemNeighbours, SessionNeighbours
from tailorbird.learn.models.personal import Personal, Repeat
from tailorbird.learn.models.rows import Rows, fading
from tailorbird.learn.models.rules import Rules

LIBRARY = Path(__file__).with_name("adding.so")
SOURCES = [Path(__file__).with_name("adding.c")]
ROWS, SETS, SESSIONS, PERSONAL, REPEAT = range(5)  # as in adding.c
CHOICE = np.dtype([("score", np.float32), ("number", np.int32)])


class _Rows(Structure):
    _fields_ = [("starts", c_void_p), ("columns", c_void_p), ("weights", c_void_p)]


class _Buckets(Structure):
    _fields_ = [("of", c_void_p), ("greatest", c_int64), ("count", c_int64)]


class _Part(Structure):
    _fields_ = [
        ("kind", c_int64),
        ("weight", c_double),
        ("last", c_int64),
        ("rows", _Rows),
        ("people", _Rows),
        ("scale", c_void_p),
        ("voices", c_int64),
        ("sample", c_int64),
        ("half_life_days", c_double),
        ("counts", _Buckets),
        ("places", _Buckets),
        ("kinds", c_int64),
    ]


class _Blend(Structure):
    _fields_ = [("size", c_int64), ("count", c_int64), ("parts", POINTER(_Part))]


class _Room(Structure):
    _fields_ = [
        (name, c_void_p) for name in ("scores", "marks", "items", "votes", "people", "chosen")
    ]


class NotCovered(Exception):
    """The library does not know this scorer, or not with such arrays."""


class Native:
    """The library, opened."""

    def __init__(self, library: Path) -> None:
        opened = ctypes.CDLL(str(library))
        self.blend: Any = opened.tailorbird_blend
        self.blend.argtypes = [
            *(c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
            *(c_int64, c_double, c_void_p),
        ]
        self.blend.restype = c_double
        self._shares: Any = opened.tailorbird_shares
        self._shares.argtypes = [c_void_p, c_int64, POINTER(c_float)]
        self._shares.restype = c_double

    def kernel(self, blend: Blend, size: int) -> Kernel:
        """What the library does of this blend of models of `size` items."""
        return Kernel(self, blend, size)

    def softmax(self, scores: np.ndarray) -> tuple[float, float]:
        """The highest score, and the sum of e to the power of each less the highest."""
        if scores.dtype != np.float32 or not scores.flags.c_contiguous or not len(scores):
            return softmax(scores)
        highest = c_float()
        total: float = self._shares(_place(scores), len(scores), highest)
        return highest.value, total


class Kernel:
    """The parts of one blend that the library knows, made ready; for any number of threads."""

    def __init__(self, native: Native, blend: Blend, size: int) -> None:
        self._run, self._size = native.blend, size
        self._kept: list[Any] = []  # arrays that the library has the places of
        self._people = self._voices = 0
        self._rooms: list[_Vectors] = []
        parts, names = [], []
        for name, weight in blend.weights.items():
            make = PARTS.get(type(blend.scorers.get(name)))  # weights of a mix name no scorer
            if not weight or make is None:
                continue
            try:
                part = make(self, blend.scorers[name])
            except NotCovered:
                continue
            part.weight = weight
            parts.append(part)
            names.append(name)
        self.names = frozenset(names)
        self._parts = (_Part * len(parts))(*parts)
        self._blend = _Blend(size, len(parts), self._parts)
        self._place = ctypes.addressof(self._blend)

    def add(self, history: History, total: np.ndarray) -> float | None:
        """Add the standardised scores of `names` to the total of every item. What is to be taken
        from each for their means; None, and nothing is added, for a history it cannot read."""
        item = np.ascontiguousarray(history.item, dtype=np.int32)
        time = np.ascontiguousarray(history.time, dtype=np.float64)
        kind = np.ascontiguousarray(history.kind, dtype=np.int16)
        try:
            vectors = self._rooms.pop()
        except IndexError:
            vectors = _Vectors(self._size, self._people, self._voices)
        level: float = self._run(
            self._place, vectors.place, _place(item), _place(time), _place(kind),
            len(item), history.now, _place(total),
        )  # fmt: skip
        self._rooms.append(vectors)
        return None if math.isnan(level) else level

    def array(self, array: np.ndarray, dtype: type[np.generic]) -> int:
        """Where an array is, which is kept from now on."""
        if array.dtype != dtype or not array.flags.c_contiguous:
            raise NotCovered
        self._kept.append(array)
        return _place(array)

    def rows(self, rows: Rows, count: int, width: int, *, weighted: bool = True) -> _Rows:
        """So many rows, of numbers below `width`; a damaged model is left to numpy."""
        starts, columns = rows.starts, rows.columns
        if (
            len(starts) != count + 1
            or starts[0] < 0
            or (np.diff(starts) < 0).any()
            or starts[-1] > len(columns)
            or (weighted and len(rows.weights) != len(columns))
            or (len(columns) and not 0 <= columns.min() <= columns.max() < width)
        ):
            raise NotCovered
        weights = self.array(rows.weights, np.float32) if weighted else None
        return _Rows(self.array(starts, np.int64), self.array(columns, np.int32), weights)

    def scale(self, values: np.ndarray, count: int) -> int:
        if values.size != count:
            raise NotCovered
        return self.array(values, np.float32)

    def of_rows(self, scorer: Linear | ItemNeighbours | Rules) -> _Part:
        fades = np.ascontiguousarray(fading(scorer.decay, scorer.last)[:, 0])
        sets = isinstance(scorer, Linear) and scorer.distinct
        rows = self.rows(scorer.rows, self._size, self._size)
        return _Part(
            kind=SETS if sets else ROWS, last=scorer.last, rows=rows,
            scale=self.scale(fades, scorer.last),
        )  # fmt: skip

    def of_sessions(self, scorer: SessionNeighbours) -> _Part:
        people = len(scorer.by_user.starts) - 1
        part = _Part(
            kind=SESSIONS,
            last=neighbours.SESSION_LAST,
            rows=self.rows(scorer.by_item, self._size, people, weighted=False),
            people=self.rows(scorer.by_user, people, self._size, weighted=False),
            scale=self.scale(scorer.idf, self._size),
            voices=neighbours.SESSIONS,
            sample=neighbours.SESSION_SAMPLE,
        )
        self._people, self._voices = max(self._people, people), neighbours.SESSIONS
        return part

    def of_personal(self, scorer: Personal) -> _Part:
        return _Part(kind=PERSONAL, half_life_days=scorer.half_life_days)

    def of_repeat(self, scorer: Repeat) -> _Part:
        counts, places, kinds = scorer.chance.shape
        return _Part(
            kind=REPEAT,
            scale=self.array(scorer.chance, np.float32),
            counts=self._buckets(personal.COUNT_BOUNDS, counts),
            places=self._buckets(personal.PLACE_BOUNDS, places),
            kinds=kinds,
        )

    def _buckets(self, bounds: np.ndarray, count: int) -> _Buckets:
        greatest = int(bounds[-1]) + 1
        of = np.searchsorted(bounds, np.arange(greatest + 1), side="left").astype(np.int32)
        if of[-1] != count - 1:
            raise NotCovered
        return _Buckets(self.array(of, np.int32), greatest, count)


PARTS: dict[type, Callable[[Kernel, Any], _Part]] = {
    Linear: Kernel.of_rows,
    ItemNeighbours: Kernel.of_rows,
    Rules: Kernel.of_rows,
    SessionNeighbours: Kernel.of_sessions,
    Personal: Kernel.of_personal,
    Repeat: Kernel.of_repeat,
}


class _Vectors:
    """What one call works with; between calls the first ones are zeros."""

    def __init__(self, size: int, people: int, voices: int) -> None:
        self._arrays: list[np.ndarray] = [
            np.zeros(size, dtype=np.float32),
            np.zeros(size, dtype=np.uint8),
            np.empty(size, dtype=np.int32),
            np.zeros(people, dtype=np.int32),
            np.empty(people, dtype=np.int32),
            np.empty(voices, dtype=CHOICE),
        ]
        self._room = _Room(*(_place(array) for array in self._arrays))
        self.place = ctypes.addressof(self._room)


def library() -> Path | None:
    """Where the library is; None when there is none, or one that was made of another source."""
    try:
        made_of: Any = ctypes.CDLL(str(LIBRARY)).tailorbird_adding_source
        source = b"".join(file.read_bytes() for file in SOURCES)
    except (OSError, AttributeError):
        return None
    made_of.restype = c_char_p
    return LIBRARY if made_of() == hashlib.sha256(source).hexdigest().encode() else None


def opened(wanted: bool) -> Native | None:
    """The library when it is wanted and there."""
    found = library() if wanted else None
    return Native(found) if found else None


def _place(array: np.ndarray) -> int:
    return int(array.ctypes.data)
