"""A stretch of a run: some batches in a row, several at a time, committed as they come in.

Every batch commits its ledger rows together with its own row, so a killed run goes on where it was
and at most the batches in flight are done again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import (
    activities,
    campaign_rules,
    campaigns,
    caps,
    channel_content,
    channel_settings,
    content,
    delivery,
    event_rules,
    hook_away,
    hook_calls,
    hooks,
    ledger,
    members,
    message_events,
    recommending,
    retries,
    schedules,
    sent_events,
    settlement,
    tracking,
    treatments,
)
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.batches import Outcome, Run
from tailorbird.engage.bulk import Bulk
from tailorbird.engage.flight import Flight, Turn, turn
from tailorbird.engage.members import Member
from tailorbird.engage.render import options_of
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotFound, Unavailable
from tailorbird.store import Job, fetch
from tailorbird.store.jobs import Later

STRETCH = "engage.stretch"
CHANNEL = "EMAIL"

_CLAIM_BATCH = (
    "INSERT INTO engage_batches (activity, batch, kept, sent, failure, finished)"
    " VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING RETURNING batch"
)
_LOG_ATTEMPTS = Bulk(
    "engage_hook_attempts",
    {
        "activity": "bigint", "batch": "integer", "attempt": "smallint", "started": "float8",
        "duration_ms": "float8", "outcome": "text", "detail": "text", "request_id": "text",
    },
)  # fmt: skip


def work(room: Engage, job: Job) -> None:
    """Settle a stretch of batches, several at a time."""
    with turn(room, job.payload["activity"]) as mine:
        _work(room, job, mine)


def _work(room: Engage, job: Job, mine: Turn) -> None:
    number, first, last = (job.payload[name] for name in ("activity", "first", "last"))
    with room.db.read() as conn:
        activity = activities.read(conn, number)
        if activity is None:
            return
        run = None
        if activity["state"] == activities.RUNNING:
            run = replace(
                run_of(room, conn, activity, first // activities.LEG_BATCHES),
                hook_patience=room.settings.engage_hook_away_seconds,
            )
        done = _done(conn, number, first, last)
        size = activity["batch_size"]
        found = members.of_activity(room, conn, number, first * size, last * size)
        if run is not None and (run.limits.get("Daily") or run.limits.get("Total")):
            numbers = [member.number for member in found]
            run = replace(run, capped=caps.capped(room, conn, activity, run.limits, numbers))
    if run is None:
        _cancel_stretch(room, number, first * size, last * size)
        return
    by_batch: dict[int, list[Member]] = {batch: [] for batch in range(first, last)}
    for member in found:
        by_batch[member.n // size].append(member)
    todo = [(batch, some) for batch, some in by_batch.items() if batch not in done]
    if todo and hook_away.has_to_ask(room, activity, run.hook_patience, run.until):
        _ask(room, job, run, todo[0], mine)
    _settle(room, job, run, todo, mine)


def _ask(room: Engage, job: Job, run: Run, one: tuple[int, list[Member]], mine: Turn) -> None:
    """Find out with one batch whether the hook is back; then look at the run anew."""
    _settle(room, job, run, [one], mine)
    with room.db.write() as conn:
        hook_away.ask_again(conn, run.activity["number"])
    raise Later(0.0)


def failed(room: Engage, conn: Connection, job: Job, reason: str) -> None:
    number, first, last = (job.payload[name] for name in ("activity", "first", "last"))
    activity = activities.read(conn, number)
    if activity is not None:
        size = activity["batch_size"]
        span = (first * size, last * size)
        settlement.settle_rest(room, conn, number, span, ledger.RUN_FAILED, reason)
        settlement.end_if_settled(room, conn, number)


def run_of(room: Engage, conn: Connection, activity: dict[str, Any], leg: int) -> Run:
    """What the batches of an activity (in one of its legs) have in common."""
    app, campaign = campaigns.of_activity(conn, activity)
    body = treatments.body_of(campaign["body"], activity["treatment_id"])
    options, version = options_of(room.settings), activity["template_version"]
    mail = content.email(conn, app, body, options, version)
    channel = channel_settings.read(conn, app, CHANNEL)
    sender = mail.from_address or ((channel or {}).get("body") or {}).get("FromAddress") or ""
    told = hooks.run_of(
        app.id, campaign["id"], activity["treatment_id"], activity["id"],
        activity["scheduled"],
        {
            **channel_content.configuration_of(body),
            **(mail.configuration if campaign_rules.has_mail(body) else {}),
        },
    )  # fmt: skip
    limits = body.get("Limits") or {}
    duration = limits.get("MaximumDuration")
    legs = activity["legs"]
    began = max(activity["started"], legs[leg]["due"] if legs else 0.0)
    others = channel_content.of_campaign(conn, app, body, options)
    named = {channel: words.selection.recommender_id for channel, words in others.items()}
    named[CHANNEL] = mail.recommender_id
    return Run(
        app=app,
        activity=activity,
        campaign_id=campaign["id"],
        content=mail,
        channels=frozenset(campaign_rules.channels(body)),
        from_address=sender,
        hook=_hook(room, app, campaign),
        payload=told,
        others=others,
        recommenders={
            channel: recommending.of_template(room, conn, app, found, told)
            for channel, found in named.items()
            if found
        },
        custom=delivery.custom_of(room, app, campaign["id"], body, told),
        blocked=channel_settings.blocked(app, channel, sender),
        per_second=limits.get("MessagesPerSecond") or None,
        until=_until(campaign, activity, began, duration),
        began=began,
        limits=limits,
        quiet=schedules.quiet_minutes(body["Schedule"].get("QuietTime")),
        mail_data=tracking.mail_data(conn, app.id, campaign["tags"]),
    )  # fmt: skip


def _hook(room: Engage, app: App, campaign: dict[str, Any]) -> hooks.Call | None:
    """The campaign's FILTER hook as the Pinpoint service calls it."""
    hook = campaign["body"].get("Hook") or {}
    target = hook.get("LambdaFunctionName") or hook.get("WebUrl")
    if not target or delivery.is_legacy(hook):
        return None
    return hook_calls.call_of(room, app, campaign["id"], target)


def _until(
    campaign: dict[str, Any], activity: dict[str, Any], began: float, duration: int | None
) -> float | None:
    """When messages of a run come too late."""
    ends = [began + duration] if duration else []
    if campaign["frequency"] == schedules.EVENT:
        ends.append(activity["scheduled"] + event_rules.DELIVER_WITHIN_SECONDS)
    return min(ends, default=None)


def _done(conn: Connection, number: int, first: int, last: int) -> set[int]:
    c = t.batches.c
    query = sa.select(c.batch).where(c.activity == number, c.batch >= first, c.batch < last)
    return set(conn.execute(query).scalars())


def _settle(
    room: Engage, job: Job, run: Run, todo: list[tuple[int, list[Member]]], mine: Turn
) -> None:
    """Run batches in the room's lanes and commit them as they come in, however it ends."""
    total, done, running = sum(len(found) for _, found in todo), 0, True
    rest, flight, aside = iter(todo), Flight(room, run, mine), list[hook_away.SetAside]()
    trouble: BaseException | None = flight.begin(rest)
    try:
        while flight:
            ready = flight.landed()
            errors = [error for error in (future.exception() for future in ready) if error]
            trouble = next(iter(errors), trouble)
            aside += [error for error in errors if isinstance(error, hook_away.SetAside)]
            outcomes = [future.result() for future in ready if future.exception() is None]
            running = _commit(room, run, outcomes)
            flight.give_back(ready)
            done += sum(len(outcome.entries) for outcome in outcomes)
            job.progress(done, total, "endpoints")
            if trouble is None and running:
                trouble = flight.begin(rest)
    finally:
        flight.abandon()
    if done:
        room.away_since.pop(run.activity["number"], None)
    if aside:
        trouble = _set_aside(room, run, aside)
    if isinstance(trouble, Unavailable):
        _be_patient(room, run, trouble)
    if trouble is not None:
        raise trouble
    if not running:
        size = run.activity["batch_size"]
        _cancel_stretch(room, run.activity["number"], todo[0][0] * size, (todo[-1][0] + 1) * size)


def _be_patient(room: Engage, run: Run, away: Unavailable) -> None:
    """Try a channel that is away again for a while; then the stretch fails with that reason."""
    patience, number = room.settings.engage_channel_patience_seconds, run.activity["number"]
    now = room.clock.now()
    with room.db.read() as conn:  # another process may have had an answer since
        query = sa.select(sa.func.max(t.batches.c.finished)).where(t.batches.c.activity == number)
        last = conn.scalar(query) or 0.0
    since = max(last, room.away_since.setdefault(number, now))
    expires = run.until is not None and run.until < since + patience
    if expires or now < since + patience:
        raise Later(room.settings.engage_channel_away_seconds)
    raise Invalid(f"{away.message} (away for more than {patience:g} s)")


def _set_aside(room: Engage, run: Run, aside: list[hook_away.SetAside]) -> Later:
    """Keep the attempts of batches whose hook is away; when to come back to them."""
    number = run.activity["number"]
    with room.db.write() as conn:
        lines = [(number, one.batch, *line) for one in aside for line in one.attempts]
        _LOG_ATTEMPTS.run(room.db, conn, lines)
        return Later(hook_away.note(room, conn, number, aside))


def _commit(room: Engage, run: Run, outcomes: list[Outcome]) -> bool:
    """Write outcomes down, once each; False when the activity is not running any more."""
    number, now = run.activity["number"], room.clock.now()
    with room.db.write() as conn:
        fresh = [o for o in outcomes if _first(room, conn, number, o, now)]
        ends = [entry for outcome in fresh for entry in outcome.entries]
        ledger.record(room, conn, number, ends, now)
        mine = message_events.note(room, conn, run.activity, ends, now)
        sent_events.fire(room, conn, mine, ends)
        retries.keep(room, conn, number, [w for o in fresh for w in o.waiting])
        lines = [(number, o.batch, *line) for o in fresh for line in o.attempts]
        _LOG_ATTEMPTS.run(room.db, conn, lines)
        settled = sum(len(o.entries) for o in fresh)
        sent = sum(o.sent for o in fresh)
        counted = settlement.count(room, conn, number, settled, sent, run.per_second)
        if run.activity["hook_away_since"] and any(o.hook_answered for o in fresh):
            hook_away.over(conn, number)
        if counted is None:
            raise NotFound(f"Application {run.app.id} was deleted while its campaign ran")
        if counted.left <= 0:
            settlement.end_if_settled(room, conn, number)
    return counted.state == activities.RUNNING


def _first(room: Engage, conn: Connection, number: int, outcome: Outcome, now: float) -> bool:
    """Claim the batch's row: whoever writes it first has settled the batch."""
    row = (number, outcome.batch, outcome.kept, outcome.sent, outcome.failure, now)
    return bool(fetch(conn, room.db.sql(_CLAIM_BATCH), row))


def _cancel_stretch(room: Engage, number: int, first: int, last: int) -> None:
    with room.db.write() as conn:
        settlement.settle_rest(room, conn, number, (first, last), ledger.CANCELLED, None)
        settlement.end_if_settled(room, conn, number)
