"""Messages that failed for the moment are tried again later, they alone and as they were.

A message is tried once and then after each wait of `channel_retry_seconds`; until its last attempt
its endpoint has no row in the ledger, so its run is not over. Whoever opted out meanwhile is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec.structs import asdict
from sqlalchemy.engine import Connection

from tailorbird import channels
from tailorbird.channels import Message, Receipt
from tailorbird.engage import activities, ledger, message_events, sent_events, settlement, targeting
from tailorbird.engage import retry_tables as rt
from tailorbird.engage import tables as t
from tailorbird.engage.ledger import Entry
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, Unavailable
from tailorbird.settings import Settings
from tailorbird.store import Job, insert

RETRY = "engage.retry"
QUEUE = "engage"
GRAIN_SECONDS = 5.0  # messages due within this are tried together
CLAIM_SECONDS = 300.0  # a message claimed by a process that died is tried again after this
PORTION = 200


class Waiting(NamedTuple):
    """One message that waits for its next attempt."""

    endpoint: int
    endpoint_id: str
    message: Message
    reason: str
    until: float | None = None
    made: int = 1  # attempts


def delays(settings: Settings) -> list[float]:
    """The waits before the second, third, ... attempt."""
    try:
        found = [float(part) for part in settings.channel_retry_seconds.split(",") if part.strip()]
    except ValueError:
        found = [-1.0]
    if any(seconds < 0 for seconds in found):
        given = settings.channel_retry_seconds
        raise Invalid(f"channel_retry_seconds is {given!r}; it has the form 60,300,900")
    return found


def wanted(room: Engage, channel_type: str, status: str, *, made: int) -> bool:
    """May a message with this receipt be tried again, after so many attempts?"""
    may = channels.may_repeat(room.channels, channel_type, status)
    return may and made <= len(delays(room.settings))


def words(receipt: Receipt) -> str:
    return f"{receipt.status}: {receipt.message}"


def entry(
    endpoint: int, endpoint_id: str, receipt: Receipt, message: Message, *, made: int = 1
) -> Entry:
    """The end that a receipt stands for."""
    if receipt.status == channels.SUCCESSFUL:
        return Entry(endpoint, endpoint_id, ledger.SENT, receipt.message or None, message)
    tried = f" (attempt {made}, the last)" if made > 1 else ""
    return Entry(endpoint, endpoint_id, ledger.CHANNEL_FAILED, words(receipt) + tried, message)


def keep(room: Engage, conn: Connection, activity: int, waiting: Sequence[Waiting]) -> None:
    """Write down messages that wait, in the transaction that settles the rest of their batch."""
    if not waiting:
        return
    now, waits = room.clock.now(), delays(room.settings)
    rows = [
        {
            "activity": activity, "endpoint": one.endpoint, "endpoint_id": one.endpoint_id,
            "attempt": one.made, "due": now + waits[one.made - 1], "until": one.until,
            "message": _document(one.message),
            "reason": one.reason,
        }
        for one in waiting
    ]  # fmt: skip
    adding = insert(room.db, rt.retries)
    changed = ("attempt", "due", "reason")
    conn.execute(
        adding.on_conflict_do_update(
            index_elements=["activity", "endpoint"],
            set_={name: adding.excluded[name] for name in changed},
        ),
        rows,
    )
    for made in {one.made for one in waiting}:
        _plan(room, conn, activity, now + waits[made - 1])


def _document(message: Message) -> dict[str, Any]:
    """A message as it is kept; whole mails (`raw`) are direct messages and never wait."""
    return {name: value for name, value in asdict(message).items() if name != "raw"}


def work(room: Engage, job: Job) -> None:
    """Try the messages of an activity that are due."""
    number = job.payload["activity"]
    with room.db.read() as conn:
        activity = activities.read(conn, number)
    while waiting := _claim(room, number):
        if activity is None or activity["state"] != activities.RUNNING:
            _settle(room, number, [], [], waiting)  # the activity's end has settled them
            continue
        ends, ready = _refused(room, waiting)
        again: list[Waiting] = []
        for channel_type in sorted({one.message.channel_type for one in ready}):
            mine = [one for one in ready if one.message.channel_type == channel_type]
            _try(room, channel_type, mine, ends, again)
        _settle(room, number, ends, again, waiting)
    _plan_rest(room, number)


def _try(
    room: Engage,
    channel_type: str,
    waiting: list[Waiting],
    ends: list[Entry],
    again: list[Waiting],
) -> None:
    messages = [one.message for one in waiting]
    try:
        receipts = channels.send_batch(room.channels, channel_type, messages)
    except Unavailable as away:
        receipts = channels.not_taken(messages, away.message)
    for one, receipt in zip(waiting, receipts, strict=True):
        made = one.made + 1
        if wanted(room, channel_type, receipt.status, made=made):
            again.append(one._replace(made=made, reason=words(receipt)))
        else:
            ends.append(entry(one.endpoint, one.endpoint_id, receipt, one.message, made=made))


def _claim(room: Engage, number: int) -> list[Waiting]:
    """Some messages that are due, which nobody else takes for a while."""
    c, now = rt.retries.c, room.clock.now()
    with room.db.write() as conn:
        due = (
            sa.select(c.endpoint)
            .where(c.activity == number, c.due <= now)
            .order_by(c.due)
            .limit(PORTION)
        )
        if room.db.dialect == "postgresql":
            due = due.with_for_update(skip_locked=True)
        chosen = list(conn.execute(due).scalars())
        mine = (c.activity == number, c.endpoint.in_(chosen))
        claimed = sa.update(rt.retries).where(*mine).values(due=now + CLAIM_SECONDS)
        rows = conn.execute(claimed.returning(rt.retries)).mappings().all() if chosen else []
    return [
        Waiting(
            row["endpoint"], row["endpoint_id"], Message(**row["message"]), row["reason"],
            row["until"], row["attempt"],
        )
        for row in rows
    ]  # fmt: skip


def _refused(room: Engage, waiting: list[Waiting]) -> tuple[list[Entry], list[Waiting]]:
    """Those who may not be sent to any more, with their ends, and the others."""
    c, now = t.endpoints.c, room.clock.now()
    numbers = [one.endpoint for one in waiting]
    query = sa.select(c.number, c.opt_out, c.status).where(c.number.in_(numbers))
    with room.db.read() as conn:
        known = {row.number: row for row in conn.execute(query)}
    ends, ready = [], []
    for one in waiting:
        state = _refusal(one, known.get(one.endpoint), now)
        if state is None:
            ready.append(one)
        else:
            ends.append(Entry(one.endpoint, one.endpoint_id, state))
    return ends, ready


def _refusal(one: Waiting, endpoint: Any, now: float) -> str | None:
    if endpoint is None:
        return ledger.DELETED
    if one.until is not None and now > one.until:
        return ledger.EXPIRED
    channel = one.message.channel_type
    return targeting.refusal(
        channel, one.message.address, endpoint.opt_out, endpoint.status, (channel,)
    )


def _settle(
    room: Engage, number: int, ends: list[Entry], again: list[Waiting], claimed: list[Waiting]
) -> None:
    """Write the ends down, but none for whom the activity's own end was quicker."""
    c, now = rt.retries.c, room.clock.now()
    kept = {one.endpoint for one in again}
    over = [one.endpoint for one in claimed if one.endpoint not in kept]
    with room.db.write() as conn:
        activity = activities.read(conn, number)
        settled = _settled(conn, number, [one.endpoint for one in claimed])
        conn.execute(
            sa.delete(rt.retries).where(c.activity == number, c.endpoint.in_([*over, *settled]))
        )
        if activity is None:
            return
        fresh = [one for one in ends if one.endpoint not in settled]
        ledger.record(room, conn, number, fresh, now)
        mine = message_events.note(room, conn, activity, fresh, now)
        sent_events.fire(room, conn, mine, fresh)
        keep(room, conn, number, [one for one in again if one.endpoint not in settled])
        sent = sum(one.state == ledger.SENT for one in fresh)
        settlement.count(room, conn, number, len(fresh), sent)
        settlement.end_if_settled(room, conn, number)


def _settled(conn: Connection, number: int, endpoints: list[int]) -> set[int]:
    c = t.ledger.c
    query = sa.select(c.endpoint).where(c.activity == number, c.endpoint.in_(endpoints))
    return set(conn.execute(query).scalars())


def _plan_rest(room: Engage, number: int) -> None:
    """A job for what is left, also for what a process that died had claimed."""
    c = rt.retries.c
    with room.db.write() as conn:
        due = conn.scalar(sa.select(sa.func.min(c.due)).where(c.activity == number))
        if due is not None:
            _plan(room, conn, number, due)


def _plan(room: Engage, conn: Connection, number: int, due: float) -> None:
    turn = int(due // GRAIN_SECONDS) + 1
    payload, key = {"activity": number}, f"{RETRY}:{number}:{turn}"
    room.jobs.enqueue(conn, RETRY, payload, queue=QUEUE, key=key, due=turn * GRAIN_SECONDS)
