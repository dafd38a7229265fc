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
from dataclasses import replace
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
from tailorbird.collect.room import Collect
from tailorbird.collect.tables import deliveries, destinations

QUEUE_CALLS = 1_000  # taken from the log ahead of delivery
QUEUE_FILES = 100
RETRYING_CALLS = 50_000  # beyond it no more are taken until some have ended
ROWS_AT_ONCE = 16
LEASE_SECONDS = 10.0
IDLE_SECONDS = 1.0
AHEAD = 8  # calls in the hands of each thread, so that none waits for the next turn
GATHER_SECONDS = 0.004  # calls that come, and ends of deliveries, are taken together
INTEGRATIONS_OFF = "integrations_disabled"

ADD = (
    "INSERT INTO collect_deliveries (destination_id, number, state, due, attempts, queued,"
    " received, message_id, function, call) VALUES (?, ?, 0, ?, 0, ?, ?, ?, ?, ?)"
)
END = (
    "UPDATE collect_deliveries SET state = ?, attempts = ?, reason = ?, finished = ?, call = NULL"
    " WHERE destination_id = ? AND number = ?"
)
AGAIN = (
    "UPDATE collect_deliveries SET due = ?, attempts = ?, reason = ?"
    " WHERE destination_id = ? AND number = ?"
)

logger = logging.getLogger("tailorbird.collect")


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
        self._filters: list[dict[str, Any]] = []
        self._steps: list[filters.Step] = []
        self._bell = threading.Event()
        self._stopping = False
        self._held_until = 0.0
        self._lock = threading.Lock()
        self._flying: set[int] = set()
        self._ended: list[tuple[Parcel, Result]] = []
        self._pool = ThreadPoolExecutor(self.concurrency, f"deliver-{to.id}")
        self._thread = threading.Thread(target=self._run, name=f"courier-{to.id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
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
                self._bell.wait(wait)
                self._bell.clear()
            if not self._stopping:
                time.sleep(GATHER_SECONDS)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._settle()

    def _turn(self) -> float:
        """Commit ends, take calls, hand them out; how long there is nothing more to do."""
        ended = self._settle()
        taken = self._take()
        handed = self._hand_out()
        if ended or taken or handed:
            return 0.0
        return self._until_due()

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
        self._held_until = now + LEASE_SECONDS if held else 0.0
        return held

    def _take(self) -> int:
        """Move calls from the log into the queue, or count why they are not for it."""
        if self.kind.takes_files:
            return self._take_files()
        with self.room.db.read() as conn:
            fresh, again = self._waiting(conn)
            start = cursors.get(conn, self._cursor)
            if fresh >= QUEUE_CALLS or again >= RETRYING_CALLS:
                return 0
            rows = log.read(conn, self.to.source_id, start, ROWS_AT_ONCE, max_bytes=1 << 20)
            if not rows or not self._is_on(conn):
                return 0
        now = self.room.clock.now()
        tally = Tally()
        added = []
        for row in rows:
            for number, line in row.calls():
                if number >= start and (
                    added_row := self._addressed(number, line, row, now, tally)
                ):
                    added.append(added_row)
        end = rows[-1].first + rows[-1].count
        with self.room.db.write() as conn:
            if not cursors.advance(conn, self._cursor, start, end):
                return 0  # another process took them
            if added:
                conn.exec_driver_sql(self.room.db.sql(ADD), added)
            counts.write(self.room.db, conn, tally, now)
        return end - start

    def _take_files(self) -> int:
        """Move files that the archive has written into the queue, in their order."""
        with self.room.db.read() as conn:
            start = cursors.get(conn, self._cursor)
            if self._waiting(conn)[0] >= QUEUE_FILES or not self._is_on(conn):
                return 0
            files = archive.written(conn, self.to.source_id, start, QUEUE_FILES)
        if not files:
            return 0
        now = self.room.clock.now()
        added = []
        for file in files:
            told = orjson.dumps(archive.as_call(file.uri, file.calls))
            added.append((self.to.id, file.first, now, now, file.written, file.uri, None, told))
        with self.room.db.write() as conn:
            if not cursors.advance(conn, self._cursor, start, files[-1].last + 1):
                return 0
            conn.exec_driver_sql(self.room.db.sql(ADD), added)
        return len(files)

    def _addressed(
        self, number: int, line: bytes, row: log.Row, now: float, tally: Tally
    ) -> tuple[Any, ...] | None:
        """A row of the queue, or None when the call is not for this destination."""
        call = orjson.loads(line)
        reason = self._refusal(call, row)
        if reason is None and self._steps:
            trimmed, reason = filters.applied(self._steps, call)
            line = line if trimmed is call else orjson.dumps(trimmed)
        if reason is not None:
            tally.add(self.to.id, counts.FILTERED_AT_DESTINATION, reason, call["type"])
            if reason == LOOP:
                why = "a function answers its own call again and again; see the setting loop_depth"
                tally.sample(self.to.id, reason, why, line.decode())
            return None
        times = (now, now, row.received)
        return (self.to.id, number, *times, call["messageId"], row.function, line)

    def _refusal(self, call: dict[str, Any], row: log.Row) -> str | None:
        wanted = call.get("integrations") or {}
        if wanted.get(self.kind.name, wanted.get("All", True)) is False:
            return INTEGRATIONS_OFF
        reason = self.kind.refuses(self.to.settings, call)
        if reason is None and self.guard.is_loop(call, row.function, row.received):
            return LOOP
        return reason

    def _waiting(self, conn: Connection) -> tuple[int, int]:
        """How many calls wait for their first attempt, and how many for another."""
        c = deliveries.c
        fresh = sa.func.count().filter(c.attempts == 0)
        again = sa.func.count().filter(c.attempts > 0)
        query = sa.select(fresh, again).where(
            c.destination_id == self.to.id, c.state == State.WAITING
        )
        row = conn.execute(query).one()
        return row[0], row[1]

    def _is_on(self, conn: Connection) -> bool:
        """Whether the destination is enabled; its settings are those of this moment."""
        d = destinations.c
        row = conn.execute(sa.select(d.enabled, d.settings).where(d.id == self.to.id)).first()
        if row is None or not row.enabled:
            return False
        if row.settings != self.to.settings:
            self.to = replace(self.to, settings=row.settings)
        wanted = filters.in_force(conn, self.to.id)
        if wanted != self._filters:
            self._filters, self._steps = wanted, filters.steps(wanted)
        return True

    def _hand_out(self) -> int:
        """Give due calls to free threads."""
        free = self.concurrency * AHEAD - -(-len(self._flying) // self.kind.batch)
        if free <= 0:
            return 0
        c = deliveries.c
        query = (
            sa.select(c.number, c.call, c.attempts, c.queued, c.received, c.function)
            .where(
                c.destination_id == self.to.id,
                c.state == State.WAITING,
                c.due <= self.room.clock.now(),
            )
            .order_by(c.due, c.number)
            .limit(free * self.kind.batch + len(self._flying))
        )
        with self.room.db.read() as conn:
            found = [row for row in conn.execute(query) if row.number not in self._flying]
        parcels = [_parcel(row) for row in found[: free * self.kind.batch]]
        for at in range(0, len(parcels), self.kind.batch):
            batch = parcels[at : at + self.kind.batch]
            self._flying.update(parcel.number for parcel in batch)
            self._pool.submit(self._deliver, batch)
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

    def _settle(self) -> int:
        """Commit how attempts ended."""
        with self._lock:
            ended, self._ended = self._ended, []
        if not ended:
            return 0
        now = self.room.clock.now()
        tally = Tally()
        done, again = [], []
        for parcel, result in ended:
            final = self._judged(parcel, result, now)
            self._tell(tally, parcel, final)
            attempts = parcel.attempts + 1
            if final.state is State.WAITING:
                due = now + retries.wait_seconds(attempts, self.chance())
                again.append((due, attempts, final.reason, self.to.id, parcel.number))
            else:
                row = (int(final.state), attempts, final.reason, now, self.to.id, parcel.number)
                done.append(row)
        db = self.room.db
        try:
            with db.write() as conn:
                if done:
                    conn.exec_driver_sql(db.sql(END), done)
                if again:
                    conn.exec_driver_sql(db.sql(AGAIN), again)
                counts.write(db, conn, tally, now)
        except BaseException:
            with self._lock:
                self._ended = ended + self._ended
            raise
        self._flying.difference_update(parcel.number for parcel, _ in ended)
        return len(ended)

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

    def _until_due(self) -> float:
        """Seconds until the next retry, at most a second: another process may bring calls."""
        c = deliveries.c
        waiting = (c.destination_id == self.to.id, c.state == State.WAITING)
        with self.room.db.read() as conn:
            due = conn.execute(
                sa.select(sa.func.min(c.due)).where(*waiting, c.number.not_in(self._flying))
            ).scalar()
        if due is None:
            return IDLE_SECONDS
        return min(IDLE_SECONDS, max(0.01, due - self.room.clock.now()))


def _parcel(row: Any) -> Parcel:
    line = bytes(row.call)
    times = (row.queued, row.received)
    return Parcel(row.number, orjson.loads(line), line, row.attempts, *times, row.function)
