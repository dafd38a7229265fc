"""Campaigns that an event sends: to the endpoint of the event, if it is in the segment.

Events that match are gathered for a moment and become one activity of all their endpoints; a
message that could not leave within five minutes is dropped. Rules: Pinpoint user guide, "Scheduling
the campaign", and API reference, "CampaignEventFilter".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import (
    activities,
    audience,
    campaigns,
    content,
    schedules,
    settlement,
    treatments,
)
from tailorbird.engage import event_tables as et
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App, by_id
from tailorbird.engage.event_rules import SYSTEM, Matches, matcher
from tailorbird.engage.room import Engage
from tailorbird.store import Job, Question

if TYPE_CHECKING:
    from tailorbird.engage.events import Event

FIRE = "engage.fire"
QUEUE = "engage"
GATHER_SECONDS = 1.0
BURST_ENDPOINTS = 1_000
_WAITING = (
    "SELECT c.id, v.body FROM engage_campaigns c JOIN engage_campaign_versions v"
    " ON v.campaign_id = c.id AND v.version = c.version"
    " WHERE c.application_id = ? AND c.frequency = ? AND c.state IN (?, ?)"
)


class Listening(NamedTuple):
    """A campaign that waits for events now."""

    campaign_id: str
    matches: Matches


def waiting(room: Engage, app: App) -> Question:
    """Asks for the application's campaigns that wait for events."""
    return room.db.sql(_WAITING), (
        app.id,
        schedules.EVENT,
        campaigns.SCHEDULED,
        campaigns.EXECUTING,
    )


def listening(
    room: Engage, found: Iterable[tuple[Any, ...]], now: float, *, system: bool
) -> list[Listening]:
    """Those of the `waiting` that wait at this moment."""
    open_now = []
    for campaign_id, document in found:
        schedule = room.db.load(document)["Schedule"]
        event_filter = schedule["EventFilter"]
        if (event_filter["FilterType"] == SYSTEM) is system and _is_open(schedule, now):
            open_now.append(Listening(campaign_id, matcher(event_filter, now)))
    return open_now


def fire(
    room: Engage,
    conn: Connection,
    app: App,
    campaigns_listening: Sequence[Listening],
    found: Sequence[Event],
    numbers: dict[str, int],
) -> int:
    """Write down which events are to send, and the jobs that do it."""
    now, rows = room.clock.now(), []
    for one in campaigns_listening:
        mine = [
            {"app": app.number, "campaign_id": one.campaign_id, "moment": now, "endpoint": number}
            for event in found
            if (number := numbers.get(event.endpoint_id)) is not None
            and one.matches(event)
            and not _is_own(event, one)
        ]
        if mine:
            payload = {"campaign": one.campaign_id, "application": app.id}
            room.jobs.enqueue(conn, FIRE, payload, queue=QUEUE, due=now + GATHER_SECONDS)
        rows += mine
    if rows:
        conn.execute(sa.insert(et.firings), rows)
    return len(rows)


def work(room: Engage, job: Job, hand_out: Callable[..., None]) -> None:
    """Make activities of what a campaign has gathered, an endpoint once in each."""
    while _burst(room, job.payload["application"], job.payload["campaign"], hand_out):
        pass


def close(room: Engage, job: Job) -> None:
    """The EndTime of an event campaign has come."""
    campaign_id, c = job.payload["campaign"], t.campaigns.c
    with room.db.write() as conn:
        ended = conn.execute(
            sa.update(t.campaigns)
            .where(
                c.id == campaign_id, c.version == job.payload["version"],
                c.state.in_(campaigns.ALIVE),
            )
            .values(state=campaigns.COMPLETED)
        )  # fmt: skip
        if ended.rowcount:
            activities.cancel(room, conn, campaign_id, (activities.PENDING,))


def _is_own(event: Event, one: Listening) -> bool:
    """Whether it happened to a message of the campaign itself, which must not set itself off."""
    return event.type.startswith("_") and event.attributes.get("campaign_id") == one.campaign_id


def _is_open(schedule: dict[str, Any], now: float) -> bool:
    start, end = schedules.starts_at(schedule), schedules.ends_at(schedule)
    return (start is None or start <= now) and (end is None or now <= end)


def _burst(
    room: Engage, application_id: str, campaign_id: str, hand_out: Callable[..., None]
) -> bool:
    """Take what was gathered, up to a size; False when there was nothing."""
    with room.db.write() as conn:
        mine = t.campaigns.c.id == campaign_id
        state = conn.execute(
            sa.select(t.campaigns.c.state).where(mine).with_for_update()
        ).scalar()  # one worker at a time
        f = et.firings.c
        query = sa.select(et.firings).where(f.campaign_id == campaign_id).order_by(f.number)
        rows = conn.execute(query.limit(BURST_ENDPOINTS)).mappings().all()
        if not rows:
            return False
        taken: dict[int, Any] = {}
        for row in rows:
            taken.setdefault(row["endpoint"], row)
        used = [row["number"] for row in taken.values()]
        conn.execute(sa.delete(et.firings).where(f.number.in_(used)))
        if state in (campaigns.SCHEDULED, campaigns.EXECUTING):
            app = by_id(conn, application_id)
            campaign = campaigns.find(conn, app, campaign_id)
            conn.execute(sa.update(t.campaigns).where(mine).values(state=campaigns.EXECUTING))
            moment = min(row["moment"] for row in taken.values())
            _send(room, conn, app, campaign, moment, sorted(taken), hand_out)
        return True


def _send(
    room: Engage, conn: Connection, app: App, campaign: dict[str, Any], moment: float,
    endpoints: list[int], hand_out: Callable[..., None],
) -> None:  # fmt: skip
    """One activity for each treatment that has somebody among the endpoints of some events."""
    people = audience.belonging(room, conn, app, campaign, endpoints)
    waiting = {activity["treatment_id"]: activity for activity in activities.waiting(
        conn, campaign["id"])}  # fmt: skip
    run = activities.runs(conn, campaign["id"])
    for treatment_id in treatments.ids(campaign["body"]):
        mine = [row for row in people if _treatment(campaign, row.cohort) == treatment_id]
        if not mine:
            continue
        plan = activities.Plan(
            app.id, campaign["id"], campaign["version"], treatment_id, run, moment, moment, moment
        )
        known = waiting.get(treatment_id)
        if known:
            number = known["number"]
            room.jobs.cancel(conn, activities.key_of(known))
        else:
            number = activities.add(room, conn, plan, activities.PENDING)
        body = treatments.body_of(campaign["body"], treatment_id)
        values = {
            "state": activities.RUNNING, "started": room.clock.now(), "scheduled": moment,
            "campaign_version": campaign["version"],
            "template_version": content.template_version(conn, app, body),
        }  # fmt: skip
        conn.execute(sa.update(t.activities).where(t.activities.c.number == number).values(values))
        activity = activities.read(conn, number)
        assert activity is not None
        activity = audience.enlist(room, conn, app, activity, campaign, mine)
        hand_out(room, conn, activity)
        settlement.end_if_settled(room, conn, number)


def _treatment(campaign: dict[str, Any], cohort: int) -> str:
    return treatments.assigned(campaign["body"], cohort) or treatments.DEFAULT
