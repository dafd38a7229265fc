"""One campaign: its runs, what came of its messages, and its lift when an event is named."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tailorbird.console import rooms
from tailorbird.engage import counts, ledger, lift
from tailorbird.engage import measure_tables as mt
from tailorbird.errors import Invalid, NotFound

RUNS_SHOWN = 20
REASONS_SHOWN = 12
SHOWN = (
    (counts.SENT, "sent"), (counts.DELIVERED, "delivered"), (counts.UNIQUE_OPEN, "opened"),
    (counts.UNIQUE_CLICK, "clicked in"), (counts.CLICK, "clicks"),
    (counts.HARD_BOUNCE, "bounced for good"), (counts.SOFT_BOUNCE, "bounced for now"),
    (counts.COMPLAINT, "complaints"), ("unsubscribe", "unsubscribed"),
    (counts.FAILED, "could not be sent"),
)  # fmt: skip


def campaign(house: Any, campaign_id: str, event: str) -> dict[str, Any]:
    """What the page of a campaign shows; NotFound when there is none."""
    with house.db.read() as conn:
        runs = rooms.runs_of(conn, campaign_id, RUNS_SHOWN)
        c = mt.counts.c
        query = sa.select(c.measure, sa.func.sum(c.amount)).where(c.campaign_id == campaign_id)
        sums = {row[0]: row[1] for row in conn.execute(query.group_by(c.measure))}
    if not runs:
        raise NotFound(f"No run of a campaign {campaign_id} is known")
    for run in runs:
        run["reasons"] = ledger.reasons(house.engage, run["id"], REASONS_SHOWN)
    return {
        "id": campaign_id,
        "name": runs[0]["name"],
        "runs": runs,
        "came_of_it": [(words, sums[name]) for name, words in SHOWN if sums.get(name)],
        "event": event,
        **_lift(house, campaign_id, event),
    }


def _lift(house: Any, campaign_id: str, event: str) -> dict[str, Any]:
    if not event:
        return {"lift": None, "trouble": ""}
    try:
        return {"lift": lift.lift(house.engage, campaign_id, event), "trouble": ""}
    except Invalid as wrong:
        return {"lift": None, "trouble": wrong.message}


def percent(rate: float) -> str:
    """0.0512 -> 5.1%."""
    return f"{rate * 100:.1f}%"
