"""Failed batches again: once the hook's function (or the recommender) is mended, those it failed
get their message.

A row of the ledger keeps its place: it gets its new end, and what it was before stays in it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.clock import iso
from tailorbird.engage import (
    activities,
    batches,
    ledger,
    members,
    message_events,
    settlement,
    stretch,
)
from tailorbird.engage import tables as t
from tailorbird.engage.batches import Outcome
from tailorbird.engage.ledger import Entry
from tailorbird.engage.room import Engage
from tailorbird.errors import NotFound
from tailorbird.store import Job

REPLAY = "engage.replay"
QUEUE = "engage"
AGAIN = (ledger.HOOK_FAILED, ledger.RECOMMENDATION_FAILED)
BATCH = -1  # of the attempt log: not one of the run's own


def start(room: Engage, campaign_id: str) -> list[dict[str, Any]]:
    """Plan the failed batches of each run of a campaign that is over; what was planned."""
    a, planned = t.activities.c, []
    with room.db.write() as conn:
        query = sa.select(t.activities).where(a.campaign_id == campaign_id)
        rows = conn.execute(query.order_by(a.number)).mappings().all()
        if not rows:
            raise NotFound(f"There is no activity of a campaign {campaign_id}")
        for row in rows:
            if row["state"] != activities.COMPLETED:
                continue
            count, latest = _failed(conn, row["number"])
            if not count:
                continue
            key = f"{REPLAY}:{row['number']}:{count}:{latest}"  # asked twice, done once
            payload = {"activity": row["number"]}
            job = room.jobs.enqueue(conn, REPLAY, payload, queue=QUEUE, key=key)
            planned.append({"activity": row["id"], "endpoints": count, "job": job})
    return planned


def work(room: Engage, job: Job) -> None:
    """Settle the endpoints of failed batches, a batch at a time."""
    number, cursor, done = job.payload["activity"], 0, 0
    while True:
        with room.db.read() as conn:
            activity = activities.read(conn, number)
            if activity is None:
                return
            failed = _endpoints(conn, number, cursor, activity["batch_size"])
            if not failed:
                break
            prepared = stretch.run_of(room, conn, activity, 0)
            run = replace(prepared, until=None, began=room.clock.now())
            found = members.by_number(room, conn, failed)
        outcome = batches.settle(room, run, BATCH, found)
        _commit(room, number, outcome)
        cursor, done = failed[-1], done + len(failed)
        job.progress(done, None, "endpoints")
    with room.db.write() as conn:
        settlement.recount(conn, number)
        job.finish(conn, {"endpoints": done})


def _failed(conn: Connection, number: int) -> tuple[int, float]:
    c = t.ledger.c
    query = sa.select(sa.func.count(), sa.func.max(c.moment)).where(
        c.activity == number, c.state.in_(AGAIN)
    )
    row = conn.execute(query).one()
    return int(row[0]), float(row[1] or 0.0)


def _endpoints(conn: Connection, number: int, after: int, count: int) -> list[int]:
    c = t.ledger.c
    query = sa.select(c.endpoint).where(
        c.activity == number, c.state.in_(AGAIN), c.endpoint > after
    )
    return list(conn.execute(query.order_by(c.endpoint).limit(count)).scalars())


def _commit(room: Engage, number: int, outcome: Outcome) -> None:
    """Give the rows their new ends; one that has another end by now is left."""
    now, c = room.clock.now(), t.ledger.c
    put_off = [
        Entry(one.endpoint, one.endpoint_id, ledger.CHANNEL_FAILED, one.reason)
        for one in outcome.waiting
    ]
    with room.db.write() as conn:
        sent, applied = 0, list[Entry]()
        for entry in [*outcome.entries, *put_off]:
            mine = (
                c.activity == number, c.endpoint == entry.endpoint, c.state.in_(AGAIN),
            )  # fmt: skip
            columns = (c.state, c.reason, c.moment, c.before)
            old = conn.execute(sa.select(*columns).where(*mine)).first()
            if old is None:
                continue
            before = old.before or f"{old.state} at {iso(old.moment)}: {old.reason}"
            values = {
                "state": entry.state, "reason": entry.reason, "before": before, "moment": now,
            }  # fmt: skip
            conn.execute(sa.update(t.ledger).where(*mine).values(values))
            sent += entry.state == ledger.SENT
            applied.append(entry)
        lines = [
            {"activity": number, "batch": BATCH, **attempt._asdict()}
            for attempt in outcome.attempts
        ]
        if lines:
            conn.execute(sa.insert(t.hook_attempts), lines)
        activity = activities.read(conn, number)
        if activity is not None:
            message_events.note(room, conn, activity, applied, now)
        settlement.count(room, conn, number, 0, sent)
