"""The scanner (scan.c): rows of usual lines, many times as quick as the rule in Python.

It is made when Tailorbird is installed where there is a C compiler (hatch_build.py). A library
that was made of other sources than those here is as good as none.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from ctypes import POINTER, c_char, c_char_p, c_double, c_int64, c_size_t, c_uint64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailorbird.prepare import csv_text
from tailorbird.prepare.counts import SAMPLES, Counts
from tailorbird.prepare.mapping import (
    ID_MAX_CHARACTERS,
    SECONDS_MAX,
    TEXT_MAX_CHARACTERS,
    Column,
    Dataset,
)

LIBRARY = Path(__file__).with_name("scan.so")
SOURCES = [Path(__file__).with_name(name) for name in ("scan_json.h", "scan_values.h", "scan.c")]
MILLISECONDS = "milliseconds"  # a column of rows of which the latest counts
USERS_MAX, KEYS_MAX, COLUMNS_MAX = 4, 8, 16  # as in scan.c
STEPS_MAX, PATHS_MAX = 4, 4  # as in scan_values.h
KINDS = ("user", "item", "event", "seconds", "moment", "anonymous", MILLISECONDS)  # in its order
VALUES = {"string": 0, "int": 1, "long": 1, "float": 2, "double": 2, "boolean": 3}
HANDED_MAX = 1_024  # lines that go back at once
HANDED_FIELDS = 4
ROOM_BYTES = 256 * 1024  # for rows, at once
REASONS = (  # that it finds itself, in its order
    "type_not_wanted", "no_event", "event_not_wanted", "no_user_id", "no_item_id",
)  # fmt: skip


class Text(ctypes.Structure):
    _fields_ = [("text", c_char_p), ("length", c_size_t)]


class _Path(ctypes.Structure):
    _fields_ = [("steps", Text * STEPS_MAX), ("count", c_size_t), ("in_entry", c_size_t)]


class _Value(ctypes.Structure):
    _fields_ = [("paths", _Path * PATHS_MAX), ("count", c_size_t), ("kind", c_size_t)]


class _Mapping(ctypes.Structure):
    _fields_ = [
        ("anonymous", Text),
        ("time", Text),
        ("array", Text),
        ("user", Text * USERS_MAX),
        ("item", Text * KEYS_MAX),
        ("inner", Text * KEYS_MAX),
        ("users", c_size_t),
        ("items", c_size_t),
        ("inners", c_size_t),
        ("columns", c_size_t * COLUMNS_MAX),
        ("column_count", c_size_t),
        ("values", _Value * COLUMNS_MAX),
        ("needs_anonymous", c_size_t),
        ("literal", c_size_t),
        ("calls", POINTER(Text)),
        ("call_count", c_size_t),
        ("events", POINTER(Text)),
        ("types", POINTER(Text)),
        ("event_count", c_size_t),
        ("id_max", c_size_t),
        ("text_max", c_size_t),
        ("seconds_max", c_int64),
        ("now", c_double),
    ]


class _Work(ctypes.Structure):
    _fields_ = [
        ("out", POINTER(c_char)),
        ("room", c_size_t),
        ("handed", POINTER(c_uint64)),
        ("handed_max", c_size_t),
        ("show", c_size_t * len(REASONS)),
        ("taken", c_size_t),
        ("lines", c_size_t),
        ("kept", c_size_t),
        ("rows", c_size_t),
        ("written", c_size_t),
        ("handed_count", c_size_t),
        ("refused", c_size_t * len(REASONS)),
        ("oldest", c_int64),
        ("newest", c_int64),
        ("future", c_size_t),
    ]


@dataclass(frozen=True)
class Scanned:
    """What became of some whole lines: `taken` bytes of them, so many `lines`."""

    taken: int
    lines: int
    rows: memoryview  # CSV; holds until the next scan
    handed: list[list[int]]  # lines for the rule: start, stop, number from 0, bytes of rows before


class Scanner:
    """The library, told what to look for; for one thread."""

    def __init__(self, library: Path, dataset: Dataset, now: float) -> None:
        self._scan: Any = ctypes.CDLL(str(library)).tailorbird_scan
        self._scan.argtypes = [POINTER(_Mapping), c_char_p, c_size_t, c_size_t, POINTER(_Work)]
        self._scan.restype = None
        self._mapping = _mapping(dataset, now)
        self._timed = "seconds" in _kinds(dataset) and not dataset.literal
        self._out = ctypes.create_string_buffer(ROOM_BYTES)
        self._handed = (c_uint64 * (HANDED_FIELDS * HANDED_MAX))()

    def scan(self, data: bytes, start: int, stop: int, counts: Counts) -> Scanned:
        """Take whole lines, all or as many as there is room for, and count them.

        Lines that the rule must look at are handed back, in order, and are not counted; among
        them the first of each reason, which are shown as samples.
        """
        work = _Work(self._out, ROOM_BYTES, self._handed, HANDED_MAX)
        for n, reason in enumerate(REASONS):
            work.show[n] = SAMPLES - len(counts.samples.get(reason, ()))
        self._scan(self._mapping, data, start, stop, work)
        counts.kept += work.kept
        counts.rows += work.rows
        for reason, refused in zip(REASONS, work.refused, strict=True):
            if refused:
                counts.rejected[reason] += refused
        if work.rows and self._timed:
            counts.seen((work.oldest, work.newest))
            counts.future += work.future
        handed: Any = memoryview(self._handed).cast("B").cast("Q", (HANDED_MAX, HANDED_FIELDS))
        return Scanned(
            work.taken,
            work.lines,
            memoryview(self._out).cast("B")[: work.written],
            handed[: work.handed_count].tolist(),
        )


def library() -> Path | None:
    """Where the library is; None when there is none, or one that was made of another source."""
    try:
        made_of: Any = ctypes.CDLL(str(LIBRARY)).tailorbird_scan_source
        source = b"".join(file.read_bytes() for file in SOURCES)
    except (OSError, AttributeError):
        return None
    made_of.restype = c_char_p
    return LIBRARY if made_of() == hashlib.sha256(source).hexdigest().encode() else None


def covers(dataset: Dataset) -> bool:
    """Whether the scanner knows what becomes of this dataset's usual lines."""
    flat, inner = _keys(dataset)
    outer = [*dataset.user, *dataset.anonymous, dataset.time]
    return (
        all(map(_is_known, dataset.columns))
        and all(len(path.outer) == 1 for path in outer)
        and all(len(path.outer) == 2 and path.outer[0] == "properties" for path in dataset.item)
        and all(len(path.inner) == 1 for path in dataset.item if path.inner is not None)
        and (dataset.array is None or dataset.item[0].inner is not None)
        and len(_kinds(dataset)) <= COLUMNS_MAX
        and len(dataset.user) <= USERS_MAX
        and max(len(flat), len(inner)) <= KEYS_MAX
    )


def _kinds(dataset: Dataset) -> list[str]:
    """Of the columns of a part, as rule.py gives them."""
    first = ["item" if dataset.item else "user", MILLISECONDS] if dataset.latest else []
    return [*first, *(column.kind for column in dataset.columns)]


def _is_known(column: Column) -> bool:
    if column.kind in KINDS:
        return True
    steps = max(len(path.inner or path.outer) for path in column.paths)
    return column.kind in VALUES and len(column.paths) <= PATHS_MAX and steps <= STEPS_MAX


def _mapping(dataset: Dataset, now: float) -> _Mapping:
    flat, inner = _keys(dataset)
    users = [path.outer[0] for path in dataset.user]
    types = dict(dataset.event_types)
    events = dataset.events
    values = [column for column in dataset.columns if column.kind in VALUES]
    places = iter(range(len(KINDS), len(KINDS) + COLUMNS_MAX))
    kinds = [KINDS.index(kind) if kind in KINDS else next(places) for kind in _kinds(dataset)]
    return _Mapping(
        anonymous=_text(dataset.anonymous[0].outer[0] if dataset.anonymous else ""),
        time=_text(dataset.time.outer[0]),
        array=_text(dataset.array[1] if dataset.array else ""),
        user=_texts(users, USERS_MAX),
        item=_texts(flat, KEYS_MAX),
        inner=_texts(inner, KEYS_MAX),
        users=len(users),
        items=len(flat),
        inners=len(inner),
        columns=(c_size_t * COLUMNS_MAX)(*kinds),
        column_count=len(kinds),
        values=(_Value * COLUMNS_MAX)(*map(_value, values)),
        needs_anonymous=dataset.needs_anonymous,
        literal=dataset.literal,
        calls=_texts(dataset.types, len(dataset.types)),
        call_count=len(dataset.types),
        events=_texts(events, len(events)),
        types=_texts([csv_text.field(types.get(name, name)) for name in events], len(events)),
        event_count=len(events),
        id_max=ID_MAX_CHARACTERS,
        text_max=TEXT_MAX_CHARACTERS,
        seconds_max=SECONDS_MAX,
        now=now,
    )


def _value(column: Column) -> _Value:
    paths = [
        _Path(_texts(path.inner or path.outer, STEPS_MAX), len(path.inner or path.outer), inside)
        for path, inside in ((path, path.inner is not None) for path in column.paths)
    ]
    return _Value((_Path * PATHS_MAX)(*paths), len(paths), VALUES[column.kind])


def _keys(dataset: Dataset) -> tuple[list[str], list[str]]:
    """Names of the item's fields in the properties, and in an entry of the array."""
    flat = [path.outer[1] for path in dataset.item if path.inner is None]
    return flat, [path.inner[0] for path in dataset.item if path.inner]


def _text(text: str) -> Text:
    encoded = text.encode(errors="surrogatepass")  # half a pair is found in no line
    return Text(encoded, len(encoded))


def _texts(texts: Sequence[str], room: int) -> Any:
    return (Text * room)(*map(_text, texts))
