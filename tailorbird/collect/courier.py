"""A courier carries the calls of one source to one destination.

It takes calls from the log into the destination's own queue, hands them to the type's `deliver` on
its own threads, and commits how each ended. Killed anywhere, it goes on from what is committed:
a call whose end was not committed is delivered again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.collect import archive, counts, cursors, filters, log, retries
from tailorbird.collect.catalog.definition import (
    Destination,
    DestinationType,
    Parcel,
    Result,
    State,
)
from tailorbird.collect.counts import Tally
from tailorbird.collect.loops import LOOP, LoopGuard
from tailorbird.collect.queue import NEVER, Ends, Queue
from tailorbird.collect.room import Collect
from tailorbird.collect.tables import destinations
from tailorbird.store import fetch

QUEUE_CALLS = 1_000  # taken from the log ahead of delivery
QUEUE_FILES = 100
RETRYING_CALLS = 50_000  # beyond it no more are taken until some have ended
ROWS_AT_ONCE = 16
LEASE_SECONDS = 10.0
IDLE_SECONDS = 1.0
AHEAD = 8  # calls in the hands of each thread, so that none waits for the next turn
GATHER_SECONDS = 0.004  # calls that come, and ends of deliveries, are taken together
INTEGRATIONS_OFF = "integrations_disabled"

IN_FORCE = "SELECT enabled, settings FROM collect_destinations WHERE id = ?"
FILTERS = (
    "SELECT condition, actions FROM collect_filters WHERE destination_id = ? AND enabled"
    " ORDER BY created, id"
)

logger = logging.getLogger("tailorbird.collect")


@dataclass(slots=True)
class Taken:
    """Calls read from the log: those for this destination, why the others are not, and how far."""

    start: int
    end: int
    parcels: list[Parcel] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def add(self, parcel: Parcel, message_id: str) -> None:
        self.parcels.append(parcel)
        self.ids.append(message_id)


class Courier:
    """One destination's thread and its pool; `wake` says that calls may have come."""

    def __init__(
        self,
        room: Collect,
        to: Destination,
        kind: DestinationType,
        process: str,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.room = room
        self.to = to
        self.kind = kind
        self.process = process
        self.chance = chance
        self.guard = LoopGuard(room.settings.loop_depth)
        self.concurrency = kind.concurrency or room.settings.delivery_concurrency
        self._cursor = f"destination:{to.id}"
        self._queue = Queue(room.db, to.id)
        self._at: int | None = None  # in the log; None is: look
        self._came = True  # calls may have come since the log was read last
        self._in_force: list[Any] = []
        self._steps: list[filters.Step] = []
        self._bell = threading.Event()
        self._stopping = False
        self._held_until = 0.0
        self._lock = threading.Lock()
        self._ended: list[tuple[Parcel, Result]] = []
        self._pool = ThreadPoolExecutor(self.concurrency, f"deliver-{to.id}")
        self._thread = threading.Thread(target=self._run, name=f"courier-{to.id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._came = True
        self._bell.set()

    def end(self) -> None:
        """Take no more calls."""
        self._stopping = True
        self._bell.set()

    def stop(self) -> None:
        """Wait for the calls in flight and commit how they ended."""
        self.end()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            try:
                wait = self._turn() if self._hold() else LEASE_SECONDS / 4
            except sa.exc.OperationalError as error:  # the database is away: keep knocking
                logger.warning("destination %s waits for the database: %s", self.to.id, error.orig)
                wait = IDLE_SECONDS
            except Exception as error:
                logger.error("destination %s", self.to.id, exc_info=error)
                wait = IDLE_SECONDS
            if wait:
                if not self._bell.wait(wait):
                    self._came = True  # another process may have brought calls
                self._bell.clear()
            if not self._stopping:
                time.sleep(GATHER_SECONDS)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._commit(None)

    def _turn(self) -> float:
        """Take calls, commit them with the ends of others, hand out; how long to wait then."""
        taken = self._read_on()
        ended = self._commit(taken)
        handed = self._hand_out()
        if taken or ended or handed:
            return 0.0
        if self._queue.next_due == NEVER:
            return IDLE_SECONDS
        return min(IDLE_SECONDS, max(0.01, self._queue.next_due - self.room.clock.now()))

    def _hold(self) -> bool:
        """Whether this process is the one that serves the destination, for half a lease ahead."""
        d, now = destinations.c, self.room.clock.now()
        if now < self._held_until - LEASE_SECONDS / 2 <= now + LEASE_SECONDS / 2:
            return True
        mine = sa.or_(d.owner == self.process, d.owner.is_(None), d.lease < now)
        values = {"owner": self.process, "lease": now + LEASE_SECONDS}
        with self.room.db.write() as conn:
            renew = sa.update(destinations).where(d.id == self.to.id, mine)
            held = conn.execute(renew.values(**values)).rowcount == 1
        if not held or self._held_until < now:  # in other hands, now or in the meantime
            self._queue.forget()
            self._at = None
        self._held_until = now + LEASE_SECONDS if held else 0.0
        return held

    def _read_on(self) -> Taken | None:
        """The next calls of the log, or None when there are none, or no room for them."""
        if not self._came and self._at is not None:
            return None
        files = self.kind.takes_files
        with self.room.db.read() as conn:
            self._queue.look(conn)
            if self._at is None:
                self._at = cursors.get(conn, self._cursor)
            if self._queue.fresh >= (QUEUE_FILES if files else QUEUE_CALLS):
                return None
            if self._queue.again >= RETRYING_CALLS or not self._is_on(conn):
                return None
            self._came = False
            taken = self._files(conn, self._at) if files else self._calls(conn, self._at)
        if taken is not None:
            self._came = True  # and more may be behind them
        return taken

    def _calls(self, conn: Connection, start: int) -> Taken | None:
        rows = log.read(conn, self.to.source_id, start, ROWS_AT_ONCE, max_bytes=1 << 20)
        if not rows:
            return None
        now = self.room.clock.now()
        taken = Taken(start, rows[-1].first + rows[-1].count)
        for row in rows:
            for number, line in row.calls():
                if number >= start:
                    self._address(number, line, row, now, taken)
        return taken

    def _files(self, conn: Connection, start: int) -> Taken | None:
        """Files that the archive has written, in their order."""
        files = archive.written(conn, self.to.source_id, start, QUEUE_FILES)
        if not files:
            return None
        now = self.room.clock.now()
        taken = Taken(start, files[-1].last + 1)
        for file in files:
            call = archive.as_call(file.uri, file.calls)
            parcel = Parcel(file.first, call, orjson.dumps(call), 0, now, file.written)
            taken.add(parcel, file.uri)
        return taken

    def _address(self, number: int, line: bytes, row: log.Row, now: float, taken: Taken) -> None:
        """Take a call, or count why it is not for this destination."""
        call = orjson.loads(line)
        reason = self._refusal(call, row)
        if reason is None and self._steps:
            trimmed, reason = filters.applied(self._steps, call)
            if trimmed is not call:
                call, line = trimmed, orjson.dumps(trimmed)
        if reason is None:
            parcel = Parcel(number, call, line, 0, now, row.received, row.function)
            taken.add(parcel, call["messageId"])
            return
        taken.tally.add(self.to.id, counts.FILTERED_AT_DESTINATION, reason, call["type"])
        if reason == LOOP:
            why = "a function answers its own call again and again; see the setting loop_depth"
            taken.tally.sample(self.to.id, reason, why, line.decode())

    def _refusal(self, call: dict[str, Any], row: log.Row) -> str | None:
        wanted = call.get("integrations") or {}
        if wanted.get(self.kind.name, wanted.get("All", True)) is False:
            return INTEGRATIONS_OFF
        reason = self.kind.refuses(self.to.settings, call)
        if reason is None and self.guard.is_loop(call, row.function, row.received):
            return LOOP
        return reason

    def _is_on(self, conn: Connection) -> bool:
        """Whether the destination is enabled; settings and filters are those of this moment."""
        sql = self.room.db.sql
        found = fetch(conn, sql(IN_FORCE), (self.to.id,))
        if not found or not found[0][0]:
            return False
        in_force = [found[0][1], *fetch(conn, sql(FILTERS), (self.to.id,))]
        if in_force != self._in_force:
            settings = self.room.db.load(in_force[0])
            if settings != self.to.settings:
                self.to = replace(self.to, settings=settings)
            self._steps = filters.steps(filters.in_force(conn, self.to.id))
            self._in_force = in_force
        return True

    def _hand_out(self) -> int:
        """Give due calls to free threads."""
        batch = self.kind.batch
        free = self.concurrency * AHEAD - -(-self._queue.under_way // batch)
        parcels = self._queue.take(free * batch, self.room.clock.now())
        for at in range(0, len(parcels), batch):
            self._pool.submit(self._deliver, parcels[at : at + batch])
        return len(parcels)

    def _deliver(self, parcels: Sequence[Parcel]) -> None:
        """On a thread of the pool: one attempt, and word of how it ended."""
        now = self.room.clock.now()
        for parcel in parcels:
            self.guard.began(parcel.call, parcel.function, parcel.received, now)
        try:
            results = self.kind.deliver(self.room, self.to, parcels)
        except Exception as error:
            logger.error("destination %s", self.to.id, exc_info=error)
            why = Result(State.WAITING, "error", f"{type(error).__name__}: {error}")
            results = [why] * len(parcels)
        now = self.room.clock.now()
        for parcel in parcels:
            self.guard.ended(parcel.call, now)
        with self._lock:
            self._ended += zip(parcels, results, strict=True)
        self._bell.set()

    def _commit(self, taken: Taken | None) -> int:
        """Commit the calls that were taken and how attempts ended; how many ended."""
        with self._lock:
            ended, self._ended = self._ended, []
        if not ended and taken is None:
            return 0
        now = self.room.clock.now()
        tally = Tally()
        ends = self._judge(ended, now, tally)
        db, is_ours = self.room.db, False
        try:
            with db.write() as conn:
                if taken is not None:
                    is_ours = cursors.advance(conn, self._cursor, taken.start, taken.end)
                    if is_ours and taken.parcels:
                        self._queue.add(conn, taken.parcels, taken.ids)
                    if is_ours:
                        tally.merge(taken.tally)
                self._queue.end(conn, ends)
                counts.write(db, conn, tally, now)
        except BaseException:
            with self._lock:
                self._ended = ended + self._ended
            raise
        self._queue.ended(ends)
        if taken is not None:
            self._at = taken.end if is_ours else None
            self._queue.added(taken.parcels if is_ours else [])
        return len(ended)

    def _judge(self, ended: Sequence[tuple[Parcel, Result]], now: float, tally: Tally) -> Ends:
        ends = Ends()
        for parcel, result in ended:
            final = self._judged(parcel, result, now)
            self._tell(tally, parcel, final)
            if final.state is State.WAITING:
                due = now + retries.wait_seconds(parcel.attempts + 1, self.chance())
                ends.retry(parcel, due, final.reason, self.to.id)
            else:
                ends.over(parcel, final.state, final.reason, now, self.to.id)
        return ends

    def _judged(self, parcel: Parcel, result: Result, now: float) -> Result:
        """A call that was tried for long enough is given up; one that failed while the house goes
        down, where a function cannot reach it any more, is not.
        """
        if self._stopping and result.state is State.FAILED:
            return replace(result, state=State.WAITING)
        hours = self.kind.retry_hours or self.room.settings.delivery_retry_hours
        if result.state is State.WAITING and retries.is_over(parcel.queued, now, hours):
            why = f"given up after {hours:g} hours; the last reason: {result.message}"
            return Result(State.FAILED, f"{retries.EXPIRED}: {result.reason}", why)
        return result

    def _tell(self, tally: Tally, parcel: Parcel, result: Result) -> None:
        steps = {
            State.DELIVERED: counts.DELIVERED,
            State.FAILED: counts.FAILED_DELIVERY,
            State.WAITING: counts.RETRIED,
        }
        calls = parcel.call["calls"] if self.kind.takes_files else 1
        tally.add(self.to.id, steps[result.state], result.reason, parcel.call["type"], calls)
        if result.state is not State.DELIVERED:
            tally.sample(self.to.id, result.reason, result.message, parcel.line.decode())
