"""In-app campaigns: nothing is sent; an application asks for what it may show, and shows it itself.

The application applies the event filter and the caps (it alone knows its sessions). Source: service
model, "InAppMessageCampaign"; Pinpoint user guide, "In-app messages".
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import (
    apps,
    audience,
    campaigns,
    endpoints,
    schedules,
    treatments,
)
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.in_app_rules import message_of
from tailorbird.engage.room import Engage
from tailorbird.errors import NotFound

LAST = 2**31  # the place of campaigns without a Priority
CAPS = {"Session": "SessionCap", "Daily": "DailyCap", "Total": "TotalCap"}

Campaign = dict[str, Any]


def get_in_app_messages(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The in-app campaigns an endpoint is in now, in the order of their Priority."""
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        endpoint = endpoints.find(room, conn, app, request["EndpointId"])
        if endpoint is None:
            raise NotFound(f"There is no endpoint {request['EndpointId']} in application {app.id}")
        number = endpoints.number_of(room, conn, app, endpoint)
        may = endpoint.opt_out != "ALL" and endpoint.status != "INACTIVE"
        live = _live(room, conn, app) if may else []
        shown = [_for_endpoint(room, conn, app, campaign, number) for campaign in live]
    found = sorted(filter(None, shown), key=lambda one: one.get("Priority", LAST))
    return {"InAppMessagesResponse": {"InAppMessageCampaigns": found}}


def _for_endpoint(
    room: Engage, conn: Connection, app: App, campaign: Campaign, endpoint: int
) -> dict[str, Any] | None:
    """What a campaign has for an endpoint; None when it is not in the segment, or held out."""
    rows = audience.belonging(room, conn, app, campaign, [endpoint])
    treatment = treatments.assigned(campaign["body"], rows[0].cohort) if rows else None
    if treatment is None:
        return None
    body = treatments.body_of(campaign["body"], treatment)
    limits, schedule = body.get("Limits") or {}, body["Schedule"]
    end = schedules.ends_at(schedule)
    when = {
        "EndDate": None if end is None else iso(end),
        "EventFilter": schedule.get("EventFilter"),
        "QuietTime": schedule.get("QuietTime"),
    }
    shown: dict[str, Any] = {
        "CampaignId": campaign["id"],
        "TreatmentId": treatment,
        "InAppMessage": message_of(conn, app, body),
        "Schedule": {name: value for name, value in when.items() if value},
        **{cap: limits[name] for name, cap in CAPS.items() if limits.get(name)},
    }
    return shown if body.get("Priority") is None else {**shown, "Priority": body["Priority"]}


def _live(room: Engage, conn: Connection, app: App) -> list[Campaign]:
    """The in-app campaigns that run now."""
    c, v, now = t.campaigns.c, t.campaign_versions.c, room.clock.now()
    query = (
        sa.select(c.id, c.application_id, v.version, v.body)
        .join_from(t.campaigns, t.campaign_versions, c.id == v.campaign_id)
        .where(
            c.application_id == app.id, c.frequency == schedules.IN_APP_EVENT,
            v.version == c.version, c.state.in_((campaigns.SCHEDULED, campaigns.EXECUTING)),
        )
        .order_by(c.created, c.id)
    )  # fmt: skip
    rows = [dict(row) for row in conn.execute(query).mappings()]
    return [row for row in rows if _is_open(row["body"]["Schedule"], now)]


def _is_open(schedule: dict[str, Any], now: float) -> bool:
    start, end = schedules.starts_at(schedule), schedules.ends_at(schedule)
    return (start is None or start <= now) and (end is None or now <= end)
