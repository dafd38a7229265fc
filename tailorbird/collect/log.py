"""The log: calls are durable before they are answered.

Requests that arrive while one commit runs share the next one (group commit). A message id that was
seen today or yesterday (UTC) is dropped: Segment looks back at least 24 hours.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.clock import Clock
from tailorbird.collect import counts, seen
from tailorbird.collect.calls import Kept
from tailorbird.collect.counts import Tally
from tailorbird.collect.receive import Refused
from tailorbird.collect.seen import SECONDS_PER_DAY, Seen
from tailorbird.collect.tables import cursors
from tailorbird.collect.tables import log as log_table
from tailorbird.errors import Throttled, Unavailable
from tailorbird.store import Database, insert

GROUP_MAX_BYTES = 8 * 1024 * 1024  # of one commit
WAITING_MAX_BYTES = 128 * 1024 * 1024  # beyond it clients are asked to come back
ROW_MAX_CALLS = 2_500  # the largest batch
HEAD = "head"
DUPLICATE = "duplicate"

log = logging.getLogger("tailorbird.collect")

TAKE_NUMBERS = "UPDATE collect_cursors SET number = number + ? WHERE name = 'head' RETURNING number"
ADD_ROW = (
    "INSERT INTO collect_log (first, count, source_id, received, function, lines)"
    " VALUES (?, ?, ?, ?, ?, ?)"
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
        self.bytes = sum(len(kept.line) for kept in self.kept)


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    done: Callable[[int | BaseException], None]


def write(
    db: Database, conn: Connection, entries: Sequence[Entry], now: float, known: Seen
) -> list[int]:
    """Append entries in one transaction; how many calls of each were new."""
    tally = Tally()
    for entry in entries:
        _tell_refused(tally, entry)
    size = sum(len(entry.kept) for entry in entries)
    fresh = [0] * len(entries)
    if size:
        # Taking the numbers first makes writers queue: the log has no gaps a reader could miss.
        start = _take_numbers(db, conn, size)
        fresh = _append(db, conn, entries, start, now, tally, known)
    counts.write(db, conn, tally, now)
    return fresh


@dataclass(frozen=True, slots=True)
class Row:
    """A stretch of the log: calls first .. first + count - 1 of one source."""

    first: int
    count: int
    source_id: str
    received: float
    function: str | None
    lines: bytes

    def calls(self) -> Iterator[tuple[int, bytes]]:
        return enumerate(self.lines.split(b"\n"), self.first)


def read(
    conn: Connection,
    source_id: str | None,
    start: int,
    limit: int,
    max_bytes: int = GROUP_MAX_BYTES,
) -> list[Row]:
    """Rows of one source (None: of every source) from number `start` on, in order."""
    c = log_table.c
    query = (
        sa.select(c.first, c.count, c.source_id, c.received, c.function, c.lines)
        .where(c.first + c.count > start, c.first > start - ROW_MAX_CALLS)
        .order_by(c.first)
        .limit(limit)
    )
    if source_id is not None:
        query = query.where(c.source_id == source_id)
    rows: list[Row] = []
    size = 0
    for found in conn.execute(query):
        rows.append(Row(*found))
        size += len(rows[-1].lines)
        if size >= max_bytes:
            break
    return rows


def head(conn: Connection) -> int:
    """The number that the next call will have."""
    query = sa.select(cursors.c.number).where(cursors.c.name == HEAD)
    return conn.execute(query).scalar_one_or_none() or 1


def prune(conn: Connection, source_id: str, before: float, read_up_to: int) -> int:
    """Drop the rows of a source that are older than `before` and that every reader has passed."""
    c = log_table.c
    mine = (c.source_id == source_id, c.received < before, c.first + c.count <= read_up_to)
    return conn.execute(sa.delete(log_table).where(*mine)).rowcount


class Log:
    """One writer thread that commits whatever is waiting, all of it at once."""

    def __init__(self, db: Database, clock: Clock, durable: bool = True) -> None:
        self.db = db
        self.clock = clock
        self.durable = durable
        self.seen = Seen()
        self.appended: list[Callable[[int], None]] = []  # told the bytes after every commit
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._change = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping = False
        with self.db.read() as conn:
            self.seen.read_on(self.db, conn, self.clock.now())
        self._thread = threading.Thread(target=self._run, name="collect-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Commit what is waiting, then end."""
        with self._change:
            self._stopping = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    async def append(self, entry: Entry) -> int:
        """Durable when this returns; how many calls were new. Unavailable when it could not be."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._submit(entry, _on_loop(loop, future))
        return await future

    def append_and_wait(self, entry: Entry, timeout: float = 30.0) -> int:
        """The same for a caller in a thread."""
        future: Future[int] = Future()
        self._submit(entry, lambda answer: _settle(future, answer))
        return future.result(timeout)

    def _submit(self, entry: Entry, done: Callable[[int | BaseException], None]) -> None:
        with self._change:
            if self._stopping or self._thread is None:
                raise Unavailable("the log is not running; try again in a moment")
            if self._bytes + entry.bytes > WAITING_MAX_BYTES:
                raise Throttled("more calls are waiting than can be written; try again in a second")
            self._bytes += entry.bytes
            self._waiting.append(_Waiting(entry, done))
            self._change.notify()

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._waiting and not self._stopping:
                    self._change.wait()
                group = self._next_group()
            if not group:
                return
            self._commit(group)

    def _next_group(self) -> list[_Waiting]:
        size = 0
        for n, waiting in enumerate(self._waiting):
            size += waiting.entry.bytes
            if size > GROUP_MAX_BYTES and n:
                group, self._waiting = self._waiting[:n], self._waiting[n:]
                break
        else:
            group, self._waiting = self._waiting, []
        self._bytes -= sum(waiting.entry.bytes for waiting in group)
        return group

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            with self.db.write(durable=self.durable) as conn:
                entries, now = [waiting.entry for waiting in group], self.clock.now()
                fresh = write(self.db, conn, entries, now, self.seen)
        except Exception as error:
            log.error("%d requests could not be logged", len(group), exc_info=error)
            refusal = Unavailable(f"the call could not be stored ({type(error).__name__})")
            for waiting in group:
                waiting.done(refusal)
            return
        for waiting, new in zip(group, fresh, strict=True):
            waiting.done(new)
        size = sum(waiting.entry.bytes for waiting in group)
        for tell in self.appended:
            tell(size)


def _on_loop(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[int]
) -> Callable[[int | BaseException], None]:
    def done(answer: int | BaseException) -> None:
        loop.call_soon_threadsafe(_settle, future, answer)

    return done


def _settle(future: Any, answer: int | BaseException) -> None:
    if future.done():  # the client went away
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _append(
    db: Database,
    conn: Connection,
    entries: Sequence[Entry],
    number: int,
    now: float,
    tally: Tally,
    seen_before: Seen,
) -> list[int]:
    hashes = seen.hashed([kept.message_id for entry in entries for kept in entry.kept])
    seen_before.read_on(db, conn, now)
    known = seen_before.known(hashes)
    marks = hashes.tolist()
    is_new = not known and len(set(marks)) == len(marks)  # the usual case is quick
    places = iter(marks)
    new_marks: list[int] = []
    rows: list[tuple[Any, ...]] = []
    fresh: list[int] = []
    for group in _stretches(entries):
        lines: list[bytes] = []
        for entry in group:
            new = entry.kept if is_new else _unseen(entry, places, known, new_marks, tally)
            lines += [kept.line for kept in new]
            fresh.append(len(new))
            for call_type, n in Counter(kept.type for kept in new).items():
                tally.add(entry.source_id, counts.RECEIVED, "", call_type, n)
        first = group[0]
        if lines:
            joined = b"\n".join(lines)
            row = (number, len(lines), first.source_id, first.received, first.function, joined)
            rows.append(row)
        number += len(lines)
    if rows:
        if not is_new:
            hashes = np.array(new_marks, seen.KIND)
        seen.add(db, conn, number - len(hashes), now, hashes)
        conn.exec_driver_sql(db.sql(ADD_ROW), rows)
    return fresh


def _unseen(
    entry: Entry, marks: Iterator[int], known: set[int], new_marks: list[int], tally: Tally
) -> list[Kept]:
    """The calls of an entry whose ids are new; the others are counted."""
    new: list[Kept] = []
    for kept, mark in zip(entry.kept, marks, strict=False):
        if mark in known:
            tally.add(entry.source_id, counts.FILTERED_AT_SOURCE, DUPLICATE, kept.type)
        else:
            known.add(mark)
            new_marks.append(mark)
            new.append(kept)
    return new


def _take_numbers(db: Database, conn: Connection, size: int) -> int:
    top = conn.exec_driver_sql(db.sql(TAKE_NUMBERS), (size,)).scalar_one_or_none()
    if top is None:  # the very first call
        conn.execute(insert(db, cursors).values(name=HEAD, number=1).on_conflict_do_nothing())
        top = conn.exec_driver_sql(db.sql(TAKE_NUMBERS), (size,)).scalar_one()
    return int(top) - size


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
