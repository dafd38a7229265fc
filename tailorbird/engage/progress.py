"""How far the runs of a campaign are, and each attempt they made at its hook."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tailorbird.clock import iso
from tailorbird.engage import hook_away, ledger
from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotFound

MOST_ATTEMPTS = 10_000


def runs(room: Engage, campaign_id: str) -> list[dict[str, Any]]:
    """The runs of a campaign, the latest first; `hook_away` while one waits for its hook."""
    c = t.activities.c
    query = sa.select(t.activities).where(c.campaign_id == campaign_id).order_by(c.number.desc())
    with room.db.read() as conn:
        rows = conn.execute(query).mappings().all()
    if not rows:
        raise NotFound(f"There is no activity of a campaign {campaign_id}")
    return [
        {
            "activity": row["id"], "treatment": row["treatment_id"], "state": row["state"],
            "result": row["result"], "scheduled": iso(row["scheduled"]),
            "endpoints": row["total"], "members": row["members"], "settled": row["settled"],
            "sent": row["sent"], "reason": row["reason"], "hook_away": hook_away.show(row),
        }
        for row in rows
    ]  # fmt: skip


def attempts(room: Engage, campaign_id: str, limit: int) -> list[dict[str, Any]]:
    """The latest attempts at the hook (and the recommendation transformer) in any of its runs."""
    if not 1 <= limit <= MOST_ATTEMPTS:
        raise Invalid(f"limit is {limit}; 1 to {MOST_ATTEMPTS} attempts are right")
    found: list[dict[str, Any]] = []
    for activity in ledger.activities_of(room, campaign_id):
        mine = ledger.attempts(room, activity, limit - len(found))
        found += [{"activity": activity, **line} for line in mine]
        if len(found) >= limit:
            break
    return found
