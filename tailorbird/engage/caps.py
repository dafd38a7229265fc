"""Caps: how many messages an endpoint gets of a campaign in all, and of an application in a day.

They are looked at when the audience is frozen, and again before each stretch of batches is sent:
other campaigns run at the same time. Source: Pinpoint API reference, "CampaignLimits".
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import ledger, settlement
from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage

DAY_SECONDS = 86_400.0
TRIED = (ledger.SENT, *settlement.FAILURES)


def capped(
    room: Engage, conn: Connection, activity: dict[str, Any], limits: dict[str, Any],
    only: list[int] | None = None,
) -> dict[int, str]:  # fmt: skip
    """Endpoints that had their messages: of the campaign in all, of the application in 24 hours.

    Total counts those that were tried, Daily those that were sent.
    """
    a, c = t.activities.c, t.ledger.c
    since = room.clock.now() - DAY_SECONDS
    among = () if only is None else (c.endpoint.in_(only),)
    tried = (a.campaign_id == activity["campaign_id"], c.state.in_(TRIED))
    sent = (
        a.application_id == activity["application_id"], c.moment > since, c.state == ledger.SENT,
    )  # fmt: skip
    scopes = (("Total", "in this campaign", tried), ("Daily", "in 24 hours", sent))
    found: dict[int, str] = {}
    for name, words, scope in scopes:
        limit = limits.get(name)
        if not limit:
            continue
        query = (
            sa.select(c.endpoint, sa.func.count())
            .join_from(t.ledger, t.activities, a.number == c.activity)
            .where(a.number != activity["number"], *scope, *among)
            .group_by(c.endpoint)
            .having(sa.func.count() >= limit)
        )
        for endpoint, had in conn.execute(query):
            found[endpoint] = f"Limits.{name} is {limit}; it had {had} {words}"
    return found
