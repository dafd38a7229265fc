"""Delivery of event streams: in order, each record at least once, however long a target is away.

One job at a time holds a stream. It moves the stream's place only after a portion has arrived, so
a process that dies sends that portion again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import measure_tables as mt
from tailorbird.engage import outbox
from tailorbird.engage import tables as t
from tailorbird.engage.outbox import Place, Waiting
from tailorbird.engage.room import Engage
from tailorbird.engage.stream_targets import TARGETS, Portion
from tailorbird.errors import TailorbirdError
from tailorbird.store import Job, Later, LeaseLost

log = logging.getLogger(__name__)

PORTION_ROWS = 8  # of the outbox, each with up to 250 records
HOLD_SECONDS = 60.0
RENEW_SECONDS = 20.0
UNSETTLED_SECONDS = 1.0
BACKOFF_MAX_SECONDS = 60.0

_HOLD = (
    "UPDATE engage_streams SET holder = ?, held_until = ? WHERE number = ?"
    " AND (holder IS NULL OR holder = ? OR held_until < ?) RETURNING number"
)


def run(room: Engage, job: Job) -> None:
    """The job: send until the outbox is empty; a target that is away is tried again later."""
    number, me = job.payload["stream"], str(job.id)
    stream = _hold(room, number, me)
    while stream is not None:
        with room.db.read() as conn:
            place = Place(stream["xid"], stream["at"])
            rows = outbox.after(room, conn, stream["app"], place, PORTION_ROWS)
        if rows:
            job.progress(_send(room, me, stream, rows), None, "records")
            stream = _hold(room, number, me)  # it may lead elsewhere by now
        elif _release(room, me, stream):
            return
        else:  # a transaction under way may still come first
            raise Later(UNSETTLED_SECONDS)


def failed(room: Engage, conn: Connection, job: Job, reason: str) -> None:
    """Nothing is given up: another job goes on."""
    mine = mt.streams.c.number == job.payload["stream"]
    changed = sa.update(mt.streams).where(mine).values(error=reason, holder=None)
    if conn.execute(changed).rowcount:
        later = room.clock.now() + BACKOFF_MAX_SECONDS
        payload = {"stream": job.payload["stream"]}
        room.jobs.enqueue(conn, outbox.KIND, payload, due=later)


def _hold(room: Engage, number: int, me: str) -> dict[str, Any] | None:
    """The stream, held by this job; None when another has it (it will see everything) or it is
    gone.
    """
    now = room.clock.now()
    with room.db.write() as conn:
        text = room.db.sql(_HOLD)
        if conn.exec_driver_sql(text, (me, now + HOLD_SECONDS, number, me, now)).first() is None:
            return None
        query = sa.select(mt.streams).where(mt.streams.c.number == number)
        row = dict(conn.execute(query).mappings().one())
        if outbox.begin_anew(room, conn, row["app"], Place(row["xid"], row["at"])):
            row |= {"xid": 0, "at": 0}
        app = conn.scalar(sa.select(t.apps.c.id).where(t.apps.c.number == row["app"]))
        return {**row, "application_id": app}


def _send(room: Engage, me: str, stream: dict[str, Any], rows: list[Waiting]) -> int:
    """Send some rows and move the place behind them; how many records have arrived in all."""
    lines = [line for row in rows for line in row.lines.split("\n")]
    portion = Portion(stream, lines, rows[0].place, rows[-1].place)
    try:
        with _held(room, me, stream):
            TARGETS[stream["kind"]](room, portion)
    except TailorbirdError as away:
        raise _put_off(room, me, stream, away.message) from None
    last, count = rows[-1].place, sum(row.records for row in rows)
    values = {
        "xid": last.xid, "at": last.number, "delivered": stream["delivered"] + count,
        "failures": 0, "error": None, "held_until": room.clock.now() + HOLD_SECONDS,
    }  # fmt: skip
    with room.db.write() as conn:
        _change(conn, stream, me, values)
        outbox.prune(conn, stream["app"])
    return int(values["delivered"])


@contextmanager
def _held(room: Engage, me: str, stream: dict[str, Any]) -> Iterator[None]:
    """Keep the hold while a slow target takes its time, so that nobody else sends the same."""
    over = threading.Event()
    c = mt.streams.c
    mine = (c.number == stream["number"], c.holder == me)

    def renew() -> None:
        while not over.wait(RENEW_SECONDS):
            values = {"held_until": room.clock.now() + HOLD_SECONDS}
            try:
                with room.db.write() as conn:
                    conn.execute(sa.update(mt.streams).where(*mine).values(values))
            except sa.exc.OperationalError as away:
                log.warning("the hold of stream %s was not renewed: %s", stream["id"], away.orig)

    thread = threading.Thread(target=renew, name="engage-stream-hold", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _put_off(room: Engage, me: str, stream: dict[str, Any], reason: str) -> Later:
    seconds = min(BACKOFF_MAX_SECONDS, 2.0 ** min(stream["failures"], 10))
    values = {"failures": stream["failures"] + 1, "error": reason,
              "held_until": room.clock.now() + seconds + HOLD_SECONDS}  # fmt: skip
    with room.db.write() as conn:
        _change(conn, stream, me, values)
        lost = outbox.shed(room, conn, stream["app"])
    if lost:
        log.error("streams of application %s lost the oldest %d records: more than"
                  " stream_max_waiting wait", stream["application_id"], lost)  # fmt: skip
    return Later(seconds)


def _release(room: Engage, me: str, stream: dict[str, Any]) -> bool:
    """Let go when nothing waits; asked in the transaction, so that nobody is overlooked."""
    with room.db.write() as conn:
        _change(conn, stream, me, {"holder": None})
        settled = outbox.is_settled(room, conn)  # before the look: what commits between is seen
        if settled and outbox.is_empty(conn, stream["app"], Place(stream["xid"], stream["at"])):
            return True
        values = {"holder": me, "held_until": room.clock.now() + HOLD_SECONDS}
        mine = mt.streams.c.number == stream["number"]
        conn.execute(sa.update(mt.streams).where(mine).values(values))
        return False


def _change(conn: Connection, stream: dict[str, Any], me: str, values: dict[str, Any]) -> None:
    c = mt.streams.c
    mine = (c.number == stream["number"], c.holder == me)
    if conn.execute(sa.update(mt.streams).where(*mine).values(values)).rowcount != 1:
        raise LeaseLost(f"stream {stream['id']} was taken over, or is gone")
