"""Pace: messages per second of a campaign, shared by all workers through one row."""

from __future__ import annotations

import time

import sqlalchemy as sa

from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage


def reserve(room: Engage, activity: int, messages: int, per_second: float, now: float) -> float:
    """Book `messages` places in the stream of an activity; the seconds to wait for the first."""
    c = t.activities.c
    free = sa.case((c.paced_until > now, c.paced_until), else_=now)
    booked = (
        sa.update(t.activities)
        .where(c.number == activity)
        .values(paced_until=free + messages / per_second)
        .returning(c.paced_until)
    )
    with room.db.write() as conn:
        until = conn.execute(booked).scalar()
    return max(0.0, (until or now) - messages / per_second - now)


def keep(room: Engage, activity: int, messages: int, per_second: int | None) -> None:
    """Wait until this many messages may leave; nothing to wait for without a limit."""
    if per_second and messages:
        time.sleep(reserve(room, activity, messages, per_second, room.clock.now()))
