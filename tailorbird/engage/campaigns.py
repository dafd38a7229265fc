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
from tailorbird.engage import (
    activities,
    apps,
    campaign_rules,
    channel_content,
    content,
    delivery,
    event_rules,
    in_app_rules,
    paging,
    planning,
    schedules,
    segments,
    tag_rules,
    treatments,
)
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.render import options_of
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, LimitExceeded, NotFound

SCHEDULED, EXECUTING, COMPLETED = "SCHEDULED", "EXECUTING", "COMPLETED"
PENDING_NEXT_RUN = "PENDING_NEXT_RUN"
PAUSED, DELETED, INVALID = "PAUSED", "DELETED", "INVALID"
ALIVE = (SCHEDULED, EXECUTING, PENDING_NEXT_RUN, PAUSED)
DEFAULTS = {"Hook": "CampaignHook", "Limits": "Limits"}  # campaign's part: application's part


def create_campaign(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Create a campaign and its first activity; the application's default hook and limits are
    taken now.
    """
    now, campaign_id = room.clock.now(), ids.hex32()
    wanted = dict(request["WriteCampaignRequest"])
    tags = tag_rules.checked(wanted.pop("tags", None))
    delivery.prove(room, caller.account, treatments.numbered(wanted))
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        body = treatments.numbered(_with_defaults(_filled(wanted), app))
        campaign_rules.check(body)
        _check_not_past(body, now)
        body = _pinned(conn, app, body)
        _check_content(room, conn, app, body)
        row = {
            "id": campaign_id, "application_id": app.id, "version": 1, "state": _state(body),
            "frequency": schedules.frequency(body["Schedule"]), "segment_id": body["SegmentId"],
            "tags": tags, "created": now,
        }  # fmt: skip
        conn.execute(sa.insert(t.campaigns).values(row))
        _add_version(conn, campaign_id, 1, body, now)
        _check_quotas(room, conn, app, {**row, "body": body})
        planning.begin(room, conn, {**row, "body": body})
        event_rules.close_at_end(room, conn, {**row, "body": body})
        shown = _show(conn, app, {**row, "body": body, "modified": now})
    return {"CampaignResponse": shown}


def get_campaign(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        return {"CampaignResponse": _show(conn, app, find(conn, app, request["CampaignId"]))}


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
        answer = paging.page(
            rows, size, lambda r: _show(conn, app, r), lambda r: [r["created"], r["id"]]
        )
    return {"CampaignsResponse": answer}


def update_campaign(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Lay the given parts over the campaign as its next version; a new Schedule plans a new
    activity.
    """
    now = room.clock.now()
    wanted = _filled(request["WriteCampaignRequest"])
    wanted.pop("tags", None)
    delivery.prove(room, caller.account, treatments.numbered(wanted))
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = find(conn, app, request["CampaignId"])
        if held["state"] == DELETED:
            raise NotFound(f"Campaign {held['id']} was deleted")
        body = treatments.numbered(_merged(held["body"], wanted))
        campaign_rules.check(body)
        body = _pinned(conn, app, body)
        _check_content(room, conn, app, body)
        after = {**held, "version": held["version"] + 1, "body": body, "modified": now}
        values = {
            "version": after["version"], "segment_id": body["SegmentId"],
            "frequency": schedules.frequency(body["Schedule"]),
            "state": _replan(room, conn, held, after, wanted, now),
        }  # fmt: skip
        event_rules.check(room, conn, app, after, ALIVE)
        event_rules.close_at_end(room, conn, after)
        mine = t.campaigns.c.id == held["id"]
        conn.execute(sa.update(t.campaigns).where(mine).values(values))
        _add_version(conn, held["id"], after["version"], body, now)
        shown = _show(conn, app, {**after, **values})
    return {"CampaignResponse": shown}


def delete_campaign(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a campaign; a running activity ends at its next batch. The ledger stays."""
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = find(conn, app, request["CampaignId"])
        mine = t.campaigns.c.id == held["id"]
        conn.execute(sa.update(t.campaigns).where(mine).values(state=DELETED))
        activities.cancel(room, conn, held["id"])
        shown = _show(conn, app, {**held, "state": DELETED})
    return {"CampaignResponse": shown}


def get_campaign_version(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    version = request["Version"]
    if not str(version).isdigit():
        raise Invalid(f"version is {version!r}; it has to be a whole number")
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        found = find(conn, app, request["CampaignId"], int(version))
        return {"CampaignResponse": _show(conn, app, found)}


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
        answer = paging.page(rows, size, lambda r: _show(conn, app, r), lambda r: [r["version"]])
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
    columns = (c.id, c.application_id, c.state, c.frequency, c.segment_id, c.tags, c.created)
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
    body = {**{part: value for part, value in defaults.items() if value}, **body}
    quiet, schedule = app.settings.get("QuietTime"), body.get("Schedule")
    if quiet and schedule and not any((schedule.get("QuietTime") or {}).values()):
        body["Schedule"] = {**schedule, "QuietTime": quiet}
    return body


def _merged(held: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    if "SegmentId" in wanted and "SegmentVersion" not in wanted:
        held = {part: value for part, value in held.items() if part != "SegmentVersion"}
    return {**held, **wanted}


def _pinned(conn: Connection, app: App, body: dict[str, Any]) -> dict[str, Any]:
    """With the segment's version written in, which the campaign keeps."""
    found = segments.find(conn, app, body["SegmentId"], body.get("SegmentVersion"))
    kind = schedules.frequency(body["Schedule"])
    if kind == schedules.EVENT and found["type"] != segments.DIMENSIONAL:
        raise Invalid(f"Segment {found['id']} was imported; an event campaign needs a dynamic one")
    return {**body, "SegmentVersion": found["version"]}


def _state(body: dict[str, Any], run: int = 0) -> str:
    if body.get("IsPaused"):
        return PAUSED
    return PENDING_NEXT_RUN if run else SCHEDULED


def _check_not_past(body: dict[str, Any], now: float) -> None:
    for treatment_id in treatments.ids(body):
        schedules.check_not_past(treatments.body_of(body, treatment_id)["Schedule"], now)


def _check_quotas(room: Engage, conn: Connection, app: App, campaign: dict[str, Any]) -> None:
    """Pinpoint's numbers of campaigns; settings lift them."""
    event_rules.check(room, conn, app, campaign, ALIVE)
    most, c = room.settings.engage_max_active_campaigns, t.campaigns.c
    mine = sa.select(t.apps.c.id).where(
        t.apps.c.account == app.account, t.apps.c.region == app.region
    )
    active = sa.select(sa.func.count()).where(c.application_id.in_(mine), c.state.in_(ALIVE))
    if most and (conn.execute(active).scalar() or 0) > most:
        raise LimitExceeded(
            f"An account has at most {most} active campaigns (setting engage_max_active_campaigns)"
        )


def _check_content(room: Engage, conn: Connection, app: App, body: dict[str, Any]) -> None:
    for treatment_id in treatments.ids(body):
        own = treatments.body_of(body, treatment_id)
        content.check(conn, app, own, options_of(room.settings))
        channel_content.of_campaign(conn, app, own, options_of(room.settings))
        in_app_rules.find_template(conn, app, own)


def _replan(
    room: Engage, conn: Connection, held: dict[str, Any], after: dict[str, Any],
    wanted: dict[str, Any], now: float,
) -> str:  # fmt: skip
    """Bring the plan in line with an update; the state the campaign is in afterwards."""
    waiting = activities.waiting(conn, held["id"])
    schedule = after["body"]["Schedule"]
    rescheduled = "Schedule" in wanted and not (waiting and schedule == held["body"]["Schedule"])
    executing = held["state"] == EXECUTING and held["frequency"] not in schedules.WAITING
    if rescheduled:
        _check_not_past(after["body"], now)
        if executing and not waiting:
            raise Invalid(f"Campaign {held['id']} is running; its Schedule cannot change now")
    if not waiting and not rescheduled:
        if held["frequency"] in schedules.WAITING and held["state"] in ALIVE:
            return PAUSED if after["body"].get("IsPaused") else EXECUTING
        return str(held["state"])
    planning.again(room, conn, after, waiting, rescheduled=rescheduled)
    if executing:
        return EXECUTING
    return _state(after["body"], waiting[0]["run"] if waiting and not rescheduled else 0)


def _add_version(
    conn: Connection, campaign_id: str, version: int, body: dict[str, Any], now: float
) -> None:
    row = {"campaign_id": campaign_id, "version": version, "body": body, "modified": now}
    conn.execute(sa.insert(t.campaign_versions).values(row))


def _show(conn: Connection, app: App, row: Any) -> dict[str, Any]:
    body = row["body"]
    additional: dict[str, Any] = {}
    if body.get("AdditionalTreatments"):
        states = _treatment_states(conn, row)
        additional["DefaultState"] = states[treatments.DEFAULT]
        additional["AdditionalTreatments"] = [
            {**treatment, "State": states[treatment["Id"]]}
            for treatment in body["AdditionalTreatments"]
        ]
    return {
        "IsPaused": False,
        "HoldoutPercent": 0,
        **body,
        **additional,
        "Id": row["id"],
        "ApplicationId": app.id,
        "Arn": apps.arn(app, f"campaigns/{row['id']}"),
        "Version": row["version"],
        "State": {"CampaignStatus": row["state"]},
        "CreationDate": iso(row["created"]),
        "LastModifiedDate": iso(row["modified"]),
        "tags": row["tags"],
    }


def _treatment_states(conn: Connection, row: Any) -> dict[str, dict[str, str]]:
    """Each treatment's own state: treatments may have schedules of their own."""
    running = activities.open_states(conn, row["id"])
    states = {}
    for treatment_id in treatments.ids(row["body"]):
        mine = running.get(treatment_id, [])
        state = str(row["state"])
        if state == EXECUTING and activities.PENDING in mine and len(mine) == 1:
            state = SCHEDULED
        elif not mine and (state == EXECUTING or running):
            state = COMPLETED
        states[treatment_id] = {"CampaignStatus": state}
    return states
