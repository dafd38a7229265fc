"""Campaigns: a segment, a message, a time. Kept in versions; what is planned becomes an activity.

Rules: Pinpoint API reference, "Campaign"; an update merges, so `{"IsPaused": true}` alone pauses.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import activities, apps, campaign_rules, content, paging, segments
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.render import options_of
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotFound

SCHEDULED, EXECUTING, COMPLETED = "SCHEDULED", "EXECUTING", "COMPLETED"
PAUSED, DELETED, INVALID = "PAUSED", "DELETED", "INVALID"
DEFAULTS = {"Hook": "CampaignHook", "Limits": "Limits"}  # campaign's part: application's part


def create_campaign(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Create a campaign and its first activity; the application's default hook and limits are
    taken now.
    """
    now, campaign_id = room.clock.now(), ids.hex32()
    wanted = dict(request["WriteCampaignRequest"])
    tags = wanted.pop("tags", None) or {}
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        body = _with_defaults(_filled(wanted), app)
        campaign_rules.check(body)
        campaign_rules.check_not_past(body["Schedule"], now)
        body = _pinned(conn, app, body)
        content.check(conn, app, body, options_of(room.settings))
        row = {
            "id": campaign_id, "application_id": app.id, "version": 1, "state": _state(body),
            "segment_id": body["SegmentId"], "tags": tags, "created": now,
        }  # fmt: skip
        conn.execute(sa.insert(t.campaigns).values(row))
        _add_version(conn, campaign_id, 1, body, now)
        start = campaign_rules.starts_at(body["Schedule"])
        activities.plan(room, conn, app.id, campaign_id, 1, now if start is None else start)
    return {"CampaignResponse": _show(app, {**row, "body": body, "modified": now})}


def get_campaign(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        return {"CampaignResponse": _show(app, find(conn, app, request["CampaignId"]))}


def get_campaigns(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    size, last = paging.size_of(request), paging.after(request, [0.0, ""])
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        query = _rows(app).where(
            t.campaign_versions.c.version == t.campaigns.c.version,
            t.campaigns.c.state != DELETED,
            sa.tuple_(t.campaigns.c.created, t.campaigns.c.id) > sa.tuple_(*last),
        )
        ordered = query.order_by(t.campaigns.c.created, t.campaigns.c.id).limit(size + 1)
        rows = conn.execute(ordered).mappings().all()
    answer = paging.page(rows, size, lambda r: _show(app, r), lambda r: [r["created"], r["id"]])
    return {"CampaignsResponse": answer}


def update_campaign(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Lay the given parts over the campaign as its next version; a new Schedule plans a new
    activity.
    """
    now = room.clock.now()
    wanted = _filled(request["WriteCampaignRequest"])
    wanted.pop("tags", None)
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = find(conn, app, request["CampaignId"])
        if held["state"] == DELETED:
            raise NotFound(f"Campaign {held['id']} was deleted")
        body = _merged(held["body"], wanted)
        campaign_rules.check(body)
        body = _pinned(conn, app, body)
        content.check(conn, app, body, options_of(room.settings))
        version = held["version"] + 1
        state = _replan(room, conn, app, held, body, wanted, version, now)
        mine = t.campaigns.c.id == held["id"]
        values = {"version": version, "state": state, "segment_id": body["SegmentId"]}
        conn.execute(sa.update(t.campaigns).where(mine).values(values))
        _add_version(conn, held["id"], version, body, now)
    return {"CampaignResponse": _show(app, {**held, **values, "body": body, "modified": now})}


def delete_campaign(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a campaign; a running activity ends at its next batch. The ledger stays."""
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = find(conn, app, request["CampaignId"])
        mine = t.campaigns.c.id == held["id"]
        conn.execute(sa.update(t.campaigns).where(mine).values(state=DELETED))
        activities.cancel(room, conn, held["id"])
    return {"CampaignResponse": _show(app, {**held, "state": DELETED})}


def get_campaign_version(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    version = request["Version"]
    if not str(version).isdigit():
        raise Invalid(f"version is {version!r}; it has to be a whole number")
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        found = find(conn, app, request["CampaignId"], int(version))
    return {"CampaignResponse": _show(app, found)}


def get_campaign_versions(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    size, last = paging.size_of(request), paging.after(request, [0])
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        find(conn, app, request["CampaignId"])
        query = _rows(app).where(
            t.campaigns.c.id == request["CampaignId"], t.campaign_versions.c.version > last[0]
        )
        ordered = query.order_by(t.campaign_versions.c.version).limit(size + 1)
        rows = conn.execute(ordered).mappings().all()
    answer = paging.page(rows, size, lambda r: _show(app, r), lambda r: [r["version"]])
    return {"CampaignsResponse": answer}


def find(
    conn: Connection, app: App, campaign_id: str, version: int | None = None
) -> dict[str, Any]:
    """A campaign in its latest or a given version; NotFound otherwise."""
    wanted = t.campaigns.c.version if version is None else version
    query = _rows(app).where(
        t.campaigns.c.id == campaign_id, t.campaign_versions.c.version == wanted
    )
    row = conn.execute(query).mappings().first()
    if row is None:
        which = f"campaign {campaign_id}" + (f" version {version}" if version is not None else "")
        raise NotFound(f"There is no {which} in application {app.id}")
    return dict(row)


def of_activity(conn: Connection, activity: dict[str, Any]) -> tuple[App, dict[str, Any]]:
    """Application and campaign of an activity, the campaign in the version that it runs."""
    app = apps.by_id(conn, activity["application_id"])
    return app, find(conn, app, activity["campaign_id"], activity["campaign_version"])


def _rows(app: App) -> sa.Select[Any]:
    c, v = t.campaigns.c, t.campaign_versions.c
    columns = (c.id, c.application_id, c.state, c.segment_id, c.tags, c.created)
    return (
        sa.select(*columns, v.version, v.body, v.modified)
        .join_from(t.campaigns, t.campaign_versions, c.id == v.campaign_id)
        .where(c.application_id == app.id)
    )


def _filled(wanted: dict[str, Any]) -> dict[str, Any]:
    """Without the parts that say nothing: clients send `Hook: {}` for "no hook of its own"."""
    return {part: value for part, value in wanted.items() if value is not None and value != {}}


def _with_defaults(body: dict[str, Any], app: App) -> dict[str, Any]:
    defaults = {part: app.settings.get(name) for part, name in DEFAULTS.items()}
    return {**{part: value for part, value in defaults.items() if value}, **body}


def _merged(held: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    if "SegmentId" in wanted and "SegmentVersion" not in wanted:
        held = {part: value for part, value in held.items() if part != "SegmentVersion"}
    return {**held, **wanted}


def _pinned(conn: Connection, app: App, body: dict[str, Any]) -> dict[str, Any]:
    """With the segment's version written in, which the campaign keeps."""
    found = segments.find(conn, app, body["SegmentId"], body.get("SegmentVersion"))
    return {**body, "SegmentVersion": found["version"]}


def _state(body: dict[str, Any]) -> str:
    return PAUSED if body.get("IsPaused") else SCHEDULED


def _replan(
    room: Engage, conn: Connection, app: App, held: dict[str, Any], body: dict[str, Any],
    wanted: dict[str, Any], version: int, now: float,
) -> str:  # fmt: skip
    """Bring the plan in line with an update; the state the campaign is in afterwards."""
    activity = activities.waiting(conn, held["id"])
    start = campaign_rules.starts_at(body["Schedule"])
    if "Schedule" in wanted:
        campaign_rules.check_not_past(body["Schedule"], now)
        if held["state"] == EXECUTING:
            raise Invalid(f"Campaign {held['id']} is running; its Schedule cannot change now")
    if activity is not None:
        due = now if start is None else start
        activities.plan_again(room, conn, activity, version, due)
        return _state(body)
    if "Schedule" in wanted:
        activities.plan(room, conn, app.id, held["id"], version, now if start is None else start)
        return _state(body)
    return str(held["state"])


def _add_version(
    conn: Connection, campaign_id: str, version: int, body: dict[str, Any], now: float
) -> None:
    row = {"campaign_id": campaign_id, "version": version, "body": body, "modified": now}
    conn.execute(sa.insert(t.campaign_versions).values(row))


def _show(app: App, row: Any) -> dict[str, Any]:
    return {
        "IsPaused": False,
        "HoldoutPercent": 0,
        **row["body"],
        "Id": row["id"],
        "ApplicationId": app.id,
        "Arn": apps.arn(app, f"campaigns/{row['id']}"),
        "Version": row["version"],
        "State": {"CampaignStatus": row["state"]},
        "CreationDate": iso(row["created"]),
        "LastModifiedDate": iso(row["modified"]),
        "tags": row["tags"],
    }
