"""Measured lift: did those a campaign meant to reach do more of something than those held out?

Everybody in the segment counts, by the cohort they fell into and not by what reached them: the
holdout has people in it who could not have been sent to either, and leaving these out on one side
only would be no fair comparison. Intervals of 95%: Wilson's for a rate, Newcombe's for the
difference of two (Statistics in Medicine 17, 1998, method 10).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.clock import iso
from tailorbird.engage import activities, apps, ledger
from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotFound

Z = 1.959963984540054  # 95%
DEFAULT_WINDOW_SECONDS = 7 * 86_400.0
LEAST_ENDPOINTS = 30  # in each group, and
SKEW_SECONDS = 60.0  # a client's clock may be ahead by this
PORTION_KEYS = 5_000
LEAST_CONVERSIONS = 5  # in both together: below, nothing is claimed


class Group(NamedTuple):
    """Endpoints of one treatment, or of the holdout, and how many of them did it."""

    endpoints: int
    converted: int
    sent: int

    @property
    def rate(self) -> float:
        return self.converted / self.endpoints if self.endpoints else 0.0


def wilson(converted: int, endpoints: int) -> tuple[float, float]:
    """The interval of a rate."""
    if not endpoints:
        return 0.0, 1.0
    rate, square = converted / endpoints, Z * Z
    middle = rate + square / (2 * endpoints)
    spread = Z * math.sqrt(rate * (1 - rate) / endpoints + square / (4 * endpoints**2))
    whole = 1 + square / endpoints
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def newcombe(one: Group, other: Group) -> tuple[float, float]:
    """The interval of the difference of two rates."""
    low1, high1 = wilson(one.converted, one.endpoints)
    low2, high2 = wilson(other.converted, other.endpoints)
    difference = one.rate - other.rate
    down = math.hypot(one.rate - low1, high2 - other.rate)
    up = math.hypot(high1 - one.rate, other.rate - low2)
    return difference - down, difference + up


def lift(
    room: Engage, campaign_id: str, event: str, window_seconds: float = DEFAULT_WINDOW_SECONDS
) -> dict[str, Any]:
    """What a campaign's treatments made of an event within a time of each run's start; NotFound
    for an unknown campaign, Invalid for one without a holdout.
    """
    if not event:
        raise Invalid("event is empty; the name of an app event, such as purchase, is right")
    if not window_seconds > 0:
        raise Invalid(f"window is {window_seconds:g} seconds; it has to be more than 0")
    with room.db.read() as conn:
        runs = _runs(room, conn, campaign_id)
        groups = _groups(room, conn, runs, event, window_seconds)
    held = groups.pop(None, Group(0, 0, 0))
    if not held.endpoints:
        raise Invalid(
            f"Nobody was held out of campaign {campaign_id}: without HoldoutPercent there is"
            " nothing to compare with"
        )
    over = min(run["started"] for run in runs) + window_seconds
    return {
        "campaign": campaign_id,
        "event": event,
        "window_seconds": window_seconds,
        "runs": len(runs),
        "window_is_over": room.clock.now() >= max(run["started"] for run in runs) + window_seconds,
        "first_window_ends": iso(over),
        "holdout": _shown(held),
        "treatments": [
            {"treatment": name, **_shown(group), **_compared(group, held)}
            for name, group in sorted(groups.items(), key=lambda pair: str(pair[0]))
        ],
    }


def _runs(room: Engage, conn: Connection, campaign_id: str) -> list[dict[str, Any]]:
    a = t.activities.c
    query = sa.select(t.activities).where(a.campaign_id == campaign_id, a.started.is_not(None))
    runs = [dict(row) for row in conn.execute(query).mappings()]
    if not runs:
        if conn.scalar(sa.select(t.campaigns.c.id).where(t.campaigns.c.id == campaign_id)) is None:
            raise NotFound(f"There is no campaign {campaign_id}")
        raise Invalid(f"Campaign {campaign_id} has not run yet")
    open_runs = [run for run in runs if run["state"] in activities.OPEN]
    return [run for run in runs if run not in open_runs] or runs


def _groups(
    room: Engage, conn: Connection, runs: list[dict[str, Any]], event: str, window: float
) -> dict[str | None, Group]:
    """By treatment, and None for the holdout: each endpoint once for each run it was in."""
    found: dict[str | None, list[int]] = {}
    app = apps.by_id(conn, runs[0]["application_id"])
    text = room.db.sql(
        "SELECT l.endpoint_id, l.state, e.user_id FROM engage_ledger l"
        " LEFT JOIN engage_endpoints e ON e.number = l.endpoint WHERE l.activity = ?"
    )
    for run in runs:
        keys, people = _converted(room, conn, app.number, event, run["started"], window)
        for endpoint_id, state, user_id in conn.exec_driver_sql(text, (run["number"],)):
            name = None if state == ledger.HELD_OUT else run["treatment_id"]
            sums = found.setdefault(name, [0, 0, 0])
            sums[0] += 1
            sums[1] += endpoint_id.casefold() in keys or (user_id is not None and user_id in people)
            sums[2] += state == ledger.SENT
    return {name: Group(*sums) for name, sums in found.items()}


def _converted(
    room: Engage, conn: Connection, app: int, event: str, start: float, window: float
) -> tuple[set[str], set[str]]:
    """Endpoints (by key) that did it, and their people, who may have others."""
    text = room.db.sql(
        "SELECT DISTINCT endpoint_id FROM engage_events WHERE app = ? AND type = ?"
        " AND moment > ? AND moment <= ? AND arrived > ?"
    )
    values = (app, event, start, start + window, start - SKEW_SECONDS)
    keys = {row[0].casefold() for row in conn.exec_driver_sql(text, values)}
    people: set[str] = set()
    listed = sorted(keys)
    for at in range(0, len(listed), PORTION_KEYS):
        portion = listed[at : at + PORTION_KEYS]
        marks = ",".join("?" for _ in portion)
        asked = room.db.sql(
            "SELECT DISTINCT user_id FROM engage_endpoints WHERE app = ?"
            f" AND user_id IS NOT NULL AND key IN ({marks})"
        )
        people |= {row[0] for row in conn.exec_driver_sql(asked, (app, *portion))}
    return keys, people


def _shown(group: Group) -> dict[str, Any]:
    low, high = wilson(group.converted, group.endpoints)
    return {
        "endpoints": group.endpoints, "sent": group.sent, "converted": group.converted,
        "rate": group.rate, "rate_low": low, "rate_high": high,
    }  # fmt: skip


def _compared(group: Group, held: Group) -> dict[str, Any]:
    low, high = newcombe(group, held)
    difference = group.rate - held.rate
    reached = group.sent / group.endpoints if group.endpoints else 0.0
    return {
        "difference": difference,
        "low": low,
        "high": high,
        "relative": difference / held.rate if held.rate else None,
        "per_sent": difference / reached if reached else None,  # as if only those sent to could
        "more_conversions": difference * group.endpoints,
        "verdict": _verdict(group, held, low, high),
    }


def _verdict(group: Group, held: Group, low: float, high: float) -> str:
    few = min(group.endpoints, held.endpoints)
    if few < LEAST_ENDPOINTS or group.converted + held.converted < LEAST_CONVERSIONS:
        return (
            f"not enough data: {LEAST_ENDPOINTS} endpoints in each group and {LEAST_CONVERSIONS}"
            " conversions are the least"
        )
    if low > 0:
        return "more than without the campaign"
    if high < 0:
        return "less than without the campaign"
    return "no difference that this many people could show"
