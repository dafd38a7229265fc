"""The archive: Segment's S3 layout, `segment-logs/<source id>/<day in epoch ms>/<name>.gz`.

A file is planned (its calls and its name committed) before it is written, so a crash can only lead
to the same file being written again. The day is the UTC day of receipt.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.collect import catalog, cursors, log, seen, tables
from tailorbird.collect.room import Collect
from tailorbird.collect.seen import SECONDS_PER_DAY
from tailorbird.errors import NotFound
from tailorbird.store import Job

KIND = "collect.archive"
GZIP_LEVEL = 6
GZIP_FORMAT = (
    31  # zlib's word for a gzip header; its time is 0, so the same calls make the same file
)
ROWS_AT_ONCE = 64
MOMENT = "%Y%m%dT%H%M%SZ"


def location(room: Collect, source_id: str) -> str:
    """The folder of a source's archive."""
    return f"s3://{room.settings.archive_bucket}/segment-logs/{source_id}/"


def flush(room: Collect, source_id: str | None = None) -> list[str]:
    """Archive every call that is in the log now; the addresses of the files written."""
    written = []
    for planned in _unwritten(room, source_id):
        written.append(_write(room, planned))
    for source in _sources(room, source_id):
        while planned := _plan(room, source):
            written.append(_write(room, planned))
    return written


def files(room: Collect, source_id: str, first: int = 0) -> list[dict[str, Any]]:
    """The files of a source from the one that begins with call `first` on, the oldest first."""
    a = tables.archives
    mine = (a.c.source_id == source_id, a.c.first >= first)
    query = sa.select(a).where(*mine).order_by(a.c.first)
    with room.db.read() as conn:
        return [dict(row) for row in conn.execute(query).mappings()]


def written(conn: Connection, source_id: str, start: int, limit: int) -> list[Any]:
    """Files of a source that hold calls from number `start` on, up to the first that is not yet
    written."""
    a = tables.archives
    query = sa.select(a).where(a.c.source_id == source_id, a.c.last >= start).order_by(a.c.first)
    return list(takewhile(lambda file: file.written is not None, conn.execute(query.limit(limit))))


def as_call(uri: str, calls: int) -> dict[str, Any]:
    """A file as destinations of files are given it."""
    return {"type": "", "messageId": uri, "uri": uri, "calls": calls}


def received(uri: str) -> float:
    """When the first call of a file was received, by the file's name."""
    name = uri.rpartition("/")[2].partition(".")[0]
    return datetime.strptime(name, MOMENT).replace(tzinfo=UTC).timestamp()


def lines(room: Collect, file: dict[str, Any], start: int = 0) -> Iterator[tuple[int, bytes]]:
    """The calls of a file from line `start` on, each with its line; NotFound when it is gone."""
    with room.objects.fetch(file["uri"]) as path, gzip.open(path) as opened:
        for number, text in enumerate(opened):
            if number >= start and text.strip():
                yield number, text.rstrip(b"\n")


def run(room: Collect, job: Job) -> None:
    """The job: archive everything, tidy the log, and set the alarm for the next time."""
    written = flush(room)
    tidy(room)
    with room.db.write() as conn:
        _schedule(room, conn)
        job.finish(conn, {"files": written})


def failed(room: Collect, conn: Connection, job: Job, reason: str) -> None:
    """An archive that cannot be written today is tried again at the next time."""
    _schedule(room, conn)


def schedule(room: Collect) -> None:
    """Set the alarm for the next archive."""
    with room.db.write() as conn:
        _schedule(room, conn)


class Scale:
    """Weighs what comes in, and has it archived early when it fills a file."""

    def __init__(self, room: Collect) -> None:
        self.room = room
        self._bytes = 0

    def weigh(self, size: int) -> None:
        self._bytes += size
        if self._bytes < self.room.settings.archive_file_bytes:
            return
        self._bytes = 0
        with self.room.db.write() as conn:
            key = f"{KIND}:after:{log.head(conn)}"
            self.room.jobs.enqueue(conn, KIND, {}, key=key)


def tidy(room: Collect) -> None:
    """Drop what every reader has passed and nobody looks back for any more."""
    now = room.clock.now()
    before = now - room.settings.log_hours * 3600
    for source in _sources(room, None):
        with room.db.write() as conn:
            log.prune(conn, source, before, cursors.slowest(conn, source, catalog.OF_FILES))
    d = tables.deliveries.c
    with room.db.write() as conn:
        conn.execute(sa.delete(tables.deliveries).where(d.state > 0, d.finished < before))
    seen.forget(room.db, now)


def _schedule(room: Collect, conn: Connection) -> None:
    slot = int(room.clock.now() // room.settings.archive_seconds) + 1
    due = slot * room.settings.archive_seconds
    room.jobs.enqueue(conn, KIND, {}, key=f"{KIND}:{slot}", due=due)


def _sources(room: Collect, source_id: str | None) -> list[str]:
    """Sources that have calls in the log, also deleted ones."""
    if source_id is not None:
        return [source_id]
    with room.db.read() as conn:
        return list(conn.execute(sa.select(tables.log.c.source_id).distinct()).scalars())


def _unwritten(room: Collect, source_id: str | None) -> list[Any]:
    """Files that were planned by somebody who did not come to write them."""
    a = tables.archives
    query = sa.select(a).where(a.c.written.is_(None)).order_by(a.c.source_id, a.c.first)
    if source_id is not None:
        query = query.where(a.c.source_id == source_id)
    with room.db.read() as conn:
        return list(conn.execute(query))


def _plan(room: Collect, source_id: str) -> Any | None:
    """Commit the next file: one day's calls, up to the size of a file. None when there are none."""
    c = tables.log.c
    with room.db.write() as conn:
        start = cursors.get(conn, f"archive:{source_id}")
        query = (
            sa.select(c.first, c.count, c.received, c.size)
            .where(c.source_id == source_id, c.first >= start)
            .order_by(c.first)
        )
        rows: list[Any] = []
        size = 0
        for row in conn.execute(query):
            full = size + row.size > _limit(room)
            if rows and (full or _day(row.received) != _day(rows[0].received)):
                break
            rows.append(row)
            size += row.size
        if not rows:
            return None
        last = rows[-1].first + rows[-1].count - 1
        planned = {
            "source_id": source_id,
            "first": rows[0].first,
            "last": last,
            "uri": location(room, source_id) + _name(rows[0].received, rows[0].first, last),
            "calls": sum(row.count for row in rows),
        }
        conn.execute(tables.archives.insert().values(**planned, written=None))
        cursors.put(room.db, conn, f"archive:{source_id}", last + 1)
        return conn.execute(
            sa.select(tables.archives).where(
                tables.archives.c.source_id == source_id, tables.archives.c.first == rows[0].first
            )
        ).one()


def _limit(room: Collect) -> int:
    return int(room.settings.archive_file_bytes)


def _write(room: Collect, planned: Any) -> str:
    room.objects.put(planned.uri, _compressed(room, planned))
    a = tables.archives.c
    with room.db.write() as conn:
        conn.execute(
            sa.update(tables.archives)
            .where(a.source_id == planned.source_id, a.first == planned.first)
            .values(written=room.clock.now())
        )
    return str(planned.uri)


def _compressed(room: Collect, planned: Any) -> Iterator[bytes]:
    """The file's bytes, a few rows at a time."""
    squeeze = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_FORMAT)
    at, calls = planned.first, 0
    while at <= planned.last:
        with room.db.read() as conn:
            rows = log.read(conn, planned.source_id, at, ROWS_AT_ONCE)
        rows = [row for row in rows if row.first <= planned.last]
        if not rows:
            break
        for row in rows:
            calls += row.count
            if piece := squeeze.compress(row.lines + b"\n"):
                yield piece
        at = rows[-1].first + rows[-1].count
    if calls != planned.calls:
        raise NotFound(f"{planned.uri}: {calls} of its {planned.calls} calls are in the log")
    yield squeeze.flush()


def _day(received: float) -> int:
    return int(received // SECONDS_PER_DAY)


def _name(received: float, first: int, last: int) -> str:
    moment = datetime.fromtimestamp(received, UTC).strftime(MOMENT)
    return f"{_day(received) * SECONDS_PER_DAY * 1000}/{moment}.{first:012d}-{last:012d}.gz"
