"""Settings of an application: what campaigns created afterwards start from.

Source: Pinpoint user guide, "Managing project settings": a change does not reach campaigns that
exist.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import apps, campaign_rules, schedules
from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage

KEPT = ("CampaignHook", "Limits", "QuietTime", "JourneyLimits")


def get_application_settings(
    room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        modified = conn.execute(
            sa.select(t.apps.c.settings_modified).where(t.apps.c.number == app.number)
        ).scalar()
    return _answer(app.id, app.settings, modified)


def update_application_settings(
    room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Set the parts given; an empty part takes the setting away."""
    wanted, now = request["WriteApplicationSettingsRequest"], room.clock.now()
    campaign_rules.check_hook(wanted.get("CampaignHook"))
    campaign_rules.check_limits(wanted.get("Limits"))
    schedules.quiet_minutes(wanted.get("QuietTime"))
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        given = {part: wanted[part] for part in KEPT if wanted.get(part) is not None}
        settings = {part: v for part, v in {**app.settings, **given}.items() if v}
        values = {"settings": settings, "settings_modified": now}
        conn.execute(sa.update(t.apps).where(t.apps.c.number == app.number).values(values))
    return _answer(app.id, settings, now)


def _answer(app_id: str, settings: dict[str, Any], modified: float | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"ApplicationId": app_id, **settings}
    if modified is not None:
        shown["LastModifiedDate"] = iso(modified)
    return {"ApplicationSettingsResource": shown}
