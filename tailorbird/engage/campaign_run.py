"""The run of a campaign: freeze the audience, then settle it batch by batch.

A run is one job that starts it and one job for each stretch of batches. Every batch commits its
ledger rows together
with its own row, so a killed run goes on where it was and at most the batches in flight are done
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import functions
from tailorbird.engage import (
    activities,
    apps,
    audience,
    batches,
    campaign_rules,
    campaigns,
    channel_settings,
    content,
    hooks,
    ledger,
    pace,
)
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.batches import Member, Outcome, Run
from tailorbird.engage.render import options_of
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, Unavailable
from tailorbird.store import Job, Kind
from tailorbird.store.jobs import Later

STRETCH = "engage.stretch"
QUEUE = "engage"
STRETCH_BATCHES = 20
AWAY_SECONDS = 10.0  # between two tries while a channel is away
CHANNEL = "EMAIL"

_CLAIM_BATCH = (
    "INSERT INTO engage_batches (activity, batch, kept, sent, failure, finished)"
    " VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING"
)
_LOG_ATTEMPT = (
    "INSERT INTO engage_hook_attempts (activity, batch, attempt, started, duration_ms, outcome,"
    " detail, request_id) VALUES (?,?,?,?,?,?,?,?)"
)


def job_kinds(room: Engage) -> dict[str, Kind]:
    """The background work of the room."""
    return {
        activities.START: Kind(
            lambda job: start(room, job),
            lambda conn, job, reason: _start_failed(room, conn, job, reason),
            QUEUE,
        ),
        STRETCH: Kind(
            lambda job: stretch(room, job),
            lambda conn, job, reason: _stretch_failed(room, conn, job, reason),
            QUEUE,
        ),
    }


def start(room: Engage, job: Job) -> None:
    """Freeze the members of an activity and hand out its batches. A paused campaign waits to be
    resumed.
    """
    number = job.payload["activity"]
    activity = _begin(room, number)
    if activity is None:
        return
    with room.db.read() as conn:
        app, campaign = _owner(conn, activity)
    activity = audience.freeze(room, job, app, activity, campaign)
    with room.db.write() as conn:
        c = t.activities.c
        mine = (c.number == number, c.state == activities.INITIALIZING)
        values = {"state": activities.RUNNING}
        if conn.execute(sa.update(t.activities).where(*mine).values(values)).rowcount == 1:
            _hand_out(room, conn, activity)
        else:
            _settle_rest(room, conn, number, 0, activity["members"], ledger.CANCELLED, None)
        _end_if_settled(room, conn, number)
        job.finish(conn, {"members": activity["members"], "endpoints": activity["total"]})


def stretch(room: Engage, job: Job) -> None:
    """Settle a stretch of batches, several at a time."""
    number, first, last = (job.payload[name] for name in ("activity", "first", "last"))
    with room.db.read() as conn:
        activity = activities.read(conn, number)
        if activity is None:
            return
        run = _run(room, conn, activity) if activity["state"] == activities.RUNNING else None
        done = _done(conn, number, first, last)
        size = activity["batch_size"]
        found = batches.members(room, conn, number, first * size, last * size)
    if run is None:
        _cancel_stretch(room, number, first * size, last * size)
        return
    todo = [
        (batch, found[(batch - first) * size : (batch - first + 1) * size])
        for batch in range(first, last)
        if batch not in done
    ]
    _settle(room, job, run, todo)


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
        state = conn.execute(sa.select(t.campaigns.c.state).where(owner)).scalar()
        if state == campaigns.PAUSED:
            return None
        if state not in (campaigns.SCHEDULED, campaigns.EXECUTING):
            activities.cancel(room, conn, activity["campaign_id"])
            return None
        started = activity["started"] or room.clock.now()
        values = {"state": activities.INITIALIZING, "started": started}
        conn.execute(sa.update(t.activities).where(t.activities.c.number == number).values(values))
        conn.execute(sa.update(t.campaigns).where(owner).values(state=campaigns.EXECUTING))
        return {**activity, **values}


def _owner(conn: Connection, activity: dict[str, Any]) -> tuple[App, dict[str, Any]]:
    app = apps.by_id(conn, activity["application_id"])
    return app, campaigns.find(conn, app, activity["campaign_id"], activity["campaign_version"])


def _hand_out(room: Engage, conn: Connection, activity: dict[str, Any]) -> None:
    """One job for each stretch of batches."""
    count = -(-activity["members"] // activity["batch_size"])
    for first in range(0, count, STRETCH_BATCHES):
        last = min(count, first + STRETCH_BATCHES)
        payload = {"activity": activity["number"], "first": first, "last": last}
        key = f"{STRETCH}:{activity['number']}:{first}"
        room.jobs.enqueue(conn, STRETCH, payload, queue=QUEUE, key=key)


def _run(room: Engage, conn: Connection, activity: dict[str, Any]) -> Run:
    app, campaign = _owner(conn, activity)
    body = campaign["body"]
    mail = content.email(conn, app, body, options_of(room.settings))
    channel = channel_settings.read(conn, app, CHANNEL)
    sender = mail.from_address or ((channel or {}).get("body") or {}).get("FromAddress") or ""
    limits = body.get("Limits") or {}
    duration = limits.get("MaximumDuration")
    return Run(
        app=app,
        activity=activity,
        campaign_id=campaign["id"],
        content=mail,
        channels=frozenset(campaign_rules.channels(body)),
        from_address=sender,
        hook=_hook(room, app, campaign),
        payload=hooks.run_of(
            app.id, campaign["id"], activity["treatment_id"], activity["id"],
            activity["scheduled"], mail.configuration,
        ),
        blocked=_blocked(app, channel, sender),
        per_second=limits.get("MessagesPerSecond") or None,
        until=activity["started"] + duration if duration else None,
    )  # fmt: skip


def _blocked(app: App, channel: dict[str, Any] | None, sender: str) -> str | None:
    """Why no mail of this application can leave, with what to run."""
    remedy = (
        f"aws pinpoint update-email-channel --application-id {app.id} --email-channel-request"
        " FromAddress=you@example.com,Identity=you@example.com,Enabled=true"
    )
    if channel is None:
        return f"The EMAIL channel of the application is not set up; run: {remedy}"
    if not channel["enabled"]:
        return f"The EMAIL channel of the application is switched off; run: {remedy}"
    return None if sender else f"Neither campaign nor channel has a FromAddress; run: {remedy}"


def _hook(room: Engage, app: App, campaign: dict[str, Any]) -> hooks.Call | None:
    """The campaign's function as the Pinpoint service calls it."""
    name = (campaign["body"].get("Hook") or {}).get("LambdaFunctionName")
    if not name:
        return None
    caller = functions.ServiceCaller(
        service=f"pinpoint.{app.region}.amazonaws.com",
        source_arn=apps.arn(app, f"campaigns/{campaign['id']}"),
        source_account=app.account,
    )

    def call(payload: bytes) -> hooks.Answer:
        return functions.invoke(
            room.functions,
            name,
            payload,
            caller=caller,
            account=app.account,
            region=app.region,
            timeout=room.settings.engage_hook_timeout_seconds,
        )

    return call


def _done(conn: Connection, number: int, first: int, last: int) -> set[int]:
    c = t.batches.c
    query = sa.select(c.batch).where(c.activity == number, c.batch >= first, c.batch < last)
    return set(conn.execute(query).scalars())


def _settle(room: Engage, job: Job, run: Run, todo: list[tuple[int, list[Member]]]) -> None:
    """Run batches in the room's lanes and commit them as they come in, however it ends."""
    total, done, running = sum(len(found) for _, found in todo), 0, True
    rest, flying = iter(todo), set[Future[Outcome]]()
    trouble: BaseException | None = _begin_more(room, run, rest, flying)
    while flying:
        ready, flying = wait(flying, return_when=FIRST_COMPLETED)
        trouble = next((e for e in (future.exception() for future in ready) if e), trouble)
        outcomes = [future.result() for future in ready if future.exception() is None]
        running = _commit(room, run, outcomes)
        done += sum(len(outcome.entries) for outcome in outcomes)
        job.progress(done, total, "endpoints")
        if trouble is None and running:
            trouble = _begin_more(room, run, rest, flying)
    if isinstance(trouble, Unavailable):
        _be_patient(room, run, trouble)
    if trouble is not None:
        raise trouble
    if not running:
        size = run.activity["batch_size"]
        _cancel_stretch(room, run.activity["number"], todo[0][0] * size, (todo[-1][0] + 1) * size)


def _begin_more(
    room: Engage,
    run: Run,
    rest: Iterator[tuple[int, list[Member]]],
    flying: set[Future[Outcome]],
) -> Later | None:
    """Put batches into free lanes; Later when the next one has to keep the pace."""
    free = room.settings.engage_hook_concurrency - len(flying)
    for batch, found in islice(rest, free):
        try:
            pace.keep(room, run.activity["number"], len(found), run.per_second)
        except Later as later:
            return later
        flying.add(room.lanes.submit(batches.settle, room, run, batch, found))
    return None


def _be_patient(room: Engage, run: Run, away: Unavailable) -> None:
    """Try a channel that is away again for a while; then the stretch fails with that reason."""
    patience = room.settings.engage_channel_patience_seconds
    if room.clock.now() < run.activity["started"] + patience:
        raise Later(AWAY_SECONDS)
    raise Invalid(f"{away.message} (away for more than {patience:g} s)")


def _commit(room: Engage, run: Run, outcomes: list[Outcome]) -> bool:
    """Write outcomes down, once each; False when the activity is not running any more."""
    number, now = run.activity["number"], room.clock.now()
    with room.db.write() as conn:
        fresh = [o for o in outcomes if _first(room, conn, number, o, now)]
        ledger.record(room, conn, number, [e for o in fresh for e in o.entries], now)
        lines = [(number, o.batch, *line) for o in fresh for line in o.attempts]
        if lines:
            conn.exec_driver_sql(room.db.sql(_LOG_ATTEMPT), lines)
        settled = sum(len(o.entries) for o in fresh)
        state = _count(conn, number, settled, sum(o.sent for o in fresh), run.per_second)
        _end_if_settled(room, conn, number)
    return state == activities.RUNNING


def _first(room: Engage, conn: Connection, number: int, outcome: Outcome, now: float) -> bool:
    """Claim the batch's row: whoever writes it first has settled the batch."""
    row = (number, outcome.batch, outcome.kept, outcome.sent, outcome.failure, now)
    return conn.exec_driver_sql(room.db.sql(_CLAIM_BATCH), row).rowcount == 1


def _count(
    conn: Connection, number: int, settled: int, sent: int, per_second: int | None = None
) -> str | None:
    """Add to the activity's counters; places in the stream that were not used are given back."""
    c = t.activities.c
    values: dict[str, Any] = {"settled": c.settled + settled, "sent": c.sent + sent}
    if per_second:
        values["paced_until"] = c.paced_until - (settled - sent) / per_second
    counted = sa.update(t.activities).where(c.number == number).values(values).returning(c.state)
    return conn.execute(counted).scalar()


def _end_if_settled(room: Engage, conn: Connection, number: int) -> None:
    """When every member has its ledger row, the activity and its campaign are over."""
    activity = activities.read(conn, number)
    if activity is None or activity["settled"] < activity["members"]:
        return
    if activity["state"] not in (activities.RUNNING, activities.CANCELLED):
        return
    values: dict[str, Any] = {
        "metrics": activities.metrics(conn, number, activity["total"]),
        "ended": room.clock.now(),
    }
    if activity["state"] == activities.RUNNING:
        result = _result(conn, number, activity)
        values |= {"state": activities.COMPLETED, "result": result}
        owner = (
            t.campaigns.c.id == activity["campaign_id"],
            t.campaigns.c.state == campaigns.EXECUTING,
        )
        conn.execute(sa.update(t.campaigns).where(*owner).values(state=campaigns.COMPLETED))
    conn.execute(sa.update(t.activities).where(t.activities.c.number == number).values(values))


def _result(conn: Connection, number: int, activity: dict[str, Any]) -> str:
    """FAIL when failures are all there was."""
    failures = (ledger.HOOK_FAILED, ledger.RENDER_FAILED, ledger.CHANNEL_FAILED, ledger.RUN_FAILED)
    counted = ledger.counts(conn, number)
    failed = sum(counted.get(state, 0) for state in failures)
    return activities.FAIL if failed and not activity["sent"] else activities.SUCCESS


def _settle_rest(
    room: Engage,
    conn: Connection,
    number: int,
    first: int,
    last: int,
    state: str,
    reason: str | None,
) -> None:
    """Give every member from `first` to `last` - 1 that has none yet its final state."""
    text = (
        "INSERT INTO engage_ledger (activity, endpoint, endpoint_id, state, reason, moment)"
        " SELECT m.activity, m.endpoint, COALESCE(e.id, ''), ?, ?, ? FROM engage_members m"
        " LEFT JOIN engage_endpoints e ON e.number = m.endpoint"
        " WHERE m.activity = ? AND m.n >= ? AND m.n < ? AND NOT EXISTS"
        " (SELECT 1 FROM engage_ledger l WHERE l.activity = m.activity AND l.endpoint = m.endpoint)"
    )
    values = (state, reason, room.clock.now(), number, first, last)
    settled = conn.exec_driver_sql(room.db.sql(text), values).rowcount
    _count(conn, number, settled, 0)


def _cancel_stretch(room: Engage, number: int, first: int, last: int) -> None:
    with room.db.write() as conn:
        _settle_rest(room, conn, number, first, last, ledger.CANCELLED, None)
        _end_if_settled(room, conn, number)


def _start_failed(room: Engage, conn: Connection, job: Job, reason: str) -> None:
    """A run that cannot start: its campaign is INVALID, and whoever was a member has the reason."""
    number = job.payload["activity"]
    activity = activities.read(conn, number)
    if activity is None:
        return
    _settle_rest(room, conn, number, 0, activity["members"], ledger.RUN_FAILED, reason)
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


def _stretch_failed(room: Engage, conn: Connection, job: Job, reason: str) -> None:
    number, first, last = (job.payload[name] for name in ("activity", "first", "last"))
    activity = activities.read(conn, number)
    if activity is not None:
        size = activity["batch_size"]
        _settle_rest(room, conn, number, first * size, last * size, ledger.RUN_FAILED, reason)
        _end_if_settled(room, conn, number)
