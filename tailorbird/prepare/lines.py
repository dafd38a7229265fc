"""Files of lines become rows of CSV, in one process: by the rule, usual lines by the scanner.

Standard library only (see rule.py); without msgspec, ISA-L and the scanner it takes longer.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tailorbird.prepare import csv_text
from tailorbird.prepare.blocks import Block, whole_lines
from tailorbird.prepare.counts import Counts
from tailorbird.prepare.mapping import Dataset
from tailorbird.prepare.quick import is_plain
from tailorbird.prepare.rule import read, reader, rule

if TYPE_CHECKING:
    from tailorbird.prepare.native import Scanned

TOO_LONG = "not_a_call"

OneFile = Callable[[str, IO[bytes], IO[bytes]], Counts]
Way = Callable[[Block, int, str, Counts, IO[bytes]], int]  # of a block; how many lines it has
Turn = Callable[[list[bytes], bool, int, str, Counts], bytes]


def converter(dataset: Dataset, now: float, library: Path | None = None) -> OneFile:
    """A function that appends a file's rows to another file.

    With the `library` of a scanner that covers the dataset, usual lines are read by it.
    """
    turn = _by_the_rule(dataset, now)
    way = _rule_alone(turn) if library is None else _scanner(turn, library, dataset, now)

    def one_file(name: str, file: IO[bytes], out: IO[bytes]) -> Counts:
        counts = Counts()
        number = 1

        def too_long(line: bytes) -> None:
            nonlocal number
            counts.reject(TOO_LONG, name, number, line)
            number += 1

        for block in whole_lines(file, name, counts, too_long):
            number += way(block, number, name, counts, out)
        counts.read = counts.kept + counts.rejected.total()
        return counts

    return one_file


def packed(
    content: list[tuple[str, bytes]], dataset: Dataset, now: float
) -> tuple[bytes, dict[str, Any]]:
    """Files with their content to rows as CSV, and their counts: what a Spark executor does."""
    counts, out = Counts(), io.BytesIO()
    one_file = converter(dataset, now)
    for name, data in content:
        counts.add(one_file(name, io.BytesIO(data), out))
    return out.getvalue(), counts.to_dict()


def _rule_alone(turn: Turn) -> Way:
    def way(block: Block, number: int, name: str, counts: Counts, out: IO[bytes]) -> int:
        data, start, stop = block
        text = data[start : stop - 1]
        lines = text.split(b"\n")
        out.write(turn(lines, text.isascii(), number, name, counts))
        return len(lines)

    return way


def _scanner(turn: Turn, library: Path, dataset: Dataset, now: float) -> Way:
    from tailorbird.prepare.native import Scanner  # not every Python has ctypes

    scanner = Scanner(library, dataset, now)

    def way(block: Block, number: int, name: str, counts: Counts, out: IO[bytes]) -> int:
        data, start, stop = block
        first = number
        while start < stop:
            found = scanner.scan(data, start, stop, counts)
            written = 0
            for lines, line, before in _handed(data, found):
                out.write(found.rows[written:before])
                written = before
                ascii_only = all(map(bytes.isascii, lines))
                out.write(turn(lines, ascii_only, number + line, name, counts))
            out.write(found.rows[written:])
            start += found.taken
            number += found.lines
        return number - first

    return way


def _handed(data: bytes, found: Scanned) -> Iterator[tuple[list[bytes], int, int]]:
    """Lines that were handed back, those that follow each other together.

    With each the number of the first, and the bytes of rows before it.
    """
    many = enumerate(found.handed)
    for (before, _), some in groupby(many, lambda one: (one[1][3], one[1][2] - one[0])):
        together = [handed for _, handed in some]
        yield [data[start:stop] for start, stop, _, _ in together], together[0][2], before


def _by_the_rule(dataset: Dataset, now: float) -> Turn:
    """From lines, and if they are ASCII, to rows as CSV; `number` is that of the first."""
    convert = rule(dataset)
    quick, errors = reader(dataset)
    seconds = [n for n, column in enumerate(dataset.columns) if column.kind == "seconds"]
    at = seconds[0] if seconds and not dataset.literal else None
    whole = csv_text.template(len(dataset.columns)) if is_plain(dataset) else None

    def turn(lines: list[bytes], ascii_only: bool, number: int, name: str, counts: Counts) -> bytes:
        rows: list[Any] = []
        add, kept = rows.append, 0
        decode = quick if ascii_only else read
        for place, line in enumerate(lines, number):
            if line:
                try:
                    call = decode(line)
                except errors:
                    call = read(line)
                given = convert(call)
                if type(given) is str:
                    if given != "not_a_call" or not line.isspace():
                        counts.reject(given, name, place, line)
                elif len(given) == 1:
                    add(given[0])
                    kept += 1
                else:
                    some = [row for row in given if row is not None]
                    rows += some
                    kept += 1
                    if len(some) < len(given):
                        counts.left_out["entry_without_item"] += len(given) - len(some)
        counts.kept += kept
        counts.rows += len(rows)
        if at is not None:
            counts.seen([row[at] for row in rows], now)
        return csv_text.text_of(rows, whole).encode()

    return turn
