"""The end of a run: counters, the rest that got no batch, and the activity's result."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import activities, apps, campaigns, ledger, schedules
from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage
from tailorbird.store import fetch

EVERY_MEMBER = 2**62
FAILURES = (
    ledger.HOOK_FAILED, ledger.RECOMMENDATION_FAILED, ledger.RENDER_FAILED, ledger.CHANNEL_FAILED,
    ledger.RUN_FAILED,
)  # fmt: skip

_COUNT = (
    "UPDATE engage_activities SET settled = settled + ?, sent = sent + ?,"
    " paced_until = paced_until - ? WHERE number = ? RETURNING state, members - settled"
)
_SETTLE_REST = (
    "INSERT INTO engage_ledger (activity, endpoint, endpoint_id, state, reason, moment)"
    " SELECT m.activity, m.endpoint, COALESCE(e.id, ''), ?, ?, ? FROM engage_members m"
    " LEFT JOIN engage_endpoints e ON e.number = m.endpoint"
    " WHERE m.activity = ? AND m.n >= ? AND m.n < ? AND NOT EXISTS"
    " (SELECT 1 FROM engage_ledger l WHERE l.activity = m.activity AND l.endpoint = m.endpoint)"
)


class Counted(NamedTuple):
    """An activity after its counters have grown."""

    state: str
    left: int  # members without a final state


def count(
    room: Engage,
    conn: Connection,
    number: int,
    settled: int,
    sent: int,
    per_second: int | None = None,
) -> Counted | None:
    """Add to the activity's counters; places in the stream that were not used are given back.

    None when there is no such activity any more.
    """
    unused = (settled - sent) / per_second if per_second else 0.0
    found = fetch(conn, room.db.sql(_COUNT), (settled, sent, unused, number))
    return Counted(*found[0]) if found else None


def end_if_settled(room: Engage, conn: Connection, number: int) -> None:
    """When every member has its ledger row, the activity and its campaign are over."""
    activity = activities.read(conn, number)
    if activity is None or activity["settled"] < activity["members"]:
        return
    if activity["state"] not in (activities.RUNNING, activities.CANCELLED):
        return
    values: dict[str, Any] = {
        "metrics": activities.metrics(conn, number, activity["total"]),
        "ended": room.clock.now(),
    }
    if activity["state"] == activities.RUNNING:
        result = _result(conn, number, activity)
        values |= {"state": activities.COMPLETED, "result": result}
    conn.execute(sa.update(t.activities).where(t.activities.c.number == number).values(values))
    if activity["state"] == activities.RUNNING:
        _campaign_after(conn, activity)


def _campaign_after(conn: Connection, activity: dict[str, Any]) -> None:
    """What the end of a run makes of its campaign: over, or waiting for the next run."""
    app = apps.by_id(conn, activity["application_id"])
    campaign = campaigns.find(conn, app, activity["campaign_id"])
    if campaign["state"] != campaigns.EXECUTING or campaign["frequency"] == schedules.EVENT:
        return
    states = {
        state for mine in activities.open_states(conn, campaign["id"]).values() for state in mine
    }
    if states - {activities.PENDING}:
        return
    after = campaigns.COMPLETED
    if states:
        paused = campaign["body"].get("IsPaused")
        after = campaigns.PAUSED if paused else campaigns.PENDING_NEXT_RUN
    owner = t.campaigns.c.id == campaign["id"]
    conn.execute(sa.update(t.campaigns).where(owner).values(state=after))


def recount(conn: Connection, number: int) -> None:
    """Metrics and result of a run some of whose rows have changed."""
    activity = activities.read(conn, number)
    if activity is not None:
        values = {
            "metrics": activities.metrics(conn, number, activity["total"]),
            "result": _result(conn, number, activity),
        }
        conn.execute(sa.update(t.activities).where(t.activities.c.number == number).values(values))


def settle_rest(
    room: Engage,
    conn: Connection,
    number: int,
    span: tuple[int, int] | None,
    state: str,
    reason: str | None,
) -> None:
    """Give every member (of a span of numbers) that has none yet its final state."""
    first, last = span or (0, EVERY_MEMBER)
    values = (state, reason, room.clock.now(), number, first, last)
    settled = conn.exec_driver_sql(room.db.sql(_SETTLE_REST), values).rowcount
    count(room, conn, number, settled, 0)


def _result(conn: Connection, number: int, activity: dict[str, Any]) -> str:
    """FAIL when failures are all there was."""
    counted = ledger.counts(conn, number)
    failed = sum(counted.get(state, 0) for state in FAILURES)
    return activities.FAIL if failed and not activity["sent"] else activities.SUCCESS
