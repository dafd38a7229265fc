"""The whole lines of a file, gzip or not, many at a time; a file that is cut short gives those
before the cut. Standard library only (see rule.py).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from tailorbird.prepare.counts import Counts

PACKED_BYTES = 16 * 1024  # of a gzip at once; ten times as much when unpacked stays in the cache
PLAIN_BYTES = 128 * 1024  # of a file that is no gzip
UNPACKED_BYTES = 4 * 1024 * 1024  # at once, however well it is packed
LINE_MAX_BYTES = 64 * 1024 * 1024
GZIP = b"\x1f\x8b"
WBITS = 31  # gzip

Block = tuple[bytes, int, int]  # whole lines, each with its newline, from here to there


def whole_lines(
    file: IO[bytes], name: str, counts: Counts, too_long: Callable[[bytes], None]
) -> Iterator[Block]:
    """All lines in order. One beyond the limit is cut and told to `too_long`, where it stands.

    What is wrong with the file is in `counts.damaged` afterwards.
    """
    rest = b""
    for block in _unpacked(file, name, counts):
        start = block.find(b"\n") + 1
        if not start:
            rest = (rest + block)[: LINE_MAX_BYTES + 1]  # no more of it is kept
            continue
        if len(rest) + start - 1 > LINE_MAX_BYTES:
            too_long(rest + block[: start - 1])
        elif rest:
            line = rest + block[:start]
            yield line, 0, len(line)
        else:
            start = 0
        stop = block.rfind(b"\n") + 1
        if start < stop:
            yield block, start, stop
        rest = block[stop:]
    if len(rest) > LINE_MAX_BYTES:
        too_long(rest)
    elif rest:
        yield rest + b"\n", 0, len(rest) + 1


def _unpacked(file: IO[bytes], name: str, counts: Counts) -> Iterator[bytes]:
    """The file's content in blocks, and what is wrong with it in `counts.damaged`."""
    first = file.read(PACKED_BYTES)
    if not first.startswith(GZIP):
        yield from _blocks(first, file, PLAIN_BYTES)
        return
    start, errors = _inflate()
    unpack = start(WBITS)
    try:
        for block in _blocks(first, file, PACKED_BYTES):
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


def _blocks(first: bytes, file: IO[bytes], size: int) -> Iterable[bytes]:
    while first:
        yield first
        first = file.read(size)
