"""The run of a campaign: freeze the audience, then one job for each stretch of its batches."""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import (
    activities,
    apps,
    audience,
    campaigns,
    content,
    counts,
    event_campaigns,
    event_rules,
    export_jobs,
    import_jobs,
    ledger,
    outbox,
    planning,
    replay,
    retries,
    schedules,
    settlement,
    stream_delivery,
    stretch,
    treatments,
)
from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage
from tailorbird.store import Job, Kind

QUEUE = "engage"
STRETCH_BATCHES = 40


def job_kinds(room: Engage) -> dict[str, Kind]:
    """The background work of the room."""
    retries.delays(room.settings)  # a wrong setting is said at start
    return {
        activities.START: Kind(
            lambda job: start(room, job),
            lambda conn, job, reason: _start_failed(room, conn, job, reason),
            QUEUE,
        ),
        event_campaigns.FIRE: Kind(
            lambda job: event_campaigns.work(room, job, _hand_out), None, QUEUE
        ),
        event_rules.CLOSE: Kind(lambda job: event_campaigns.close(room, job), None, QUEUE),
        retries.RETRY: Kind(lambda job: retries.work(room, job), None, QUEUE),
        replay.REPLAY: Kind(lambda job: replay.work(room, job), None, QUEUE),
        **measuring_kinds(room),
        stretch.STRETCH: Kind(
            lambda job: stretch.work(room, job),
            lambda conn, job, reason: stretch.failed(room, conn, job, reason),
            QUEUE,
        ),
    }


def measuring_kinds(room: Engage) -> dict[str, Kind]:
    """Import and export jobs, event streams, counts."""
    two_sided = {
        import_jobs.KIND: import_jobs, export_jobs.KIND: export_jobs, outbox.KIND: stream_delivery
    }  # fmt: skip
    return {
        counts.KIND: Kind(partial(counts.sum_up, room)),
        **{
            name: Kind(partial(deed.run, room), partial(deed.failed, room))
            for name, deed in two_sided.items()
        },
    }


def start(room: Engage, job: Job) -> None:
    """Freeze the members of an activity and hand out its batches; a paused campaign waits."""
    number = job.payload["activity"]
    activity = _begin(room, number)
    if activity is None:
        return
    with room.db.read() as conn:
        app, campaign = campaigns.of_activity(conn, activity)
        body = treatments.body_of(campaign["body"], activity["treatment_id"])
        version = content.template_version(conn, app, body)
    activity = audience.freeze(room, job, app, activity, campaign)
    with room.db.write() as conn:
        c = t.activities.c
        mine = (c.number == number, c.state == activities.INITIALIZING)
        values = {"state": activities.RUNNING, "template_version": version}
        if conn.execute(sa.update(t.activities).where(*mine).values(values)).rowcount == 1:
            _hand_out(room, conn, activity)
        else:
            settlement.settle_rest(room, conn, number, None, ledger.CANCELLED, None)
        settlement.end_if_settled(room, conn, number)
        job.finish(conn, {"members": activity["members"], "endpoints": activity["total"]})


def _begin(room: Engage, number: int) -> dict[str, Any] | None:
    """Take a planned activity into work; None when it is not to run (now)."""
    with room.db.write() as conn:
        activity = activities.read(conn, number)
        if activity is None or activity["state"] not in (
            activities.PENDING,
            activities.INITIALIZING,
        ):
            return None
        owner = t.campaigns.c.id == activity["campaign_id"]
        app = apps.by_id(conn, activity["application_id"])
        campaign = campaigns.find(conn, app, activity["campaign_id"])
        if campaign["state"] not in campaigns.ALIVE:
            activities.cancel(room, conn, activity["campaign_id"])
            return None
        if activity["state"] == activities.PENDING:
            if campaign["body"].get("IsPaused"):
                return None
            if campaign["frequency"] in schedules.WAITING:  # it waits for its first event
                conn.execute(sa.update(t.campaigns).where(owner).values(state=campaigns.EXECUTING))
                return None
            planning.follow(room, conn, activity, campaign)
        started = activity["started"] or room.clock.now()
        values = {"state": activities.INITIALIZING, "started": started}
        conn.execute(sa.update(t.activities).where(t.activities.c.number == number).values(values))
        conn.execute(sa.update(t.campaigns).where(owner).values(state=campaigns.EXECUTING))
        return {**activity, **values}


def _hand_out(room: Engage, conn: Connection, activity: dict[str, Any]) -> None:
    """One job for each stretch of batches, due with its leg."""
    for n, leg in enumerate(activity["legs"]):
        begin = n * activities.LEG_BATCHES
        end = begin - (-leg["members"] // activity["batch_size"])
        for first in range(begin, end, STRETCH_BATCHES):
            payload = {
                "activity": activity["number"], "first": first,
                "last": min(end, first + STRETCH_BATCHES),
            }  # fmt: skip
            key = f"{stretch.STRETCH}:{activity['number']}:{first}"
            room.jobs.enqueue(
                conn, stretch.STRETCH, payload, queue=QUEUE, key=key, due=leg["due"] or None
            )


def _start_failed(room: Engage, conn: Connection, job: Job, reason: str) -> None:
    """A run that cannot start: its campaign is INVALID, and whoever was a member has the reason."""
    number = job.payload["activity"]
    activity = activities.read(conn, number)
    if activity is None:
        return
    settlement.settle_rest(room, conn, number, None, ledger.RUN_FAILED, reason)
    values = {
        "state": activities.COMPLETED,
        "result": activities.FAIL,
        "reason": reason,
        "ended": room.clock.now(),
        "metrics": activities.metrics(conn, number, activity["total"]),
    }
    conn.execute(sa.update(t.activities).where(t.activities.c.number == number).values(values))
    owner = t.campaigns.c.id == activity["campaign_id"]
    conn.execute(sa.update(t.campaigns).where(owner).values(state=campaigns.INVALID))
