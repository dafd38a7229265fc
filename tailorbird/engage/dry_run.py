"""A campaign without its messages: whom it would reach, what its hook would leave out or change,
and what each message would say. Nothing is sent and nothing is written.

The hook is really called, for a function is the only one who knows what it would do.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird.engage import (
    activities,
    apps,
    audience,
    batches,
    campaigns,
    hook_away,
    ledger,
    members,
    stretch,
)
from tailorbird.engage.apps import App
from tailorbird.engage.batches import Run
from tailorbird.engage.members import Definition, Member
from tailorbird.engage.render import RenderError
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 1_000
WOULD_SEND = "would_send"
ABSENT = object()


class Rehearsed(NamedTuple):
    """What would become of the endpoints of one treatment."""

    shown: list[dict[str, Any]]
    attempts: list[dict[str, Any]]


def dry_run(
    room: Engage, application_id: str, campaign_id: str, limit: int = DEFAULT_LIMIT
) -> dict[str, Any]:
    """The first `limit` endpoints of a campaign, each with what would become of it and why."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid(f"limit is {limit}; 1 to {MAX_LIMIT} endpoints are right")
    with room.db.read() as conn:
        app = apps.by_id(conn, application_id)
        campaign = campaigns.find(conn, app, campaign_id)
        away = hook_away.of_campaign(conn, campaign_id)
        looked_at, found = audience.sample(room, conn, app, campaign, limit)
        refused = [one for one in found if one.state is not None]
        by_treatment: dict[str, list[int]] = {}
        for one in found:
            if one.state is None:
                by_treatment.setdefault(one.treatment_id, []).append(one.number)
        runs = {
            treatment_id: _prepared(room, conn, app, campaign, treatment_id, numbers)
            for treatment_id, numbers in by_treatment.items()
        }
    shown = [
        {
            "endpoint": one.id, "treatment": one.treatment_id, "outcome": one.state,
            "reason": one.reason or ledger.STATES[one.state].words,
        }
        for one in refused
        if one.state is not None
    ]  # fmt: skip
    tried: list[dict[str, Any]] = []
    for treatment_id, (run, mine) in sorted(runs.items()):
        rehearsed = _rehearse(room, run, treatment_id, mine)
        shown += rehearsed.shown
        tried += rehearsed.attempts
    return {
        "campaign": campaign_id,
        "version": campaign["version"],
        "looked_at": looked_at,
        "counts": dict(Counter(one["outcome"] for one in shown)),
        "hook_attempts": tried,
        "hook_away": away,
        "endpoints": shown,
    }


def _prepared(
    room: Engage, conn: Connection, app: App, campaign: dict[str, Any], treatment_id: str,
    numbers: list[int],
) -> tuple[Run, list[Member]]:  # fmt: skip
    """A run that is none, and its members."""
    now = room.clock.now()
    activity = {
        "number": 0, "id": activities.DRY_RUN, "application_id": app.id,
        "campaign_id": campaign["id"], "campaign_version": campaign["version"],
        "treatment_id": treatment_id, "scheduled": now, "started": now, "planned": now,
        "legs": [{"due": now, "members": len(numbers)}], "template_version": None,
        "batch_size": room.settings.engage_hook_batch_size,
    }  # fmt: skip
    run = stretch.run_of(room, conn, activity, 0)
    return run, members.by_number(room, conn, numbers)


def _rehearse(room: Engage, run: Run, treatment_id: str, members: list[Member]) -> Rehearsed:
    """Each batch through the hook and the checks, then into words instead of a channel."""
    shown: list[dict[str, Any]] = []
    attempts: list[dict[str, Any]] = []
    size = run.activity["batch_size"]
    for start in range(0, len(members), size):
        batch = members[start : start + size]
        before = {member.id: member.definition or {} for member in batch}
        outcome, ready = batches.rehearse(room, run, batch)
        attempts += [{"endpoints": len(batch), **attempt._asdict()} for attempt in outcome.attempts]
        for entry in outcome.entries:
            reason = entry.reason or ledger.STATES[entry.state].words
            shown.append(
                {
                    "endpoint": entry.endpoint_id, "treatment": treatment_id,
                    "outcome": entry.state, "reason": reason,
                }
            )  # fmt: skip
        for key, endpoint in ready.items():
            changes = difference(before[key], endpoint)
            told = {"endpoint": key, "treatment": treatment_id, "outcome": WOULD_SEND}
            shown.append({**told, "changes": changes, **_preview(room, run, key, endpoint)})
    return Rehearsed(shown, attempts)


def _preview(room: Engage, run: Run, key: str, endpoint: Definition) -> dict[str, Any]:
    """The message as it would leave, or why there would be none."""
    channel = endpoint["ChannelType"]
    if run.custom is not None and channel in run.custom.types:
        return {"preview": {"channel": channel, "delivered_by": run.custom.target}}
    compiled = batches.compiled_for(run, channel)
    (result,) = compiled.render([{**endpoint, "Id": key}], now=room.clock.now())
    if isinstance(result, RenderError):
        return {"outcome": ledger.RENDER_FAILED, "reason": result.message}
    parts = {"subject": result.subject, "html": result.html, "text": result.text}
    filled = {name: text for name, text in parts.items() if text}
    return {"preview": {"channel": channel, "address": endpoint["Address"], **filled}}


def difference(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """What a hook changed: `{path, before, after}` of each value; what is absent has no key."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for name in sorted({*before, *after}):
            inner = f"{path}.{name}" if path else str(name)
            found += difference(before.get(name, ABSENT), after.get(name, ABSENT), inner)
        return found
    if before == after:
        return []
    sides = {"before": before, "after": after}
    return [{"path": path, **{name: v for name, v in sides.items() if v is not ABSENT}}]
