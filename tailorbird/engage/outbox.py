"""The outbox of an application's event streams: records wait here until each has arrived.

They are written in the transaction of what they tell. A reader goes by transaction and number and
takes only what no transaction under way could still come before, so none is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import measure_tables as mt
from tailorbird.engage.bulk import without_nul
from tailorbird.engage.room import Engage
from tailorbird.store import fetch

KIND = "engage.stream"
ROW_RECORDS = 250
GRAIN_SECONDS = 1.0  # at most one job a stream and second
_ADD = {
    "sqlite": "INSERT INTO engage_outbox (app, xid, count, arrived, lines) VALUES (?,0,?,?,?)",
    "postgresql": "INSERT INTO engage_outbox (app, xid, count, arrived, lines)"
    " VALUES (?,pg_current_xact_id()::text::bigint,?,?,?)",
}
_SETTLED = {"sqlite": "", "postgresql": " AND xid < pg_snapshot_xmin(pg_current_snapshot())::text"
            "::bigint"}  # fmt: skip
_NEXT = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_READ = (
    "SELECT xid, number, count, lines FROM engage_outbox WHERE app = ?{settled}"
    " AND (xid > ? OR (xid = ? AND number > ?)) ORDER BY xid, number LIMIT ?"
)


class Place(NamedTuple):
    """How far a stream has come."""

    xid: int
    number: int


class Waiting(NamedTuple):
    """One row of the outbox."""

    place: Place
    records: int
    lines: str


def streams(room: Engage, conn: Connection, app: int) -> list[int]:
    """Numbers of the streams that an application's records go to."""
    text = room.db.sql("SELECT number FROM engage_streams WHERE app = ?")
    return [row[0] for row in fetch(conn, text, (app,))]


def add(
    room: Engage, conn: Connection, app: int, to: Sequence[int], records: Sequence[dict[str, Any]]
) -> None:
    """Keep records for the streams, in the caller's transaction."""
    if not records:
        return
    now, text = room.clock.now(), room.db.sql(_ADD[room.db.dialect])
    for start in range(0, len(records), ROW_RECORDS):
        portion = records[start : start + ROW_RECORDS]
        lines = b"\n".join(orjson.dumps(one) for one in portion).decode()
        lines = without_nul(lines)
        conn.exec_driver_sql(text, (app, len(portion), now, lines))
    wake(room, conn, to)


def wake(room: Engage, conn: Connection, to: Sequence[int]) -> None:
    """A job for each stream, at the next full second."""
    turn = int(room.clock.now() // GRAIN_SECONDS) + 1
    for number in to:
        key = f"{KIND}:{number}:{turn}"
        room.jobs.enqueue(conn, KIND, {"stream": number}, key=key, due=turn * GRAIN_SECONDS)


def after(room: Engage, conn: Connection, app: int, place: Place, limit: int) -> list[Waiting]:
    """The next rows behind a place."""
    text = room.db.sql(_READ.format(settled=_SETTLED[room.db.dialect]))
    rows = conn.exec_driver_sql(text, (app, place.xid, place.xid, place.number, limit))
    return [Waiting(Place(row[0], row[1]), row[2], row[3]) for row in rows]


def is_settled(room: Engage, conn: Connection) -> bool:
    """Whether no transaction that began to write before this one is still under way: it may add
    records and count on a job that has run meanwhile.
    """
    if room.db.dialect == "sqlite":
        return True
    older = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    own = "pg_current_xact_id()::text::bigint"
    return bool(conn.exec_driver_sql(f"SELECT {older} >= {own}").scalar())


def is_empty(conn: Connection, app: int, place: Place) -> bool:
    """Whether nothing waits behind a place, also nothing that may not be read yet."""
    c = mt.outbox.c
    query = sa.select(c.number).where(c.app == app, _behind(*place)).limit(1)
    return conn.execute(query).first() is None


def end(conn: Connection, app: int) -> Place:
    """Behind the last record there is."""
    c = mt.outbox.c
    query = sa.select(c.xid, c.number).where(c.app == app)
    row = conn.execute(query.order_by(c.xid.desc(), c.number.desc()).limit(1)).first()
    return Place(row[0], row[1]) if row else Place(0, 0)


def prune(conn: Connection, app: int) -> None:
    """Drop what has arrived at every stream."""
    s, c = mt.streams.c, mt.outbox.c
    rows = conn.execute(sa.select(s.xid, s.at).where(s.app == app)).all()
    gone = sa.delete(mt.outbox).where(c.app == app)
    if rows:
        xid, number = min((row.xid, row.at) for row in rows)
        gone = gone.where(sa.or_(c.xid < xid, sa.and_(c.xid == xid, c.number <= number)))
    conn.execute(gone)


def shed(room: Engage, conn: Connection, app: int) -> int:
    """Drop the oldest records beyond `stream_max_waiting`; how many some stream has lost by it."""
    limit = room.settings.stream_max_waiting
    s, c = mt.streams.c, mt.outbox.c
    mine = c.app == app
    total = conn.scalar(sa.select(sa.func.coalesce(sa.func.sum(c.count), 0)).where(mine))
    if not limit or total <= limit:
        return 0
    newest = (c.xid.desc(), c.number.desc())
    kept = sa.func.sum(c.count).over(order_by=newest).label("kept")
    rows = sa.select(c.xid, c.number, kept).where(mine).subquery()
    first = sa.select(rows).where(rows.c.kept > limit).order_by(rows.c.kept).limit(1)
    last = conn.execute(first).one()
    lost = 0
    for row in conn.execute(sa.select(s.number, s.xid, s.at).where(s.app == app)).all():
        between = (mine, _behind(row.xid, row.at), sa.not_(_behind(last.xid, last.number)))
        gone = conn.scalar(sa.select(sa.func.coalesce(sa.func.sum(c.count), 0)).where(*between))
        if gone:
            values = {"xid": last.xid, "at": last.number, "dropped": s.dropped + gone}
            conn.execute(sa.update(mt.streams).where(s.number == row.number).values(values))
            lost += int(gone)
    prune(conn, app)
    return lost


def begin_anew(room: Engage, conn: Connection, app: int, place: Place) -> bool:
    """Order an outbox again that came from another PostgreSQL, by a dump: transactions are counted
    anew there, and nothing would ever come behind the old places. True when it was so.
    """
    if room.db.dialect == "sqlite":
        return False
    next_one = int(conn.exec_driver_sql(_NEXT).scalar_one())
    if place.xid < next_one:
        return False
    s, c = mt.streams.c, mt.outbox.c
    conn.execute(sa.update(mt.outbox).where(c.app == app, c.xid >= next_one).values(xid=0))
    conn.execute(sa.update(mt.streams).where(s.app == app).values(xid=0, at=0))
    return True


def _behind(xid: int, number: int) -> sa.ColumnElement[bool]:
    c = mt.outbox.c
    return sa.or_(c.xid > xid, sa.and_(c.xid == xid, c.number > number))
