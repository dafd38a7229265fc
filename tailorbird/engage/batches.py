"""One batch of a run: hook, checks, rendering, channel; for each endpoint one end with its
reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from tailorbird import channels
from tailorbird.channels import Message, Receipt
from tailorbird.engage import (
    content,
    delivery,
    hook_away,
    hooks,
    ledger,
    recommending,
    retries,
    returned,
    schedules,
    targeting,
)
from tailorbird.engage.apps import App
from tailorbird.engage.channel_content import Words
from tailorbird.engage.content import Content
from tailorbird.engage.ledger import Entry
from tailorbird.engage.members import Definition, Member
from tailorbird.engage.recommending import Recommender
from tailorbird.engage.render import Compiled, Rendered, RenderError
from tailorbird.engage.retries import Waiting
from tailorbird.engage.room import Engage
from tailorbird.errors import Unavailable


@dataclass(frozen=True)
class Run:
    """What all batches of an activity have in common."""

    app: App
    activity: dict[str, Any]
    campaign_id: str
    content: Content
    channels: frozenset[str]
    from_address: str
    hook: hooks.Call | None
    payload: dict[str, Any]
    began: float  # this part of the run
    custom: delivery.Custom | None = None
    others: dict[str, Words] = field(default_factory=dict)  # messages of other channels
    recommenders: dict[str, Recommender] = field(default_factory=dict)  # by channel
    blocked: str | None = None  # why no mail can be sent at all
    per_second: int | None = None
    until: float | None = None  # MaximumDuration is over
    quiet: tuple[int, int] | None = None  # QuietTime, minutes of the day
    limits: dict[str, Any] = field(default_factory=dict)
    capped: dict[int, str] = field(default_factory=dict)  # endpoints that have had enough, and why
    mail_data: dict[str, Any] = field(default_factory=dict)  # what mails carry besides
    hook_patience: float = 0.0  # seconds that a hook which is away is waited for


@dataclass
class Outcome:
    """What became of one batch."""

    batch: int
    entries: list[Entry] = field(default_factory=list)
    attempts: list[hooks.Attempt] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)  # for a later attempt
    kept: int = 0
    failure: str | None = None
    hook_answered: bool = False  # rightly or wrongly

    @property
    def sent(self) -> int:
        return sum(entry.state == ledger.SENT for entry in self.entries)


def rehearse(room: Engage, run: Run, found: list[Member]) -> tuple[Outcome, dict[str, Definition]]:
    """A batch up to its messages: the ends of those without one, and who would get one."""
    outcome = Outcome(0)
    by_id = {member.id: member for member in found}
    ready = _asked(room, run, outcome, by_id, _ready(room, run, outcome, found))
    return outcome, _sendable(run, outcome, by_id, ready)


def compiled_for(run: Run, channel: str) -> Compiled:
    """What a run says on a channel."""
    other = run.others.get(channel)
    return other.selection.compiled if other else run.content.compiled


def settle(room: Engage, run: Run, batch: int, found: list[Member]) -> Outcome:
    """Take one batch to its end. Unavailable when a channel is away, SetAside when its hook is:
    nothing was sent then.
    """
    outcome = Outcome(batch)
    if run.blocked and run.custom is None and not run.others:
        return _all(outcome, found, ledger.CHANNEL_FAILED, run.blocked)
    if run.until is not None and room.clock.now() > run.until:
        return _all(outcome, found, ledger.EXPIRED)
    by_id = {member.id: member for member in found}
    ready = _asked(room, run, outcome, by_id, _ready(room, run, outcome, found))
    outcome.kept = len(ready)
    ready = _sendable(run, outcome, by_id, ready)
    ready = _delivered(room, run, outcome, by_id, ready)
    for channel in sorted({endpoint["ChannelType"] for endpoint in ready.values()}):
        chosen = {k: e for k, e in ready.items() if e["ChannelType"] == channel}
        blocked = run.blocked if channel == content.EMAIL else run.others[channel].blocked
        if blocked:
            outcome.entries += [
                Entry(by_id[key].number, key, ledger.CHANNEL_FAILED, blocked) for key in chosen
            ]
        else:
            _send(room, run, outcome, by_id, channel, chosen)
    return outcome


def message_id(activity_id: str, endpoint_id: str) -> str:
    """The same for every try, so that a repeated message can be recognised."""
    return hashlib.sha256(f"{activity_id}:{endpoint_id}".encode()).hexdigest()[:32]


def _all(outcome: Outcome, found: list[Member], state: str, reason: str | None = None) -> Outcome:
    outcome.entries = [Entry(m.number, m.id, state, reason) for m in found]
    outcome.failure = reason
    return outcome


def _ready(room: Engage, run: Run, outcome: Outcome, found: list[Member]) -> dict[str, Definition]:
    """Members that may still be sent to: people opt out while a campaign runs."""
    now, ready, as_stored = room.clock.now(), dict[str, Any](), _is_hook_alone(room, run)
    for member in found:
        state, reason = _state(run, member, now)
        if state is None:
            ready[member.id] = member.written if as_stored else member.definition
        else:
            outcome.entries.append(Entry(member.number, member.id, state, reason))
    return ready


def _is_hook_alone(room: Engage, run: Run) -> bool:
    """Whether the definitions that are stored go to the hook and to nobody else."""
    settings = room.settings
    recommends = bool(run.recommenders) and settings.engage_recommend_before_hook
    return run.hook is not None and not recommends and not settings.engage_hook_empty_attributes


def _state(run: Run, member: Member, now: float) -> tuple[str | None, str | None]:
    """What keeps a member from being sent to, and why."""
    if member.body is None:
        return ledger.DELETED, None
    state = targeting.refusal(
        member.channel, member.address, member.opt_out, member.status, run.channels
    )
    if state is not None:
        return state, None
    if run.quiet and _is_quiet(run.quiet, member.definition or {}, now):
        return ledger.QUIET, None
    if member.number in run.capped:
        return ledger.CAPPED, run.capped[member.number]
    return None, None


def _asked(
    room: Engage, run: Run, outcome: Outcome, by_id: dict[str, Member], ready: dict[str, Definition]
) -> dict[str, Definition]:
    """What hook and recommender leave of the batch; which of them is first is a setting."""
    steps = [_filtered, _recommended]
    if room.settings.engage_recommend_before_hook:
        steps.reverse()
    for step in steps:
        ready = step(room, run, outcome, by_id, ready)
    return ready


def _recommended(
    room: Engage, run: Run, outcome: Outcome, by_id: dict[str, Member], ready: dict[str, Definition]
) -> dict[str, Definition]:
    """With recommendations, on channels whose template names a recommender."""
    filled: dict[str, Definition] = {}
    for channel, recommender in run.recommenders.items():
        mine = {key: e for key, e in ready.items() if e.get("ChannelType") == channel}
        if not mine:
            continue
        result = recommending.fill(room, recommender, mine)
        outcome.attempts = [*outcome.attempts, *result.attempts]
        filled |= result.endpoints
        for key, reason in result.refused.items():
            entry = Entry(by_id[key].number, key, ledger.RECOMMENDATION_FAILED, reason)
            outcome.entries.append(entry)
    if not run.recommenders:
        return ready
    return {
        key: filled.get(key, endpoint)
        for key, endpoint in ready.items()
        if key in filled or endpoint.get("ChannelType") not in run.recommenders
    }


def _filtered(
    room: Engage, run: Run, outcome: Outcome, by_id: dict[str, Member], ready: dict[str, Definition]
) -> dict[str, Definition]:
    """What the hook leaves of the batch, with its changes."""
    if run.hook is None or not ready:
        return ready
    event = hooks.event_of(
        run.payload, ready, empty_attributes=room.settings.engage_hook_empty_attributes
    )
    result = hooks.filter_batch(
        run.hook, event, lenient=room.settings.engage_hook_lenient, now=room.clock.now
    )
    outcome.attempts = [*outcome.attempts, *result.attempts]
    _wait_if_away(room, run, outcome, result)
    if result.failure is not None:
        waited = hook_away.words(run.activity) if result.away else ""
        outcome.failure = f"The hook failed: {result.failure}{waited}"
    for key in ready:
        if key not in result.kept:
            state = ledger.HOOK_FAILED if outcome.failure else ledger.HOOK_FILTERED
            outcome.entries.append(Entry(by_id[key].number, key, state, outcome.failure))
    return result.kept


def _wait_if_away(room: Engage, run: Run, outcome: Outcome, result: hooks.Filtered) -> None:
    """SetAside when nobody was there to answer, and the run has the patience: what is too late by
    then has expired when its turn comes again.
    """
    now = room.clock.now()
    if result.away and hook_away.is_waited_for(run.activity, run.hook_patience, None, now):
        raise hook_away.SetAside(outcome.batch, result.attempts)
    outcome.hook_answered = not result.away


def _sendable(
    run: Run, outcome: Outcome, by_id: dict[str, Member], ready: dict[str, Definition]
) -> dict[str, Definition]:
    """The checks again on what the hook returned, and each address once."""
    sendable: dict[str, Definition] = {}
    addresses: set[str] = set()
    for key, endpoint in ready.items():
        endpoint = returned.textual(endpoint) if run.hook or run.recommenders else endpoint
        state = _refusal(endpoint, run.channels)
        if state is None and endpoint["Address"] in addresses:
            state = ledger.DUPLICATE_ADDRESS
        if state is not None:
            reason = f"{ledger.STATES[state].words} (after the hook)" if run.hook else None
            outcome.entries.append(Entry(by_id[key].number, key, state, reason))
            continue
        addresses.add(endpoint["Address"])
        sendable[key] = endpoint
    return sendable


def _delivered(
    room: Engage, run: Run, outcome: Outcome, by_id: dict[str, Member], ready: dict[str, Definition]
) -> dict[str, Definition]:
    """Hand endpoints of a custom channel to its function; those of other channels are left."""
    custom = run.custom
    if custom is None:
        return ready
    mine = {key: e for key, e in ready.items() if e["ChannelType"] in custom.types}
    if mine:
        event = hooks.event_of(
            custom.payload, mine, empty_attributes=room.settings.engage_hook_empty_attributes
        )
        result = hooks.deliver_batch(custom.call, event, now=room.clock.now)
        outcome.attempts = [*outcome.attempts, *result.attempts]
        _wait_if_away(room, run, outcome, result)
        state, reason = ledger.SENT, f"Handed to {custom.target}"
        if result.failure is not None:
            waited = hook_away.words(run.activity) if result.away else ""
            state = ledger.CHANNEL_FAILED
            reason = f"{custom.target}: {result.failure}{waited}"
            outcome.failure = reason
        outcome.entries += [Entry(by_id[key].number, key, state, reason) for key in mine]
    return {key: endpoint for key, endpoint in ready.items() if key not in mine}


def _send(
    room: Engage,
    run: Run,
    outcome: Outcome,
    by_id: dict[str, Member],
    channel: str,
    ready: dict[str, Definition],
) -> None:
    """Render and hand over what one channel has to say."""
    other = run.others.get(channel)
    compiled = other.selection.compiled if other else run.content.compiled
    for key, endpoint in ready.items():
        endpoint["Id"] = key
    messages: dict[str, Message] = {}
    activity_id, treatment_id = run.activity["id"], run.activity["treatment_id"]
    sender = other.sender if other else run.from_address
    for (key, endpoint), result in zip(
        ready.items(),
        compiled.render(list(ready.values()), now=room.clock.now()),
        strict=True,
    ):
        if isinstance(result, RenderError):
            entry = Entry(by_id[key].number, key, ledger.RENDER_FAILED, result.message)
            outcome.entries.append(entry)
            continue
        messages[key] = Message(
            id=message_id(activity_id, key),
            application_id=run.app.id,
            channel_type=channel,
            address=endpoint["Address"],
            campaign_id=run.campaign_id,
            endpoint_id=key,
            from_address=sender,
            subject=result.subject,
            html=result.html,
            text=result.text,
            headers=result.headers,
            activity_id=activity_id,
            treatment_id=treatment_id,
            data=_data(run, channel, result),
        )
    if not messages:
        return
    receipts = _hand_over(room, outcome, channel, list(messages.values()))
    for (key, message), receipt in zip(messages.items(), receipts, strict=True):
        member = by_id[key]
        done = receipt.status == channels.SUCCESSFUL
        if not done and retries.wanted(room, channel, receipt.status, made=1):
            reason = retries.words(receipt)
            outcome.waiting.append(Waiting(member.number, member.id, message, reason, run.until))
        else:
            outcome.entries.append(retries.entry(member.number, member.id, receipt, message))


def _data(run: Run, channel: str, rendered: Rendered) -> dict[str, Any]:
    other = run.others.get(channel)
    if other is None:
        return run.mail_data
    return content.data_of(channel, other.selection.message, rendered)


def _hand_over(
    room: Engage, outcome: Outcome, channel: str, messages: list[Message]
) -> list[Receipt]:
    """The receipts; Unavailable only when nothing of the whole batch was handed over."""
    try:
        return channels.send_batch(room.channels, channel, messages)
    except Unavailable as away:
        if not outcome.sent and not outcome.waiting:
            raise
        return channels.not_taken(messages, away.message)


def _refusal(endpoint: Definition, wanted: frozenset[str]) -> str | None:
    return targeting.refusal(
        endpoint.get("ChannelType"), endpoint.get("Address"), endpoint.get("OptOut"),
        endpoint.get("EndpointStatus"), wanted,
    )  # fmt: skip


def _is_quiet(quiet: tuple[int, int], endpoint: Definition, now: float) -> bool:
    zone = (endpoint.get("Demographic") or {}).get("Timezone")
    return schedules.is_quiet(quiet, zone, now)
