"""Counts of what became of messages, by hour: what KPIs are made of.

Counts are only ever added, in the transaction of what they count, so writers never wait for each
other; rows of hours that are over are added up by a job.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import measure_tables as mt
from tailorbird.engage.bulk import Bulk
from tailorbird.engage.room import Engage
from tailorbird.store import Job, insert

KIND = "engage.counts"
HOUR_SECONDS = 3600
ROWS_BEFORE_SUM = 2_000  # of one question

SENT, DELIVERED, FAILED = "sent", "delivered", "failed"
OPEN, UNIQUE_OPEN, CLICK, UNIQUE_CLICK = "open", "unique_open", "click", "unique_click"
PARTS, DELIVERED_PARTS, PRICE = "parts", "delivered_parts", "price"
HARD_BOUNCE, SOFT_BOUNCE, COMPLAINT = "hardbounce", "softbounce", "complaint"

_COLUMNS = "app, hour, campaign_id, activity_id, channel, measure, detail, amount"
_INSERT = Bulk(
    "engage_counts",
    {
        "app": "bigint", "hour": "bigint", "campaign_id": "text", "activity_id": "text",
        "channel": "text", "measure": "text", "detail": "text", "amount": "float8",
    },
)  # fmt: skip


class Count(NamedTuple):
    """Something that happened to messages of one campaign and run (empty: direct messages)."""

    campaign_id: str
    activity_id: str
    channel: str
    measure: str
    amount: float = 1.0
    detail: str = ""


def add(room: Engage, conn: Connection, app: int, moment: float, found: Iterable[Count]) -> None:
    """Count in the caller's transaction."""
    hour = int(moment // HOUR_SECONDS)
    rows = [
        (app, hour, c.campaign_id, c.activity_id, c.channel, c.measure, c.detail, float(c.amount))
        for c in found
    ]
    _INSERT.run(room.db, conn, rows)


def is_first(room: Engage, conn: Connection, app: int, message_id: str, measure: str) -> bool:
    """Whether this happens to a message for the first time; the next time it does not."""
    row = {"message_id": message_id, "measure": measure, "app": app}
    adding = insert(room.db, mt.firsts).values(row).on_conflict_do_nothing()
    return conn.execute(adding.returning(mt.firsts.c.message_id)).first() is not None


def read(
    room: Engage, app: int, first_hour: int, last_hour: int, campaign_id: str | None
) -> list[Any]:
    """Sums by hour and everything else; of one campaign, or of all and direct messages."""
    c = mt.counts.c
    keys = (c.hour, c.campaign_id, c.activity_id, c.channel, c.measure, c.detail)
    query = sa.select(*keys, sa.func.sum(c.amount).label("amount"), sa.func.count().label("rows"))
    query = query.where(c.app == app, c.hour >= first_hour, c.hour <= last_hour).group_by(*keys)
    if campaign_id is not None:
        query = query.where(c.campaign_id == campaign_id)
    with room.db.read() as conn:
        found = conn.execute(query).all()
    if sum(row.rows for row in found) - len(found) > ROWS_BEFORE_SUM:
        with room.db.write() as conn:
            key = f"{KIND}:{app}:{int(room.clock.now() // HOUR_SECONDS)}"
            room.jobs.enqueue(conn, KIND, {"app": app}, key=key)
    return list(found)


def sum_up(room: Engage, job: Job) -> None:
    """Make one row of all that count the same thing in the same hour.

    The last full hour is left alone: a transaction of it may still be under way.
    """
    app, now = job.payload["app"], int(room.clock.now() // HOUR_SECONDS) - 1
    keys = _COLUMNS.rpartition(",")[0]
    gone = "DELETE FROM engage_counts WHERE app = ? AND hour < ? AND number <= ?"
    with room.db.write() as conn:
        last = conn.scalar(sa.select(sa.func.max(mt.counts.c.number)))
        sums = f"SELECT {keys}, sum(amount) FROM engage_counts WHERE app = ? AND hour < ?"
        text = f"INSERT INTO engage_counts ({_COLUMNS}) {sums} AND number <= ? GROUP BY {keys}"
        conn.exec_driver_sql(room.db.sql(text), (app, now, last))
        conn.exec_driver_sql(room.db.sql(gone), (app, now, last))
        job.finish(conn)
