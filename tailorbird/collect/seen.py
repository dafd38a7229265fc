"""Message ids of today and yesterday (UTC days), for de-duplication.

A commit keeps eight bytes of every id's hash in one row; each process has them all in memory and
reads what the others have added before it adds its own. Two ids share a hash once in 2**64.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from tailorbird.collect.tables import seen as seen_table
from tailorbird.store import Database, Question, fetch

SECONDS_PER_DAY = 86_400
HASH_BYTES = 8
RECENT_MAX = 65_536  # ids of a day in a set; older ones are in sorted arrays of eight bytes an id
FORGET_ROWS = 20_000
ROWS_AT_ONCE = 1_000

Hashes = NDArray[np.uint64]
KIND = np.dtype("<u8")

ADD = "INSERT INTO collect_seen (first, day, hashes) VALUES (?, ?, ?)"
READ_ON = (
    "SELECT first, day, hashes FROM collect_seen WHERE first >= ? AND day >= ?"
    " ORDER BY first LIMIT ?"
)
HOLDING = {
    "sqlite": "SELECT first, hashes FROM collect_seen WHERE day >= ? AND instr(hashes, ?) > 0",
    "postgresql": "SELECT first, hashes FROM collect_seen WHERE day >= ?"
    " AND position(? in hashes) > 0",
}
DROP = (
    "DELETE FROM collect_seen WHERE day < ? AND first IN"
    " (SELECT first FROM collect_seen ORDER BY first LIMIT ?)"
)


def hashed(ids: Sequence[str]) -> Hashes:
    """Eight bytes of every id."""
    digests = [blake2b(one.encode(), digest_size=HASH_BYTES).digest() for one in ids]
    return np.frombuffer(b"".join(digests), KIND)


class Seen:
    """What this process knows of the ids of today and yesterday."""

    def __init__(self) -> None:
        self._days: dict[int, _Day] = {}
        self._next = 0
        self._lock = threading.Lock()

    def read_on(self, db: Database, conn: Connection, now: float) -> None:
        """Take in what was committed since the last time, by whatever process."""
        day = int(now // SECONDS_PER_DAY)
        with self._lock:
            for old in [one for one in self._days if one < day - 1]:
                del self._days[old]
            while some := fetch(conn, db.sql(READ_ON), (self._next, day - 1, ROWS_AT_ONCE)):
                for one in {row[1] for row in some}:
                    blobs = b"".join([row[2] for row in some if row[1] == one])
                    self._days.setdefault(one, _Day()).add(np.frombuffer(blobs, KIND))
                self._next = some[-1][0] + 1
                if len(some) < ROWS_AT_ONCE:
                    break

    def known(self, hashes: Hashes) -> set[int]:
        """Those that are not new."""
        found: set[int] = set()
        with self._lock:
            for day in self._days.values():
                found |= day.known(hashes)
        return found


def addition(db: Database, first: int, now: float, hashes: Hashes) -> Question:
    """What keeps the ids of calls first, first + 1, ..."""
    return db.sql(ADD), (first, int(now // SECONDS_PER_DAY), hashes.tobytes())


def numbers(db: Database, conn: Connection, message_id: str, now: float) -> list[int]:
    """The numbers of the calls whose ids have this id's hash, the newest first."""
    mark = hashed([message_id])
    asked = (int(now // SECONDS_PER_DAY) - 1, mark.tobytes())
    found: list[int] = []
    for first, blob in conn.exec_driver_sql(db.sql(HOLDING[db.dialect]), asked):
        places = np.flatnonzero(np.frombuffer(bytes(blob), KIND) == mark[0])
        found += [first + int(place) for place in places]
    return sorted(found, reverse=True)


def forget(db: Database, now: float) -> None:
    """Drop the ids of days before yesterday, some at a time."""
    day = int(now // SECONDS_PER_DAY) - 1
    oldest = sa.select(seen_table.c.day).order_by(seen_table.c.first).limit(1)
    while True:
        with db.read() as conn:
            found = conn.execute(oldest).scalar()
        if found is None or found >= day:
            return
        with db.write() as conn:
            conn.exec_driver_sql(db.sql(DROP), (day, FORGET_ROWS))


class _Day:
    """The hashes of one day: a set of the newest, and sorted arrays that double in length."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._sorted: list[Hashes] = []

    def add(self, hashes: Hashes) -> None:
        self._recent.update(hashes.tolist())
        if len(self._recent) > RECENT_MAX:
            self._fold()

    def known(self, hashes: Hashes) -> set[int]:
        found = self._recent.intersection(hashes.tolist())
        for level in self._sorted:
            places = np.minimum(np.searchsorted(level, hashes), len(level) - 1)
            found.update(hashes[level[places] == hashes].tolist())
        return found

    def _fold(self) -> None:
        whole: Any = np.sort(np.fromiter(self._recent, KIND, len(self._recent)))
        while self._sorted and len(self._sorted[-1]) <= 2 * len(whole):
            whole = np.sort(np.concatenate([self._sorted.pop(), whole]), kind="stable")
        self._sorted.append(whole)
        self._recent = set()
