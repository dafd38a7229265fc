"""Files of lines, gzip or not, become rows of CSV: the rule over every line, in one process.

A file that is cut short gives the lines before the cut. Standard library only (see rule.py).
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from tailorbird.prepare.counts import SAMPLES, Counts
from tailorbird.prepare.mapping import Dataset
from tailorbird.prepare.quick import is_plain
from tailorbird.prepare.rule import read, reader, rule

BLOCK_BYTES = 16 * 1024  # of a file; ten times as much when unpacked stays in the cache
UNPACKED_BYTES = 4 * 1024 * 1024  # at once, however well it is packed
LINE_MAX_BYTES = 64 * 1024 * 1024
TOO_LONG = "not_a_call"
GZIP = b"\x1f\x8b"
WBITS = 31  # gzip


def converter(dataset: Dataset, now: float) -> Callable[[str, IO[bytes], IO[str]], Counts]:
    """A function that appends a file's rows to a text file opened with newline=''."""
    convert = rule(dataset)
    quick, errors = reader(dataset)
    seconds = [n for n, column in enumerate(dataset.columns) if column.kind == "seconds"]
    at = seconds[0] if seconds and not dataset.literal else None

    def one_file(name: str, file: IO[bytes], out: IO[str]) -> Counts:
        counts = Counts()
        write = writer(out).writerows
        template, whole = "%s," * (len(dataset.columns) - 1) + "%s\n", is_plain(dataset)
        number = 1
        for lines, ascii_only in _lines(file, name, counts):
            rows: list[Any] = []
            add, kept = rows.append, 0
            decode = quick if ascii_only else read
            for line in lines:
                if line:
                    try:
                        call = decode(line)
                    except errors:
                        call = read(line)
                    given = convert(call)
                    if type(given) is str:
                        if given != "not_a_call" or not line.isspace():
                            place = _place(lines, line, number, counts.samples.get(given))
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
            number += len(lines)
            counts.kept += kept
            counts.rows += len(rows)
            text = "".join(map(template.__mod__, rows)) if whole else '"'
            if _needs_no_quotes(text, template, len(rows)):
                out.write(text)
            else:
                write(rows)
            if at is not None:
                counts.seen([row[at] for row in rows], now)
        counts.read = counts.kept + counts.rejected.total()
        return counts

    return one_file


def packed(
    content: list[tuple[str, bytes]], dataset: Dataset, now: float
) -> tuple[bytes, dict[str, Any]]:
    """Files with their content to rows as CSV, and their counts: what a Spark executor does."""
    counts, out = Counts(), io.StringIO(newline="")
    one_file = converter(dataset, now)
    for name, data in content:
        counts.add(one_file(name, io.BytesIO(data), out))
    return out.getvalue().encode(), counts.to_dict()


def writer(out: IO[str]) -> Any:
    """CSV as Personalize reads it: quotes doubled, backslashes too."""
    return csv.writer(out, lineterminator="\n", escapechar="\\")


def _needs_no_quotes(text: str, template: str, rows: int) -> bool:
    """Whether rows that were only put together are CSV: no more commas and lines than they need."""
    return (
        '"' not in text
        and "\\" not in text
        and "\r" not in text
        and text.count(",") == template.count(",") * rows
        and text.count("\n") == rows
    )


def _place(lines: list[bytes], line: bytes, first: int, samples: list[Any] | None) -> int:
    """The line's number, when it is going to be shown."""
    return first + lines.index(line) if len(samples or ()) < SAMPLES else 0


def _lines(file: IO[bytes], name: str, counts: Counts) -> Iterator[tuple[list[bytes], bool]]:
    """The lines of a file, many at once, and if all are ASCII; one too long is rejected here."""
    rest = b""
    number = 1
    all_before = True  # of what is in `rest`
    for block in _unpacked(file, name, counts):
        lines = block.split(b"\n")
        if len(lines) == 1:
            rest += block
            all_before = all_before and block.isascii()
            if len(rest) > LINE_MAX_BYTES:
                rest = rest[: LINE_MAX_BYTES + 1]  # no more of it is kept
            continue
        lines[0] = rest + lines[0]
        rest = lines.pop()
        if len(lines[0]) > LINE_MAX_BYTES:
            counts.reject(TOO_LONG, name, number, lines[0])
            lines[0] = b""
        number += len(lines)
        yield lines, all_before and block.isascii()
        all_before = rest.isascii()
    if len(rest) > LINE_MAX_BYTES:
        counts.reject(TOO_LONG, name, number, rest)
    elif rest:
        yield [rest], rest.isascii()


def _unpacked(file: IO[bytes], name: str, counts: Counts) -> Iterator[bytes]:
    """The file's content in blocks, and what is wrong with it in `counts.damaged`."""
    first = file.read(BLOCK_BYTES)
    blocks = _blocks(first, file)
    if not first.startswith(GZIP):
        yield from blocks
        return
    start, errors = _inflate()
    unpack = start(WBITS)
    try:
        for block in blocks:
            while block:
                if unpack.eof:  # one more gzip after the first, or padding
                    block = block.lstrip(b"\0")
                    unpack = start(WBITS)
                yield unpack.decompress(block, UNPACKED_BYTES)
                block = unpack.unconsumed_tail or unpack.unused_data
    except errors as error:
        counts.damaged.append({"file": name, "what": f"broken gzip: {error}"})
        return
    if not unpack.eof:
        yield unpack.flush()
        counts.damaged.append({"file": name, "what": "the gzip ends before its end"})


def _inflate() -> tuple[Callable[[int], Any], Any]:
    """What unpacks gzip here: ISA-L takes half the time of zlib."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.decompressobj, zlib.error
    return isal_zlib.decompressobj, isal_zlib.error


def _blocks(first: bytes, file: IO[bytes]) -> Iterable[bytes]:
    while first:
        yield first
        first = file.read(BLOCK_BYTES)
