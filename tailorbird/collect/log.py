"""The log: calls are durable before they are answered.

Requests that arrive while one commit runs share the next one (group commit). A message id that was
seen today or yesterday (UTC) is dropped: Segment looks back at least 24 hours.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.clock import Clock
from tailorbird.collect import append
from tailorbird.collect.append import ROW_MAX_CALLS, Entry
from tailorbird.collect.seen import Seen
from tailorbird.collect.tables import cursors
from tailorbird.collect.tables import log as log_table
from tailorbird.errors import Throttled, Unavailable
from tailorbird.store import Database, each

GROUP_MAX_BYTES = 8 * 1024 * 1024  # of one commit
GATHER_SECONDS = 0.002  # a commit waits this long for company, if the one before had some
WAITING_MAX_BYTES = 128 * 1024 * 1024  # beyond it clients are asked to come back
HEAD = "head"
ALL_ROWS = (
    "SELECT first, count, source_id, received, function, lines FROM collect_log"
    " WHERE first + count > ? AND first > ?"
)

log = logging.getLogger("tailorbird.collect")

Loop = asyncio.AbstractEventLoop


@dataclass(slots=True)
class _Waiting:
    """Who is told when an entry is durable: a task of a loop, or a thread."""

    entry: Entry
    future: Any
    loop: Loop | None = None


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
    of = " AND source_id = ?" if source_id is not None else ""
    statement = f"{ALL_ROWS}{of} ORDER BY first LIMIT {limit:d}"
    values = (start, start - ROW_MAX_CALLS, *([source_id] if source_id is not None else []))
    rows: list[Row] = []
    size = 0
    for first, count, owner, received, function, lines in each(
        conn, Database.written(conn, statement), values
    ):
        rows.append(Row(first, count, owner, received, function, append.unpacked(lines)))
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
        self._submit(_Waiting(entry, future, loop))
        return await future

    def append_and_wait(self, entry: Entry, timeout: float = 30.0) -> int:
        """The same for a caller in a thread."""
        future: Future[int] = Future()
        self._submit(_Waiting(entry, future))
        return future.result(timeout)

    def _submit(self, waiting: _Waiting) -> None:
        size = waiting.entry.bytes
        with self._change:
            if self._stopping or self._thread is None:
                raise Unavailable("the log is not running; try again in a moment")
            if self._bytes + size > WAITING_MAX_BYTES:
                raise Throttled("more calls are waiting than can be written; try again in a second")
            self._bytes += size
            self._waiting.append(waiting)
            self._change.notify()

    def _run(self) -> None:
        shared = False
        while True:
            with self._change:
                while not self._waiting and not self._stopping:
                    self._change.wait()
            if shared and not self._stopping:
                time.sleep(GATHER_SECONDS)
            with self._change:
                group = self._next_group()
            if not group:
                return
            shared = len(group) > 1
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
            drafted = append.draft([waiting.entry for waiting in group])
            with self.db.write(durable=self.durable) as conn:
                fresh = append.write(self.db, conn, drafted, self.clock.now(), self.seen)
        except Exception as error:
            log.error("%d requests could not be logged", len(group), exc_info=error)
            refusal = Unavailable(f"the call could not be stored ({type(error).__name__})")
            _tell(group, [refusal] * len(group))
            return
        _tell(group, fresh)
        size = sum(waiting.entry.bytes for waiting in group)
        for tell in self.appended:
            tell(size)


def _tell(group: Sequence[_Waiting], answers: Sequence[int | Unavailable]) -> None:
    """Answer everybody; a loop is woken once, whatever the number of its tasks."""
    by_loop: dict[Loop | None, list[tuple[Any, int | Unavailable]]] = {}
    for waiting, answer in zip(group, answers, strict=True):
        by_loop.setdefault(waiting.loop, []).append((waiting.future, answer))
    for loop, told in by_loop.items():
        if loop is None:
            _settle(told)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_settle, told)


def _settle(told: Sequence[tuple[Any, int | Unavailable]]) -> None:
    for future, answer in told:
        if future.done():  # the client went away
            continue
        if isinstance(answer, Unavailable):
            future.set_exception(answer)
        else:
            future.set_result(answer)
