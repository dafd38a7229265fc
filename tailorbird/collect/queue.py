"""One destination's own queue: the calls taken from the log for it, and how each ended.

Only the courier that holds the destination writes here, so what is to be done next is known in
memory; the table is what a restart, or another process, goes on from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy.engine import Connection

from tailorbird.collect.catalog.definition import Parcel, State
from tailorbird.store import Database, fetch

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
WAITING = " FROM collect_deliveries WHERE destination_id = ? AND state = 0"
COUNT = "SELECT count(*), coalesce(sum(CASE WHEN attempts > 0 THEN 1 ELSE 0 END), 0)" + WAITING
NEXT = "SELECT number, due" + WAITING + " ORDER BY due, number LIMIT ?"
CALL = (
    "SELECT number, call, attempts, queued, received, function FROM collect_deliveries"
    " WHERE destination_id = ? AND number = ?"
)
NEVER = float("inf")


@dataclass(slots=True)
class Ends:
    """How attempts ended: those that are over, and those that are tried again."""

    done: list[tuple[int, int, str, float, str, int]] = field(default_factory=list)
    again: list[tuple[float, int, str, str, int]] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)

    def over(self, parcel: Parcel, state: State, reason: str, now: float, to: str) -> None:
        self.parcels.append(parcel)
        self.done.append((int(state), parcel.attempts + 1, reason, now, to, parcel.number))

    def retry(self, parcel: Parcel, due: float, reason: str, to: str) -> None:
        self.parcels.append(parcel)
        self.again.append((due, parcel.attempts + 1, reason, to, parcel.number))


class Queue:
    """What waits, what is ready to be handed out, what is in hand, and when the next retry is due.

    `fresh` counts calls before the end of their first attempt, `again` those to be tried again.
    """

    def __init__(self, db: Database, destination_id: str) -> None:
        self.db = db
        self.id = destination_id
        self.fresh = self.again = 0
        self.next_due = NEVER
        self._ready: deque[Parcel] = deque()
        self._in_hand: set[int] = set()  # ready or under way
        self._known = False

    def forget(self) -> None:
        """Another process may have written: what is under way ends, the rest is read anew."""
        self._in_hand.difference_update(parcel.number for parcel in self._ready)
        self._ready.clear()
        self._known = False

    def look(self, conn: Connection) -> None:
        """Count what waits, after a start or a change of hands."""
        if self._known:
            return
        [(waiting, again)] = fetch(conn, self.db.sql(COUNT), (self.id,))
        self.again = int(again)
        self.fresh = int(waiting) - self.again
        self.next_due = 0.0 if waiting else NEVER
        self._known = True

    def add(self, conn: Connection, parcels: Sequence[Parcel], ids: Sequence[str]) -> None:
        """Write calls that came; `added` makes them ready once that is committed."""
        rows = [
            (self.id, p.number, p.queued, p.queued, p.received, message_id, p.function, p.line)
            for p, message_id in zip(parcels, ids, strict=True)
        ]
        conn.exec_driver_sql(self.db.sql(ADD), rows)

    def added(self, parcels: Sequence[Parcel]) -> None:
        self._ready += parcels
        self._in_hand.update(parcel.number for parcel in parcels)
        self.fresh += len(parcels)

    def end(self, conn: Connection, ends: Ends) -> None:
        """Write how attempts ended; `ended` once that is committed."""
        if ends.done:
            conn.exec_driver_sql(self.db.sql(END), ends.done)
        if ends.again:
            conn.exec_driver_sql(self.db.sql(AGAIN), ends.again)

    def ended(self, ends: Ends) -> None:
        for parcel in ends.parcels:
            self._in_hand.discard(parcel.number)
            if parcel.attempts:
                self.again -= 1
            else:
                self.fresh -= 1
        self.again += len(ends.again)
        self.next_due = min([self.next_due, *(row[0] for row in ends.again)])

    def take(self, most: int, now: float) -> list[Parcel]:
        """Up to `most` calls to hand out, retries that are due first."""
        if self.next_due <= now and most > 0:
            self._fetch_due(most, now)
        return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    @property
    def under_way(self) -> int:
        return len(self._in_hand) - len(self._ready)

    def _fetch_due(self, most: int, now: float) -> None:
        """Make retries ready whose time has come, and note when the next one's comes."""
        with self.db.read() as conn:
            limit = len(self._in_hand) + most + 1
            rows = fetch(conn, self.db.sql(NEXT), (self.id, limit))
            waiting = [row for row in rows if row[0] not in self._in_hand]
            due = [number for number, at in waiting[:most] if at <= now]
            found = [fetch(conn, self.db.sql(CALL), (self.id, number))[0] for number in due]
        self.next_due = waiting[len(due)][1] if len(due) < len(waiting) else NEVER
        self._in_hand.update(due)
        self._ready.extendleft(_parcel(*row) for row in reversed(found))


def _parcel(
    number: int, call: Any, attempts: int, queued: float, received: float, function: str | None
) -> Parcel:
    line = bytes(call)
    return Parcel(number, orjson.loads(line), line, attempts, queued, received, function)
