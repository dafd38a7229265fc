"""Pace: messages per second of a campaign, shared by all workers through one row.

A batch books its places in the stream before it begins; a long wait is spent in the job table, not
in a worker's thread.
"""

from __future__ import annotations

import time

import sqlalchemy as sa

from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage
from tailorbird.store.jobs import Later

MAX_WAIT_SECONDS = 2.0


def keep(room: Engage, activity: int, messages: int, per_second: int | None) -> None:
    """Wait until this many messages may leave; Later when that is a long time away."""
    if not per_second:
        return
    seconds = book(room, activity, messages, per_second, room.clock.now())
    if seconds > MAX_WAIT_SECONDS:
        raise Later(seconds)
    time.sleep(seconds)


def book(room: Engage, activity: int, messages: int, per_second: int, now: float) -> float:
    """The seconds to wait for the first of some places; they are booked unless that is long."""
    c = t.activities.c
    free = sa.case((c.paced_until > now, c.paced_until), else_=now)
    booked = (
        sa.update(t.activities)
        .where(c.number == activity, c.paced_until <= now + MAX_WAIT_SECONDS)
        .values(paced_until=free + messages / per_second)
        .returning(c.paced_until)
    )
    with room.db.write() as conn:
        until = conn.execute(booked).scalar()
        if until is not None:
            return max(0.0, until - messages / per_second - now)
        taken = conn.execute(sa.select(c.paced_until).where(c.number == activity)).scalar()
    return max(0.0, (taken or now) - now)
