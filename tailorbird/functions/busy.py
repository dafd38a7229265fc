"""Which functions run right now, and how often: in this process, and with a reserved concurrency in
every process of the house.

A running invocation of such a function has a row in the database: two short transactions beside the
invocation, paid only by functions that reserved. A process that died is found out by its name on
its own machine, elsewhere when its rows expire.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.errors import Throttled
from tailorbird.functions import stored
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.tables import functions_running
from tailorbird.store import Database, processes

if TYPE_CHECKING:
    from tailorbird.functions.resolve import FunctionVersion
    from tailorbird.functions.room import Functions

RESERVED_REASON = "ReservedFunctionConcurrentInvocationLimitExceeded"
FUNCTION = "account = ? AND region = ? AND name = ?"
LOCK = f"SELECT 1 FROM functions_functions WHERE {FUNCTION} FOR UPDATE"
TAKE = (
    "INSERT INTO functions_running (id, account, region, name, worker, expires)"
    " SELECT ?, ?, ?, ?, ?, ?"
    f" WHERE (SELECT count(*) FROM functions_running WHERE {FUNCTION}) < ?"
)
GIVE = "DELETE FROM functions_running WHERE id = ?"
SPARE_SECONDS = 60.0  # beside its timeout, for starting twice and for being written down

log = logging.getLogger("tailorbird.functions")


class Busy:
    """Counts the invocations of each function that run."""

    def __init__(self, room: Functions) -> None:
        self._room = room
        self._worker = processes.process_name()
        self._running: dict[str, int] = defaultdict(int)
        self._rows: dict[str, list[str]] = defaultdict(list)
        self._owed: list[str] = []  # rows that could not be removed yet
        self._lock = threading.Lock()

    def take(self, version: FunctionVersion) -> None:
        """Count one more; Throttled when the function's reserved concurrency is used up."""
        arn = version.ref.arn
        with self._lock:
            if version.reserved is not None and self._running[arn] >= version.reserved:
                raise throttled()
            self._running[arn] += 1
        if version.reserved is None:
            return
        try:
            row = self._write_down(version, version.reserved)
        except BaseException:
            self._count_down(arn)
            raise
        with self._lock:
            self._rows[arn].append(row)

    def give(self, arn: str) -> None:
        """Count one less."""
        with self._lock:
            rows = self._rows.get(arn)
            if rows:
                self._owed.append(rows.pop())
            owed, self._owed = self._owed, []
        if owed:
            self._remove(owed)
        self._count_down(arn)

    def _count_down(self, arn: str) -> None:
        with self._lock:
            self._running[arn] -= 1
            if not self._running[arn]:
                del self._running[arn]
                self._rows.pop(arn, None)

    def _write_down(self, version: FunctionVersion, most: int) -> str:
        db, ref, now = self._room.db, version.ref, self._room.clock.now()
        function = (ref.account, ref.region, ref.name)
        expires = now + version.timeout_seconds + SPARE_SECONDS
        row = (ids.uuid4(), *function, self._worker, expires)
        with db.write() as conn:
            _hurry(db, conn)
            if db.dialect == "postgresql":  # SQLite lets one write at a time anyway
                conn.exec_driver_sql(db.sql(LOCK), function)
            for _ in range(2):
                if conn.exec_driver_sql(db.sql(TAKE), (*row, *function, most)).rowcount:
                    return row[0]
                _tidy(conn, ref, now)
            raise throttled()

    def _remove(self, rows: list[str]) -> None:
        """The invocation is over whatever the database says; what it missed is told it later."""
        try:
            with self._room.db.write() as conn:
                _hurry(self._room.db, conn)
                for row in rows:
                    conn.exec_driver_sql(self._room.db.sql(GIVE), (row,))
        except sa.exc.OperationalError as error:
            log.warning("%d invocations that ended are still counted: %s", len(rows), error)
            with self._lock:
                self._owed += rows


def throttled() -> Throttled:
    return Throttled(
        "Rate Exceeded.", code="TooManyRequestsException", members={"Reason": RESERVED_REASON}
    )


def _hurry(db: Database, conn: Connection) -> None:
    """A row that a crash of the database loses is one that nobody needs afterwards."""
    if db.dialect == "postgresql":
        conn.exec_driver_sql("SET LOCAL synchronous_commit TO off")


def _tidy(conn: Connection, ref: FunctionRef, now: float) -> None:
    """Remove the rows of processes that ended without doing so."""
    t = functions_running
    rows = conn.execute(sa.select(t).where(*stored.same(t, ref))).fetchall()
    left = [row.id for row in rows if row.expires < now or processes.is_dead(row.worker)]
    conn.execute(sa.delete(t).where(t.c.id.in_(left)))
