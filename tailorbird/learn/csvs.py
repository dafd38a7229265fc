"""Rows of CSV files as columns of numbers and strings; a row that cannot be read is counted.

The header decides which column is which: any order, any case, extra columns are passed over.
Quotes may be escaped by doubling or by a backslash.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from tailorbird.errors import Invalid
from tailorbird.learn import cells
from tailorbird.learn.schemas import Schema

CHUNK_LINES = 20_000
MAX_LINES_A_RECORD = 100  # an open quote swallows no more than this
MAX_CELL_CHARACTERS = 16_000_000  # Python's own limit is 131,072; longer texts are cut anyway
REJECTED_KEPT = 20  # in the report; the others are written beside it
REJECTED_WRITTEN = 100_000
OTHER_KINDS = {b"PK\x03\x04": "a zip file", b"PAR1": "a Parquet file", b"Obj\x01": "an Avro file"}

Seen = Callable[[int, int], None]  # bytes read, rows read

csv.field_size_limit(MAX_CELL_CHARACTERS)


@dataclass
class Report:
    """What an import saw."""

    rows: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)  # field and reason -> rows
    examples: list[dict[str, Any]] = field(default_factory=list)
    files: int = 0
    ignored_columns: list[str] = field(default_factory=list)
    blanked: dict[str, int] = field(default_factory=dict)  # field and reason -> cells left blank
    blanked_examples: list[dict[str, Any]] = field(default_factory=list)
    every: list[tuple[str, int, str, str, str]] = field(default_factory=list)  # rejected, whole

    def reject(self, source: str, line: int, name: str, reason: str, text: list[str]) -> None:
        self.rejected += 1
        key = f"{name}: {reason}" if name else reason
        self.reasons[key] = self.reasons.get(key, 0) + 1
        if len(self.every) < REJECTED_WRITTEN:
            self.every.append((source, line, name, reason, ",".join(text)))
        if len(self.examples) < REJECTED_KEPT:
            shown = ",".join(text)[:300]
            self.examples.append(
                {"file": source, "line": line, "field": name, "reason": reason, "row": shown}
            )

    def blank(self, source: str, line: int, name: str, reason: str, cell: str) -> None:
        """A cell that says nothing usable counts as missing; its row stays."""
        key = f"{name}: {'empty' if not cell.strip() else 'not a number of its type'}"
        self.blanked[key] = self.blanked.get(key, 0) + 1
        if cell.strip() and len(self.blanked_examples) < REJECTED_KEPT:
            self.blanked_examples.append(
                {"file": source, "line": line, "field": name, "reason": reason}
            )

    def sentence(self) -> str:
        """The first rejected row and the count, for a failure reason."""
        first = self.examples[0]
        where = f"{first['file']}, line {first['line']}"
        what = f"{first['field']}: {first['reason']}" if first["field"] else first["reason"]
        return (
            f"{self.rejected} of {self.rows + self.rejected} rows cannot be read. {where}: {what}"
        )


class Strings:
    """A column of strings: the distinct values and each row's number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.codes: list[np.ndarray] = []

    def add(self, values: list[str]) -> None:
        numbers = self.numbers
        for value in set(values).difference(numbers):
            numbers[value] = len(numbers)
        codes = np.fromiter(map(numbers.__getitem__, values), dtype=np.int32, count=len(values))
        self.codes.append(codes)


class Numbers:
    """A column of numbers; empty cells are NaN."""

    def __init__(self) -> None:
        self.chunks: list[np.ndarray] = []

    def add(self, values: np.ndarray) -> None:
        self.chunks.append(values)


Columns = dict[str, Strings | Numbers]


def read(
    sources: Iterable[tuple[str, Path]],
    schema: Schema,
    seen: Seen,
    may_be_blank: frozenset[str] = frozenset(),
) -> tuple[Columns, Report]:
    """All rows of all files; Invalid when a file has no right header.

    A cell of the number columns in `may_be_blank` that is no such number counts as missing.
    """
    columns: Columns = {
        column.name: Strings() if column.type in ("string", "boolean") else Numbers()
        for column in schema.columns
    }
    report = Report()
    for source, path in sources:
        report.files += 1
        _read_file(source, path, schema, columns, report, seen, may_be_blank)
    return columns, report


def _read_file(
    source: str,
    path: Path,
    schema: Schema,
    columns: Columns,
    report: Report,
    seen: Seen,
    may_be_blank: frozenset[str],
) -> None:
    with path.open("rb") as raw:
        lines = _lines(raw, source)
        line, names = _names(lines, source)
        header = _header(names, f"{source}, line {line}", schema, report)
        before = report.rows + report.rejected
        line += 1
        for chunk in _chunks(lines):
            _take(source, line, chunk, header, schema, columns, report, may_be_blank)
            line += len(chunk)
            seen(raw.tell(), report.rows + report.rejected - before)


def _lines(raw: IO[bytes], source: str) -> Iterator[bytes]:
    """Lines of a file that may be gzipped, whatever it is called."""
    magic = raw.read(4)
    raw.seek(0)
    if magic in OTHER_KINDS:
        raise Invalid(f"{source} is {OTHER_KINDS[magic]}; CSV, plain or gzipped, is right")
    if magic[:2] != b"\x1f\x8b":
        yield from raw
        return
    try:
        yield from gzip.GzipFile(fileobj=raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Invalid(f"{source} is not whole gzip data: {error}") from None


def _names(lines: Iterator[bytes], source: str) -> tuple[int, list[str]]:
    """The line of the header, the first that is not blank, and the names in it."""
    for number, line in enumerate(lines, 1):
        where = f"{source}, line {number}"
        try:
            text = line.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError:
            raise Invalid(f"{where}: not UTF-8") from None
        if "\r" in text:
            raise Invalid(f"{where}: lines end in a carriage return alone; a line feed is right")
        try:
            names = next(csv.reader([text]), [])
        except csv.Error as error:
            raise Invalid(f"{where}: the header cannot be read: {error}") from None
        if any(name.strip() for name in names):
            return number, [name.strip().strip('"').upper() for name in names]
    raise Invalid(f"{source} is empty; a header row and rows are needed")


def _header(names: list[str], where: str, schema: Schema, report: Report) -> list[int]:
    """The place of every schema column in the file, -1 for a nullable one that is absent."""
    places = {name: n for n, name in enumerate(names)}
    missing = [c.name for c in schema.columns if c.name not in places and not c.nullable]
    if missing:
        hint = "; columns are separated by commas" if len(names) == 1 else ""
        raise Invalid(
            f"Input CSV is missing the following columns:[{', '.join(missing)}]. "
            f"{where} has {', '.join(names)}{hint}"
        )
    twice = [c.name for c in schema.columns if names.count(c.name) > 1]
    if twice:
        raise Invalid(f"{where} has {', '.join(twice)} more than once; once is right")
    known = {column.name for column in schema.columns}
    report.ignored_columns = sorted({*report.ignored_columns, *(set(places) - known)})
    return [places.get(column.name, -1) for column in schema.columns]


def _chunks(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) >= CHUNK_LINES and _even(chunk[-1]):
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _even(line: bytes) -> bool:
    """Whether the line could end a record: its quotes are paired."""
    return (line.count(b'"') - line.count(b'\\"')) % 2 == 0


def _take(
    source: str,
    first: int,
    chunk: list[bytes],
    header: list[int],
    schema: Schema,
    columns: Columns,
    report: Report,
    may_be_blank: frozenset[str],
) -> None:
    """Add a chunk's good rows to the columns."""
    records, places = _records(source, first, chunk, report)
    width = max(header) + 1
    if any(len(record) < width for record in records):
        records, places = _full(source, records, places, width, schema, header, report)
    if not records:
        return
    table = {n: [record[n] for record in records] for n in set(header) if n >= 0}
    good = np.ones(len(records), dtype=bool)
    read_columns = []
    for column, place in zip(schema.columns, header, strict=True):
        given = table[place] if place >= 0 else [""] * len(records)
        values, wrong = cells.read(column, given)
        if column.name in may_be_blank:
            for row, reason in wrong.items():
                values[row] = np.nan
                report.blank(source, places[row], column.name, reason, given[row])
            wrong = {}
        for row, reason in wrong.items():
            if good[row]:
                good[row] = False
                report.reject(source, places[row], column.name, reason, records[row])
        read_columns.append((column.name, values))
    for name, values in read_columns:
        _keep(columns[name], values, good)
    report.rows += int(good.sum())


def _keep(column: Strings | Numbers, values: Any, good: np.ndarray) -> None:
    whole = bool(good.all())
    if isinstance(column, Strings):
        column.add(values if whole else [v for v, ok in zip(values, good, strict=True) if ok])
    else:
        column.add(values if whole else values[good])


def _records(
    source: str, first: int, chunk: list[bytes], report: Report
) -> tuple[list[list[str]], list[int]]:
    """The chunk's records and the line each begins on."""
    try:
        text = [line.decode() for line in chunk]
        records = list(csv.reader(text, escapechar="\\"))
    except (UnicodeDecodeError, csv.Error):
        return _one_by_one(source, first, chunk, report)
    if len(records) != len(chunk):  # a quote spans lines
        return _one_by_one(source, first, chunk, report)
    places = list(range(first, first + len(records)))
    if all(records):
        return records, places
    kept = [(record, place) for record, place in zip(records, places, strict=True) if record]
    return [record for record, _ in kept], [place for _, place in kept]


def _one_by_one(
    source: str, first: int, chunk: list[bytes], report: Report
) -> tuple[list[list[str]], list[int]]:
    """Records read line by line: an open quote or bad bytes cost their own row only."""
    records, places = [], []
    at = 0
    while at < len(chunk):
        end = _end_of_record(chunk, at)
        try:
            record = _one(chunk[at:end])
        except (UnicodeDecodeError, csv.Error, ValueError) as error:
            what = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            report.reject(source, first + at, "", what, [repr(chunk[at][:100])])
            at += 1
            continue
        if record:
            records.append(record)
            places.append(first + at)
        at = end
    return records, places


def _end_of_record(chunk: list[bytes], at: int) -> int:
    even = True
    for end in range(at, min(at + MAX_LINES_A_RECORD, len(chunk))):
        even = even == _even(chunk[end])
        if even:
            return end + 1
    return at + 1


def _one(lines: list[bytes]) -> list[str]:
    if len(lines) == 1 and not _even(lines[0]):
        raise ValueError("a quote is opened and never closed")
    records = list(csv.reader([line.decode() for line in lines], escapechar="\\", strict=True))
    return records[0] if records else []


def _full(
    source: str,
    records: list[list[str]],
    places: list[int],
    width: int,
    schema: Schema,
    header: list[int],
    report: Report,
) -> tuple[list[list[str]], list[int]]:
    """The records that reach the last column needed; the others are rejected."""
    names = {place: column.name for column, place in zip(schema.columns, header, strict=True)}
    kept, lines = [], []
    for record, line in zip(records, places, strict=True):
        if len(record) < width:
            lacking = min(place for place in names if place >= len(record))
            report.reject(source, line, names[lacking], "the row ends before this column", record)
        else:
            kept.append(record)
            lines.append(line)
    return kept, lines
