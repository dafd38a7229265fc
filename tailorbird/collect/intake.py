"""One request: whose it is, which of its calls are taken, and durable before it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tailorbird.collect import append, sources
from tailorbird.collect.append import Entry
from tailorbird.collect.calls import Receipt
from tailorbird.collect.receive import BATCH_MAX_CALLS, Body, Refused, Taken, parse, take
from tailorbird.collect.room import Collect
from tailorbird.collect.sources import UNKNOWN, Source

PORTION_CALLS = 500


@dataclass(frozen=True, slots=True)
class Request:
    """What came in, as far as it is not HTTP."""

    body: bytes
    call_type: str | None  # None is a batch
    write_key: str | None = None
    client: bool = False
    ip: str | None = None
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was taken (durably) and what was not, with reasons."""

    kept: int
    fresh: int
    refused: list[Refused]


async def take_calls(room: Collect, request: Request) -> Outcome:
    """Check and store the calls of a request. Invalid and TooLarge refuse the whole of it."""
    now = room.clock.now()
    body = parse(request.body, is_batch=request.call_type is None)
    key = request.write_key or body.write_key
    source = room.keys.find(key) if key else None
    if source is None or not source.enabled:
        owner = UNKNOWN if source is None else source.id
        entry = Entry(owner, now, (), [_nobody(request, body, key, source)])
    else:
        receipt = Receipt(
            source.id,
            source.write_key,
            datetime.fromtimestamp(now, UTC).replace(tzinfo=None),
            body.sent_at,
            body.context,
            body.integrations,
            request.client or source.client,
            request.ip,
        )
        taken = _whole(body, request) or take(body, receipt, request.call_type)
        entry = Entry(source.id, now, taken.kept, taken.refused, request.function)
    fresh = await room.log.append(entry)
    return Outcome(len(entry.kept), fresh, list(entry.refused))


def put_calls(room: Collect, source_id: str, calls: Sequence[dict[str, Any]]) -> None:
    """Append calls of the house itself to a source's log; one whose id is known is dropped.

    NotFound when there is no such source; with no calls, only that is asked.
    """
    source, now = sources.get(room.db, source_id), room.clock.now()
    received = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    receipt = Receipt(source_id, _key_of(source), received, None, None, None, False, None)
    for start in range(0, len(calls), PORTION_CALLS):
        taken = take(Body(calls[start : start + PORTION_CALLS], True), receipt)
        drafted = append.draft([Entry(source_id, now, taken.kept, taken.refused)])
        with room.db.write() as conn:
            append.write(room.db, conn, drafted, now, room.log.seen)


def _key_of(source: dict[str, Any]) -> str:
    return str((source["write_keys"] or [""])[0])


def _nobody(request: Request, body: Body, key: str | None, source: Source | None) -> Refused:
    """Calls nobody takes: no key, a key without a source, a source that is switched off."""
    if source is not None:
        reason, why = "source_disabled", f"source {source.id} is disabled"
    elif key:
        reason, why = "unknown_source", f"no source has the write key {key[:4]}..."
    else:
        reason = "unknown_source"
        why = "no write key: send Basic authorization (key as user name) or writeKey in the body"
    where = "batch" if body.is_batch else "call"
    return Refused(where, request.call_type or "", reason, why, "", len(body.calls))


def _whole(body: Body, request: Request) -> Taken | None:
    """A batch that is refused as it stands."""
    n = len(body.calls)
    if n > BATCH_MAX_CALLS:
        why = f"the batch has {n} calls; at most {BATCH_MAX_CALLS}"
        return Taken([], [Refused("batch", "", "bad_request", why, "", n)])
    if n == 0:
        return Taken([], [Refused("batch", "", "empty_batch", "the batch is empty", "", 1)])
    return None
