"""A hook that is away: nobody is there who could answer, so nobody has answered wrongly.

Its batches are set aside and tried again with three attempts each time: one batch of the run asks,
the others wait, until the hook answers or `engage_hook_away_seconds` are over. Then they fail.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from random import uniform
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.clock import iso
from tailorbird.engage import tables as t
from tailorbird.engage.hooks import Attempt
from tailorbird.engage.room import Engage
from tailorbird.store.jobs import Later

FIRST_WAIT_SECONDS = 1.0  # doubles with each try
MOST_WAIT_SECONDS = 30.0
ASKING_SECONDS = 60.0  # who asks and dies is waited for as long
LOOK_SECONDS = 2.0  # while somebody asks
STEADY = {
    "hook_away_since": None, "hook_away_reason": None, "hook_asked": None, "hook_ask_due": None,
}  # fmt: skip

log = logging.getLogger("tailorbird.engage")

Activity = dict[str, Any]


class SetAside(Exception):
    """Nothing was done with this batch: its hook is away."""

    def __init__(self, batch: int, attempts: Sequence[Attempt]) -> None:
        super().__init__(f"batch {batch}: {attempts[-1].detail}")
        self.batch = batch
        self.attempts = attempts


def is_waited_for(
    activity: Activity, patience_seconds: float, until: float | None, now: float
) -> bool:
    """May a batch of this run wait for its hook?"""
    return now < _end(activity.get("hook_away_since") or now, patience_seconds, until)


def has_to_ask(
    room: Engage,
    activity: Activity,
    patience_seconds: float,
    until: float | None,
    *,
    spread: Callable[[float, float], float] = uniform,
) -> bool:
    """Is it on this stretch to ask, with one batch, whether the hook is back?

    False when the hook is not away, or was for too long. Later when it is not its turn.
    """
    now, since = room.clock.now(), activity["hook_away_since"]
    if since is None or not is_waited_for(activity, patience_seconds, until, now):
        return False
    c = t.activities.c
    turn = sa.update(t.activities).where(
        c.number == activity["number"], c.hook_away_since.is_not(None), c.hook_ask_due <= now
    )
    with room.db.write() as conn:
        if conn.execute(turn.values(hook_ask_due=now + ASKING_SECONDS)).rowcount == 1:
            return True
    left = activity["hook_ask_due"] - now
    if left <= 0.0 or left > MOST_WAIT_SECONDS:  # somebody asks just now
        left = LOOK_SECONDS
    left = min(left, _end(since, patience_seconds, until) - now)
    raise Later(left + spread(0.0, FIRST_WAIT_SECONDS))


def note(
    room: Engage,
    conn: Connection,
    number: int,
    aside: Sequence[SetAside],
    *,
    spread: Callable[[float, float], float] = uniform,
) -> float:
    """Write down that the hook is away; how many seconds to wait before it is asked again."""
    c, now = t.activities.c, room.clock.now()
    first = min(one.attempts[0].started for one in aside)
    asked = sa.func.coalesce(c.hook_asked, 0) + 1
    noted = sa.update(t.activities).where(c.number == number)
    values = {
        "hook_away_since": sa.func.coalesce(c.hook_away_since, first),
        "hook_away_reason": str(aside[-1].attempts[-1].detail),
        "hook_asked": asked,
    }
    count = conn.execute(noted.values(values).returning(c.hook_asked)).scalar() or 1
    if count == 1:
        log.warning("the hook of activity %d is away: %s", number, values["hook_away_reason"])
    most = min(MOST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(count - 1, 10))
    wait = spread(most / 2, most)
    conn.execute(noted.values(hook_ask_due=now + wait))
    return wait


def over(conn: Connection, number: int) -> None:
    """The hook has answered: what waits goes on."""
    c = t.activities.c
    away = (c.number == number, c.hook_away_since.is_not(None))
    conn.execute(sa.update(t.activities).where(*away).values(STEADY))


def ask_again(conn: Connection, number: int) -> None:
    """Who had to ask came to no answer: the next one asks at once."""
    c = t.activities.c
    away = (c.number == number, c.hook_away_since.is_not(None))
    conn.execute(sa.update(t.activities).where(*away).values(hook_ask_due=0.0))


def of_campaign(conn: Connection, campaign_id: str) -> dict[str, Any] | None:
    """`{since, reason, asked}` while a run of the campaign waits for its hook."""
    c = t.activities.c
    query = sa.select(t.activities).where(c.campaign_id == campaign_id, c.state == "RUNNING")
    rows = conn.execute(query.order_by(c.number.desc())).mappings()
    return next((shown for row in rows if (shown := show(row))), None)


def show(activity: Any) -> dict[str, Any] | None:
    """Since when the hook of a run is away, why, and how often it was asked since."""
    if activity["hook_away_since"] is None or activity["ended"] is not None:
        return None
    return {
        "since": iso(activity["hook_away_since"]),
        "reason": activity["hook_away_reason"],
        "asked": activity["hook_asked"],
    }


def words(activity: Activity) -> str:
    """What the reason of a failed batch says besides, when the hook was waited for in vain."""
    since = activity.get("hook_away_since")
    return f"; it is away since {iso(since)}" if since else ""


def _end(since: float, patience_seconds: float, until: float | None) -> float:
    """Until when it is waited for: no longer than the messages may be late."""
    end = since + patience_seconds
    return end if until is None else min(end, until)
