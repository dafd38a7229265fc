"""Appending: entries become rows of the log, each message id once.

What takes time (hashing, joining, compressing) is done before the transaction, in which only one
writer of all processes can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from isal import isal_zlib
from sqlalchemy.engine import Connection

from tailorbird.collect import counts, seen
from tailorbird.collect.calls import Kept
from tailorbird.collect.counts import Tally
from tailorbird.collect.receive import Refused
from tailorbird.collect.seen import SECONDS_PER_DAY, Hashes, Seen
from tailorbird.store import Database, Question, ask, fetch

ROW_MAX_CALLS = 2_500  # the largest batch
PLAIN_MAX_BYTES = 1_024  # a longer row is compressed: a fifth or less has to reach the disk
QUICKEST = 0  # a quarter of a microsecond a call
DUPLICATE = "duplicate"

TAKE_NUMBERS = "UPDATE collect_cursors SET number = number + ? WHERE name = 'head' RETURNING number"
FIRST_NUMBER = (
    "INSERT INTO collect_cursors (name, number) VALUES ('head', 1) ON CONFLICT DO NOTHING"
)
ADD_ROW = (
    "INSERT INTO collect_log (first, count, source_id, received, function, size, lines)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(slots=True)
class Entry:
    """What one request brings to the log."""

    source_id: str
    received: float
    kept: Sequence[Kept]
    refused: Sequence[Refused] = ()
    function: str | None = None
    bytes: int = 0

    def __post_init__(self) -> None:
        self.bytes = sum([len(kept.line) for kept in self.kept])


@dataclass(slots=True)
class Draft:
    """Entries made ready for the log, but for their numbers."""

    entries: Sequence[Entry]
    hashes: Hashes  # of the calls to be kept, in order
    tally: Tally = field(default_factory=Tally)
    fresh: list[int] = field(default_factory=list)  # calls of each entry that are kept
    rows: list[tuple[Any, ...]] = field(default_factory=list)  # ADD_ROW's, without `first`


def draft(entries: Sequence[Entry]) -> Draft:
    """Make entries ready; ids that repeat among them count once."""
    hashes = seen.hashed(_ids(entries))
    if len(set(hashes.tolist())) < len(hashes):
        return _without(entries, set())
    whole = Draft(entries, hashes)
    _fill(whole, [entry.kept for entry in entries])
    return whole


def write(db: Database, conn: Connection, drafted: Draft, now: float, known: Seen) -> list[int]:
    """Append a draft in this transaction; how many calls of each entry were new."""
    if size := len(drafted.hashes):
        # Taking the numbers first makes writers queue: the log has no gaps a reader could miss,
        # and the ids of those who were before are seen.
        end = _take_numbers(db, conn, size)
        known.read_on(db, conn, now)
        if not_new := known.known(drafted.hashes):
            drafted = _without(drafted.entries, not_new)
        ask(conn, _additions(db, drafted, end - len(drafted.hashes), now))
    counts.write(db, conn, drafted.tally, now)
    return drafted.fresh


def packed(lines: bytes) -> bytes:
    """Lines as the table keeps them."""
    return lines if len(lines) <= PLAIN_MAX_BYTES else isal_zlib.compress(lines, QUICKEST)


def unpacked(lines: bytes) -> bytes:
    """The lines themselves: JSON objects begin with a brace, compressed bytes do not."""
    return lines if lines.startswith(b"{") else isal_zlib.decompress(lines)


def _take_numbers(db: Database, conn: Connection, size: int) -> int:
    """The number behind the last of those taken."""
    found = fetch(conn, db.sql(TAKE_NUMBERS), (size,))
    if not found:  # the very first call
        conn.exec_driver_sql(FIRST_NUMBER)
        found = fetch(conn, db.sql(TAKE_NUMBERS), (size,))
    return int(found[0][0])


def _additions(db: Database, drafted: Draft, first: int, now: float) -> list[Question]:
    """What adds the rows, numbered from `first` on, and their ids."""
    statement, at = db.sql(ADD_ROW), first
    asked = [seen.addition(db, first, now, drafted.hashes)] if drafted.rows else []
    for row in drafted.rows:
        asked.append((statement, (at, *row)))
        at += row[0]
    return asked


def _fill(drafted: Draft, chosen: Sequence[Sequence[Kept]]) -> None:
    """Rows and counts of the chosen calls of each entry."""
    drafted.fresh = [len(kept) for kept in chosen]
    for entry in drafted.entries:
        _tell_refused(drafted.tally, entry)
    at = 0
    for group in _stretches(drafted.entries):
        calls = [kept for each in chosen[at : at + len(group)] for kept in each]
        at += len(group)
        if not calls:
            continue
        first = group[0]
        for call_type, n in Counter([kept.type for kept in calls]).items():
            drafted.tally.add(first.source_id, counts.RECEIVED, "", call_type, n)
        lines = b"\n".join([kept.line for kept in calls])
        around = (len(calls), first.source_id, first.received, first.function)
        drafted.rows.append((*around, len(lines), packed(lines)))


def _without(entries: Sequence[Entry], known: set[int]) -> Draft:
    """Those calls whose ids are neither known nor stood there before; the others are counted."""
    marks, tally = iter(seen.hashed(_ids(entries)).tolist()), Tally()
    new_marks: list[int] = []
    chosen: list[list[Kept]] = []
    for entry in entries:
        new: list[Kept] = []
        for kept, mark in zip(entry.kept, marks, strict=False):
            if mark in known:
                tally.add(entry.source_id, counts.FILTERED_AT_SOURCE, DUPLICATE, kept.type)
            else:
                known.add(mark)
                new_marks.append(mark)
                new.append(kept)
        chosen.append(new)
    rest = Draft(entries, np.array(new_marks, seen.KIND), tally)
    _fill(rest, chosen)
    return rest


def _ids(entries: Sequence[Entry]) -> list[str]:
    return [kept.message_id for entry in entries for kept in entry.kept]


def _stretches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Neighbouring entries that share a row: same source, function and day, not too many calls."""
    group: list[Entry] = []
    calls = 0
    for entry in entries:
        if group and (_kin(entry) != _kin(group[0]) or calls + len(entry.kept) > ROW_MAX_CALLS):
            yield group
            group, calls = [], 0
        group.append(entry)
        calls += len(entry.kept)
    if group:
        yield group


def _kin(entry: Entry) -> tuple[str, str | None, int]:
    return entry.source_id, entry.function, int(entry.received // SECONDS_PER_DAY)


def _tell_refused(tally: Tally, entry: Entry) -> None:
    for refused in entry.refused:
        tally.add(
            entry.source_id, counts.FAILED_ON_INGEST, refused.reason, refused.type, refused.count
        )
        tally.sample(entry.source_id, refused.reason, refused.message, refused.sample)
