"""Invoke: the one door to customers' code, for signed callers, services and roles alike.

Source: Lambda API reference, Invoke; developer guide, "Asynchronous invocation", "Lambda quotas".
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Mapping
from typing import Any

import orjson

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid, Throttled, TooLarge, Unavailable
from tailorbird.functions import names, permissions
from tailorbird.functions.callers import RoleCaller, ServiceCaller
from tailorbird.functions.execution import Invocation, execute
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.resolve import FunctionVersion, resolve
from tailorbird.functions.room import Functions
from tailorbird.store import Job, Kind
from tailorbird.store.jobs import Later

MAX_PAYLOAD_BYTES = 6_291_456
MAX_EVENT_BYTES = 1_048_576
MAX_CLIENT_CONTEXT_BYTES = 3583
EVENT_RETRIES = 2
EVENT_RETRY_SECONDS = (60.0, 120.0)
EVENT_MAX_AGE_SECONDS = 6 * 3600.0
THROTTLED_FIRST_SECONDS = 1.0
THROTTLED_MAX_SECONDS = 300.0
EVENT_JOB = "functions.event"

log = logging.getLogger("tailorbird.functions")


def invoke(
    room: Functions,
    name_or_arn: str,
    payload: bytes,
    *,
    caller: ServiceCaller | RoleCaller | Caller,
    account: str,
    region: str,
    qualifier: str | None = None,
    timeout: float | None = None,
    log_type: str = "None",
    client_context: str | None = None,
) -> Invocation:
    """Run a function and wait for its end. `timeout` is how long the caller waits, in seconds.

    `client_context` is base64 of a JSON object, as in the API. Denied ends with the command that
    would allow the caller; NotFound, TooLarge, Throttled and Unavailable say what they say.
    """
    ref = names.parse(name_or_arn, account, region, qualifier)
    version = _allowed(room, ref, caller)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _too_large(len(payload), "RequestResponse", MAX_PAYLOAD_BYTES)
    request_id = getattr(caller, "request_id", None) or ids.uuid4()
    done = execute(
        room.supervisor,
        version,
        ref,
        payload or b"{}",
        request_id,
        patience_seconds=timeout,
        client_context=_client_context(client_context),
    )
    return done if log_type == "Tail" else _without_log(done)


def invoke_function(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The operation Invoke, in its three types."""
    payload = request.get("Payload") or b""
    kind = request.get("InvocationType") or "RequestResponse"
    ref = names.parse(
        request["FunctionName"], caller.account, caller.region, request.get("Qualifier")
    )
    if kind == "DryRun":
        _allowed(room, ref, caller)
        return {"StatusCode": 204}
    _check_json(payload)
    if kind == "Event":
        return _enqueue(room, ref, caller, payload)
    done = invoke(
        room,
        request["FunctionName"],
        payload,
        caller=caller,
        account=caller.account,
        region=caller.region,
        qualifier=request.get("Qualifier"),
        log_type=request.get("LogType") or "None",
        client_context=request.get("ClientContext"),
    )
    answer: dict[str, Any] = {
        "StatusCode": done.status,
        "ExecutedVersion": done.executed_version,
        "Payload": done.payload,
    }
    if done.function_error:
        answer["FunctionError"] = done.function_error
    if done.log_tail is not None:
        answer["LogResult"] = base64.b64encode(done.log_tail.encode(errors="replace")).decode()
    return answer


def job_kinds(room: Functions) -> dict[str, Kind]:
    """Asynchronous invocations, delivered from the job table."""
    return {EVENT_JOB: Kind(run=lambda job: _deliver(room, job), queue="functions")}


def _allowed(
    room: Functions, ref: FunctionRef, caller: ServiceCaller | RoleCaller | Caller
) -> FunctionVersion:
    version, policy = resolve(room, ref)
    permissions.check(room, ref, policy, caller)
    return version


def _enqueue(room: Functions, ref: FunctionRef, caller: Caller, payload: bytes) -> dict[str, Any]:
    """Accept an event: from here on it is delivered, whatever happens to this process."""
    if len(payload) > MAX_EVENT_BYTES:
        raise _too_large(len(payload), "Event", MAX_EVENT_BYTES)
    _allowed(room, ref, caller)
    event = {
        "account": ref.account,
        "region": ref.region,
        "name": ref.name,
        "qualifier": ref.qualifier,
        "payload": (payload or b"{}").decode(),
        "request_id": caller.request_id,
        "accepted": room.clock.now(),
        "attempt": 0,
    }
    with room.db.write() as conn:
        room.jobs.enqueue(conn, EVENT_JOB, event, queue="functions", max_attempts=1_000_000)
    return {"StatusCode": 202}


def _deliver(room: Functions, job: Job) -> None:
    """One attempt; a function error is tried again after one and two minutes, then given up."""
    event = job.payload
    ref = FunctionRef(event["account"], event["region"], event["name"], event["qualifier"])
    age = room.clock.now() - event["accepted"]
    version, _ = resolve(room, ref)
    try:
        done = execute(
            room.supervisor, version, ref, event["payload"].encode(), event["request_id"]
        )
    except (Throttled, Unavailable) as refused:
        if age > EVENT_MAX_AGE_SECONDS:
            raise Invalid(f"{ref.arn}: given up after {age:.0f} s: {refused.message}") from refused
        wait = min(THROTTLED_MAX_SECONDS, THROTTLED_FIRST_SECONDS + age)
        raise Later(wait) from refused
    attempt = event["attempt"]
    with room.db.write() as conn:
        if done.function_error and attempt < EVENT_RETRIES:
            due = room.clock.now() + EVENT_RETRY_SECONDS[attempt]
            again = {**event, "attempt": attempt + 1}
            room.jobs.enqueue(
                conn, EVENT_JOB, again, queue="functions", due=due, max_attempts=1_000_000
            )
        outcome = done.payload[:1000].decode(errors="replace")
        job.finish(conn, {"error": done.function_error, "payload": outcome, "attempt": attempt})
    if done.function_error and attempt >= EVENT_RETRIES:
        log.warning("%s: event %s given up: %s", ref.arn, event["request_id"], outcome)


def _check_json(payload: bytes) -> None:
    if not payload:
        return
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Invalid(
            f"Could not parse request body into json: Could not parse payload into json: {error}",
            code="InvalidRequestContentException",
        ) from None


def _client_context(encoded: str | None) -> str | None:
    """The JSON of a base64 client context, on one line of ASCII for the runtime's header."""
    if not encoded:
        return None
    if len(encoded) > MAX_CLIENT_CONTEXT_BYTES:
        raise Invalid(
            f"Client context has {len(encoded)} bytes; at most {MAX_CLIENT_CONTEXT_BYTES} may be",
            code="InvalidRequestContentException",
        )
    try:
        found = json.loads(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):
        found = None
    if not isinstance(found, Mapping):
        raise Invalid(
            "Client context must be a valid Base64-encoded JSON object.",
            code="InvalidRequestContentException",
        )
    return json.dumps(found, separators=(",", ":"))


def _without_log(done: Invocation) -> Invocation:
    return Invocation(
        done.status,
        done.payload,
        done.function_error,
        None,
        done.executed_version,
        done.request_id,
        done.duration_ms,
    )


def _too_large(size: int, kind: str, limit: int) -> TooLarge:
    return TooLarge(
        f"{size} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
        code="RequestTooLargeException",
    )
