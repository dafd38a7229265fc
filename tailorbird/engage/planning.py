"""Plans: the next run of each treatment is written down as an activity before it is due.

A run is planned in the transaction in which the one before it begins, and its number is unique: a
restart neither loses nor doubles one.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.engage import activities, schedules, treatments
from tailorbird.engage.activities import Plan
from tailorbird.engage.room import Engage

Campaign = dict[str, Any]  # id, application_id, version, body


def begin(room: Engage, conn: Connection, campaign: Campaign, run: int = 0) -> None:
    """Write down the first run of every treatment."""
    for treatment_id in treatments.ids(campaign["body"]):
        start = _first(room, campaign, treatment_id)
        activities.plan(room, conn, _plan(campaign, treatment_id, run, start, start))


def follow(room: Engage, conn: Connection, activity: dict[str, Any], campaign: Campaign) -> None:
    """Write down the run after one that begins. Of runs that were missed one is made up for, or
    all with `engage_catch_up`.
    """
    schedule = treatments.body_of(campaign["body"], activity["treatment_id"])["Schedule"]
    after = activity["scheduled"]
    if not room.settings.engage_catch_up:
        lead = after - schedules.due(schedule, after)
        after = max(after, room.clock.now() + lead)
    moment = schedules.next_run(schedule, activity["anchor"], after)
    if moment is not None:
        run, treatment_id = activity["run"] + 1, activity["treatment_id"]
        activities.plan(room, conn, _plan(campaign, treatment_id, run, activity["anchor"], moment))


def again(
    room: Engage,
    conn: Connection,
    campaign: Campaign,
    waiting: list[dict[str, Any]],
    *,
    rescheduled: bool,
) -> None:
    """Bring runs that wait in line with a new version of their campaign.

    A treatment whose runs are over has none again unless the campaign gets another schedule.
    """
    held = {activity["treatment_id"]: activity for activity in waiting}
    begun, next_run = activities.begun(conn, campaign["id"]), activities.runs(conn, campaign["id"])
    for treatment_id in treatments.ids(campaign["body"]):
        known = held.pop(treatment_id, None)
        if known is None and treatment_id in begun and not rescheduled:
            continue
        like = known or (waiting[0] if waiting and treatment_id not in begun else None)
        run = next_run if like is None else like["run"]
        if rescheduled or like is None:
            anchor = scheduled = _first(room, campaign, treatment_id)
        else:
            anchor, scheduled = like["anchor"], like["scheduled"]
        plan = _plan(campaign, treatment_id, run, anchor, scheduled)
        if known:
            activities.plan_again(room, conn, known, plan)
        else:
            activities.plan(room, conn, plan)
    for gone in held.values():
        activities.forget(room, conn, gone)


def _first(room: Engage, campaign: Campaign, treatment_id: str) -> float:
    schedule = treatments.body_of(campaign["body"], treatment_id)["Schedule"]
    start = schedules.starts_at(schedule)
    return room.clock.now() if start is None else start


def _plan(campaign: Campaign, treatment_id: str, run: int, anchor: float, scheduled: float) -> Plan:
    schedule = treatments.body_of(campaign["body"], treatment_id)["Schedule"]
    return Plan(
        campaign["application_id"], campaign["id"], campaign["version"], treatment_id, run,
        anchor, scheduled, schedules.due(schedule, scheduled),
    )  # fmt: skip
