"""Syncs: a job loads what is new in the archives of a warehouse's sources.

The place in the archive is committed after the warehouse has committed the rows; a job that was
cut off between the two loads a batch again, and its ids are there already: rows are exact.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.clock import iso
from tailorbird.collect import archive, tables, warehouse, warehouses
from tailorbird.collect.calls import canonical
from tailorbird.collect.room import Collect
from tailorbird.collect.warehouse.load import Tables, load
from tailorbird.collect.warehouse.rows import Rows, Wanted, take
from tailorbird.errors import Conflict, NotFound, Unavailable
from tailorbird.store import Job, Later

KIND = "collect.warehouse"
BATCH_CALLS = 5_000
BUSY_SECONDS = 1.0  # until a sync looks again whether the one before it has ended
NOTICES_MAX = 50
SYNCS_KEPT = 1_000  # of one warehouse
TEXT_LENGTH = 512
CUT_OFF = "it was cut off; the next sync went on from its last batch"
RUNNING, SUCCESS, PARTIAL, FAILURE = "RUNNING", "SUCCESS", "PARTIAL", "FAILURE"

Row = dict[str, Any]

log = logging.getLogger("tailorbird.collect")


class Moved(Exception):
    """Somebody else has loaded this batch: another worker, or the connection is gone."""


def start(room: Collect, warehouse_id: str) -> int:
    """Load now; the job's number. Conflict when the warehouse is switched off."""
    if not warehouses.get(room, warehouse_id)["enabled"]:
        raise Conflict(f"Warehouse {warehouse_id} is not enabled")
    with room.db.write() as conn:
        job = room.jobs.enqueue(conn, KIND, {"warehouse": warehouse_id})
    assert job is not None
    return job


def list_all(
    room: Collect, warehouse_id: str, source_id: str | None = None
) -> list[dict[str, Any]]:
    """The syncs of a warehouse, the newest first."""
    warehouses.get(room, warehouse_id)
    s = tables.syncs
    query = sa.select(s).where(s.c.warehouse_id == warehouse_id).order_by(s.c.id.desc())
    if source_id is not None:
        warehouses.connection(room, warehouse_id, source_id)
        query = query.where(s.c.source_id == source_id)
    with room.db.read() as conn:
        return [dict(row) for row in conn.execute(query.limit(SYNCS_KEPT)).mappings()]


def schedule(room: Collect) -> None:
    """Set the alarm for the next time that warehouses are loaded."""
    with room.db.write() as conn:
        _schedule(room, conn)


def run(room: Collect, job: Job) -> None:
    """The job: one warehouse, or at the alarm the start of one job for each."""
    given = job.payload.get("warehouse")
    if given is None:
        with room.db.write() as conn:
            for row in warehouses.list_all(room):
                if row["enabled"] and warehouses.is_time(row["schedule"], room.clock.now()):
                    key = f"{KIND}:{row['id']}:{job.id}"
                    room.jobs.enqueue(conn, KIND, {"warehouse": row["id"]}, key=key)
            _schedule(room, conn)
            job.finish(conn)
        return
    try:
        _hold(room, given, job)
    except NotFound:
        return  # it was deleted meanwhile
    results = [_sync(room, job, given, one) for one in warehouses.connections(room, given)]
    with room.db.write() as conn:
        _release(conn, given, job)
        _tidy(conn, given)
        job.finish(conn, {"syncs": results})


def failed(room: Collect, conn: Connection, job: Job, reason: str) -> None:
    given = job.payload.get("warehouse")
    if given is None:
        _schedule(room, conn)
    else:
        _release(conn, given, job)


def _schedule(room: Collect, conn: Connection) -> None:
    seconds = room.settings.warehouse_seconds
    slot = int(room.clock.now() // seconds) + 1
    room.jobs.enqueue(conn, KIND, {}, key=f"{KIND}:{slot}", due=slot * seconds)


def _hold(room: Collect, warehouse_id: str, job: Job) -> None:
    """One job at a time loads a warehouse; the others come back."""
    w = tables.warehouses
    holder = warehouses.get(room, warehouse_id)["holder"]
    if holder is not None and holder != job.id:
        try:
            if room.jobs.get(holder)["state"] in ("ready", "running"):
                raise Later(BUSY_SECONDS)
        except NotFound:
            pass
    mine = sa.update(w).where(w.c.id == warehouse_id, w.c.holder.is_not_distinct_from(holder))
    with room.db.write() as conn:
        if conn.execute(mine.values(holder=job.id)).rowcount != 1:
            raise Later(BUSY_SECONDS)


def _release(conn: Connection, warehouse_id: str, job: Job) -> None:
    w = tables.warehouses
    mine = sa.update(w).where(w.c.id == warehouse_id, w.c.holder == job.id)
    conn.execute(mine.values(holder=None))


def _tidy(conn: Connection, warehouse_id: str) -> None:
    s = tables.syncs.c
    kept = sa.select(s.id).where(s.warehouse_id == warehouse_id).order_by(s.id.desc())
    last = conn.execute(kept.offset(SYNCS_KEPT).limit(1)).scalar()
    if last is not None:
        old = (s.warehouse_id == warehouse_id, s.id <= last)
        conn.execute(sa.delete(tables.syncs).where(*old))


def _sync(room: Collect, job: Job, warehouse_id: str, connection: Row) -> Row:
    """Load one source; whatever stops it is its last notice, and the next sync goes on there."""
    source_id = connection["source_id"]
    if any(not o["enabled"] and o.get("collection") is None for o in connection["overrides"]):
        return {"source": source_id, "status": "off"}
    sync = _Sync(room, job, warehouse_id, source_id)
    try:
        archive.flush(room, source_id)
        sync.load(connection)
    except (Unavailable, NotFound) as error:
        sync.rows.note(error.message)
        status = PARTIAL if sync.added else FAILURE
        log.warning("warehouse %s, source %s: %s", warehouse_id, source_id, error.message)
    except Moved:
        sync.rows.note("another worker went on with this sync")
        status = PARTIAL
    else:
        status = PARTIAL if sync.rows.notices else SUCCESS
    sync.end(status)
    return {"source": source_id, "status": status, "calls": sync.calls, "rows": sync.added}


class _Sync:
    """One source on its way into one warehouse."""

    def __init__(self, room: Collect, job: Job, warehouse_id: str, source_id: str) -> None:
        self.room = room
        self.job = job
        self.warehouse_id = warehouse_id
        self.source_id = source_id
        self.rows = Rows()  # the notices of the whole sync
        self.calls = 0
        self.added = 0
        s = tables.syncs
        cut = sa.update(s).where(
            s.c.warehouse_id == warehouse_id, s.c.source_id == source_id, s.c.status == RUNNING
        )
        row = s.insert().values(
            warehouse_id=warehouse_id,
            source_id=source_id,
            started=room.clock.now(),
            status=RUNNING,
            calls=0,
            rows=0,
            notices=[],
        )
        with room.db.write() as conn:
            conn.execute(cut.values(status=PARTIAL, ended=room.clock.now(), notices=[_said(room)]))
            self.id = conn.execute(row.returning(s.c.id)).scalar_one()

    def load(self, connection: Row) -> None:
        """Everything from the connection's place in the archive on."""
        place = (connection["first"], connection["line"])
        files = archive.files(self.room, self.source_id, place[0])
        total = sum(file["calls"] for file in files) - (place[1] if files else 0)
        if not total:
            return
        settings = warehouses.get(self.room, self.warehouse_id)["settings"]
        wanted = _wanted(connection["overrides"])
        to = warehouses.opened(self.room, self.warehouse_id, self.source_id)
        try:
            with to.transaction():
                known = to.tables()
            for lines, following in self._batches(files, place):
                self._put(to, known, lines, settings, wanted)
                self._commit(place, following, known)
                place = following
                self.job.progress(self.calls, total, "calls")
        finally:
            to.close()

    def end(self, status: str) -> None:
        level = "error" if status == FAILURE else "warning"
        said = [
            _said(self.room, message if n == 1 else f"{message} ({n} times)", level)
            for message, n in list(self.rows.notices.items())[:NOTICES_MAX]
        ]
        values = {"status": status, "ended": self.room.clock.now(), "notices": said}
        values |= {"calls": self.calls, "rows": self.added}
        with self.room.db.write() as conn:
            conn.execute(sa.update(tables.syncs).where(tables.syncs.c.id == self.id).values(values))

    def _batches(
        self, files: list[Row], place: tuple[int, int]
    ) -> Iterator[tuple[list[bytes], tuple[int, int]]]:
        """Calls, and the place after them. A file is done when its next place is its end."""
        for file in files:
            skip = place[1] if file["first"] == place[0] else 0
            if skip >= file["calls"]:
                continue
            try:
                found = archive.lines(self.room, file, skip)
                while batch := list(islice(found, BATCH_CALLS)):
                    lines = [line for _, line in batch]
                    yield lines, (file["first"], batch[-1][0] + 1)
            except NotFound:
                self.rows.note(f"{file['uri']} is not there any more: its calls are left out")

    def _put(
        self,
        to: warehouse.Connection,
        known: Tables,
        lines: list[bytes],
        settings: Row,
        wanted: Wanted,
    ) -> None:
        now = canonical(datetime.fromtimestamp(self.room.clock.now(), UTC).replace(tzinfo=None))
        rows = Rows(notices=self.rows.notices)
        for line in lines:
            call = orjson.loads(line)
            if _is_for(self.warehouse_id, call):
                take(rows, call, now, wanted, settings.get("productsSku") is True)
        length = settings.get("textLength")
        self.added += load(to, known, rows, TEXT_LENGTH if length is None else length)
        self.calls += len(lines)

    def _commit(self, old: tuple[int, int], new: tuple[int, int], known: Tables) -> None:
        c = tables.connections
        values: Row = {"first": new[0], "line": new[1], "tables": known}
        mine = sa.update(c).where(
            c.c.warehouse_id == self.warehouse_id,
            c.c.source_id == self.source_id,
            c.c.first == old[0],
            c.c.line == old[1],
        )
        s = tables.syncs
        seen = sa.update(s).where(s.c.id == self.id).values(calls=self.calls, rows=self.added)
        with self.room.db.write() as conn:
            if conn.execute(mine.values(**values)).rowcount != 1:
                raise Moved
            conn.execute(seen)


def _said(room: Collect, message: str = CUT_OFF, level: str = "warning") -> Row:
    return {"level": level, "message": message, "createdAt": iso(room.clock.now())}


def _is_for(warehouse_id: str, call: Row) -> bool:
    """What the call's `integrations` say: Warehouses {all: false} or {warehouseIds: [...]}."""
    wanted = (call.get("integrations") or {}).get("Warehouses")
    if wanted is False:
        return False
    if not isinstance(wanted, dict):
        return True
    listed = wanted.get("warehouseIds")
    if isinstance(listed, list):
        return warehouse_id in listed
    return wanted.get("all") is not False


def _wanted(overrides: list[Row]) -> Callable[[str, str | None], bool]:
    off = {(one.get("collection"), one.get("property")) for one in overrides if not one["enabled"]}
    return lambda collection, name: (collection, name) not in off
