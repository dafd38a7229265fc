"""Campaign hooks: a customer's function sees each batch of endpoints before it is sent.

FILTER waits for the function and sends only to the endpoints it returns, as it returned them.
Nothing is written
back to the stored endpoints. Source: Pinpoint developer guide, "Customizing segments with AWS
Lambda".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import orjson

from tailorbird.clock import iso
from tailorbird.errors import Denied, Invalid, NotBuilt, NotFound, TailorbirdError

BATCH_SIZE = 50
TIMEOUT_SECONDS = 15.0
MAX_ATTEMPTS = 3
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
RETRY_PAUSE_SECONDS = 0.2
HOPELESS = (Denied, NotFound, Invalid, NotBuilt)  # the next attempt would end the same way
DETAIL_CHARS = 2_000
AWAY = "away"
MAPS = ("Attributes", "Metrics", "User", "Demographic", "Location")

log = logging.getLogger("tailorbird.engage")

Endpoint = dict[str, Any]


class Answer(Protocol):
    """What a function answered (an Invocation of the functions room)."""

    @property
    def payload(self) -> bytes: ...
    @property
    def function_error(self) -> str | None: ...
    @property
    def request_id(self) -> str: ...


Call = Callable[[bytes], Answer]


class Attempt(NamedTuple):
    """One line of the attempt log."""

    attempt: int
    started: float
    duration_ms: float
    outcome: str  # ok, denied, error, undecodable, away
    detail: str | None
    request_id: str | None


@dataclass
class Filtered:
    """What is left of a batch: the endpoints as the function returned them, or why there are
    none.
    """

    kept: dict[str, Endpoint] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    failure: str | None = None

    @property
    def away(self) -> bool:
        """Nobody was there who could answer, at the last attempt."""
        return self.failure is not None and bool(
            self.attempts and self.attempts[-1].outcome == AWAY
        )


class Away(TailorbirdError):
    """Nobody is there who could answer for the hook."""


class Undecodable(Exception):
    """The answer is not a map of endpoint ids to definitions."""


def event_of(
    run: dict[str, Any], endpoints: dict[str, Endpoint], *, empty_attributes: bool = False
) -> dict[str, Any]:
    """The payload of one call; `run` holds everything but the endpoints."""
    if empty_attributes:
        endpoints = {k: {"Attributes": {}, **endpoint} for k, endpoint in endpoints.items()}
    return {**run, "Endpoints": endpoints}


def run_of(
    application_id: str, campaign_id: str, treatment_id: str, activity_id: str, scheduled: float,
    message: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """What every batch of an activity tells the function."""
    return {
        "MessageConfiguration": message,
        "ApplicationId": application_id,
        "CampaignId": campaign_id,
        "TreatmentId": treatment_id,
        "ActivityId": activity_id,
        "ScheduledTime": iso(scheduled),
    }


def filter_batch(
    call: Call,
    event: dict[str, Any],
    *,
    lenient: bool = False,
    now: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> Filtered:
    """Call the function up to three times; whatever goes wrong stays in this batch."""
    asked = event["Endpoints"]
    return _tried(call, event, lambda payload: decode(payload, asked, lenient=lenient), now, pause)


def deliver_batch(
    call: Call,
    event: dict[str, Any],
    *,
    now: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> Filtered:
    """Hand a batch to a function that delivers it; whatever it returns, it has taken all."""
    return _tried(call, event, lambda _payload: dict(event["Endpoints"]), now, pause)


def _tried(
    call: Call,
    event: dict[str, Any],
    read: Callable[[bytes], dict[str, Endpoint]],
    now: Callable[[], float],
    pause: Callable[[float], None],
) -> Filtered:
    payload = orjson.dumps(event)
    if len(payload) > MAX_PAYLOAD_BYTES:
        reason = f"the payload has {len(payload)} bytes; {MAX_PAYLOAD_BYTES} is the limit"
        return Filtered(failure=reason)
    result = Filtered()
    for number in range(1, MAX_ATTEMPTS + 1):
        kept, attempt, hopeless = _attempt(
            call, payload, len(event["Endpoints"]), read, number, now
        )
        result.attempts.append(attempt)
        if kept is not None:
            result.kept = kept
            return result
        if hopeless:
            break
        if number < MAX_ATTEMPTS:
            pause(RETRY_PAUSE_SECONDS)
    result.failure = _failure(result.attempts)
    return result


def decode(
    payload: bytes, asked: dict[str, Endpoint], *, lenient: bool = False
) -> dict[str, Endpoint]:
    """The endpoints a function returned; ids it was not asked about are dropped. Undecodable
    otherwise.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Undecodable(f"it has {len(payload)} bytes; {MAX_PAYLOAD_BYTES} is the limit")
    try:
        returned = orjson.loads(payload)
        if lenient:
            returned = _unwrapped(returned, asked)
    except orjson.JSONDecodeError as error:
        raise Undecodable(f"it is not JSON ({error})") from None
    _check_map(returned, asked)
    unknown = [key for key in returned if key not in asked]
    if unknown:
        log.warning("a hook returned %d endpoints it was not given: %s", len(unknown), unknown[:3])
    return {key: returned[key] for key in asked if key in returned}


def _attempt(
    call: Call,
    payload: bytes,
    asked: int,
    read: Callable[[bytes], dict[str, Endpoint]],
    number: int,
    now: Callable[[], float],
) -> tuple[dict[str, Endpoint] | None, Attempt, bool]:
    started, clock = now(), time.perf_counter()

    def line(outcome: str, detail: str | None = None, request_id: str | None = None) -> Attempt:
        duration = round((time.perf_counter() - clock) * 1000, 3)
        cut = detail[:DETAIL_CHARS] if detail else None
        return Attempt(number, started, duration, outcome, cut, request_id)

    try:
        answer = call(payload)
    except HOPELESS as error:
        outcome = "denied" if isinstance(error, Denied) else "error"
        return None, line(outcome, error.message), True
    except Away as error:
        return None, line(AWAY, error.message), False
    except TailorbirdError as error:
        return None, line("error", error.message), False
    if answer.function_error:
        return None, line("error", _function_error(answer), answer.request_id), False
    try:
        kept = read(answer.payload)
    except Undecodable as error:
        detail = f"what it returned cannot be decoded: {error}"
        return None, line("undecodable", detail, answer.request_id), False
    return kept, line("ok", f"{len(kept)} of {asked}", answer.request_id), False


def _failure(attempts: list[Attempt]) -> str:
    last = attempts[-1]
    if last.outcome == "denied" or len(attempts) == 1:
        return str(last.detail)
    return f"{last.detail} (attempt {last.attempt} of {MAX_ATTEMPTS})"


def _function_error(answer: Answer) -> str:
    try:
        error = orjson.loads(answer.payload)
        words = f"{error.get('errorType', 'Error')}: {error['errorMessage']}"
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        words = answer.payload[:DETAIL_CHARS].decode(errors="replace")
    return f"the function failed ({words})"


def _unwrapped(returned: Any, asked: dict[str, Endpoint]) -> Any:
    """Lenient: the whole event, `{Endpoints}` and `{statusCode, body}` are opened, with a
    warning.
    """
    if isinstance(returned, dict) and "body" in returned and "statusCode" in returned:
        log.warning("a hook returned {statusCode, body}; its body is taken")
        body = returned["body"]
        returned = orjson.loads(body) if isinstance(body, str) else body
    inside = returned.get("Endpoints") if isinstance(returned, dict) else None
    if isinstance(inside, dict) and "Endpoints" not in asked:
        log.warning("a hook returned {Endpoints}; its content is taken")
        return inside
    return returned


def _check_map(returned: Any, asked: dict[str, Endpoint]) -> None:
    if not isinstance(returned, dict):
        kind = "null" if returned is None else type(returned).__name__
        raise Undecodable(f"it is {kind}, not a map of endpoint ids to definitions")
    if "Endpoints" in returned and "Endpoints" not in asked:
        raise Undecodable("it is the event or {Endpoints}; the map inside has to be returned")
    for key, endpoint in returned.items():
        if not isinstance(endpoint, dict):
            raise Undecodable(f"{key!r} is not an endpoint definition but {endpoint!r:.60}")
        for part in MAPS:
            if endpoint.get(part) is not None and not isinstance(endpoint[part], dict):
                raise Undecodable(f"{part} of endpoint {key!r} is not a map")
