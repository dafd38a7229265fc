"""Invoke: the one door to customers' code, for signed callers, services and roles alike.

Source: Lambda API reference, Invoke; developer guide, "Asynchronous invocation", "Lambda quotas".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotBuilt
from tailorbird.functions import deliveries, lineage, names, permissions, shelf
from tailorbird.functions.callers import RoleCaller, ServiceCaller
from tailorbird.functions.execution import Invocation, execute, stream
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.resolve import FunctionVersion, resolve
from tailorbird.functions.room import Functions
from tailorbird.store import Kind

MAX_PAYLOAD_BYTES = 6_291_456
MAX_CLIENT_CONTEXT_BYTES = 3583
NOT_BUILT = ("TenantId", "DurableExecutionName")


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
        raise deliveries.too_large(len(payload), "RequestResponse", MAX_PAYLOAD_BYTES)
    request_id = getattr(caller, "request_id", None) or ids.uuid4()
    trace = getattr(caller, "trace", "")
    lineage.check(version, trace)
    done = execute(
        room.supervisor,
        version,
        ref,
        payload or b"{}",
        request_id,
        patience_seconds=timeout,
        client_context=_client_context(client_context),
        trace=trace,
    )
    return done if log_type == "Tail" else _without_log(done)


def invoke_function(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The operation Invoke, in its three types."""
    _check_built(request)
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
        _allowed(room, ref, caller)
        deliveries.accept(room, ref, caller.request_id, payload, caller.trace)
        return {"StatusCode": 202}
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


def invoke_with_response_stream(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """The operation InvokeWithResponseStream: `EventStream` yields its events as they come.

    A result that the function does not stream is one chunk. An error, before or amid the chunks, is
    told by the last event: ErrorCode is the error's type, ErrorDetails what Invoke's payload were.
    """
    _check_built(request)
    ref = names.parse(
        request["FunctionName"], caller.account, caller.region, request.get("Qualifier")
    )
    version = _allowed(room, ref, caller)
    if request.get("InvocationType") == "DryRun":
        return {"StatusCode": 204, "EventStream": ()}
    payload = request.get("Payload") or b""
    _check_json(payload)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise deliveries.too_large(len(payload), "RequestResponse", MAX_PAYLOAD_BYTES)
    lineage.check(version, caller.trace)
    pieces = stream(
        room.supervisor,
        version,
        ref,
        payload or b"{}",
        caller.request_id or ids.uuid4(),
        client_context=_client_context(request.get("ClientContext")),
        trace=caller.trace,
    )
    return {
        "StatusCode": 200,
        "ExecutedVersion": version.version,
        "EventStream": _events(pieces, with_log=request.get("LogType") == "Tail"),
    }


def _events(pieces: Iterator[bytes | Invocation], *, with_log: bool) -> Iterator[dict[str, Any]]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield {"PayloadChunk": {"Payload": piece}}
            continue
        end: dict[str, str] = {}
        if piece.error_type is not None:
            end["ErrorCode"] = piece.error_type
            end["ErrorDetails"] = piece.payload.decode(errors="replace")
        if with_log and piece.log_tail is not None:
            end["LogResult"] = base64.b64encode(piece.log_tail.encode(errors="replace")).decode()
        yield {"InvokeComplete": end}


def invoke_async(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The older operation InvokeAsync: an event by another name."""
    event = {
        "FunctionName": request["FunctionName"],
        "InvocationType": "Event",
        "Payload": request.get("InvokeArgs") or b"",
    }
    return {"Status": invoke_function(room, caller, event)["StatusCode"]}


def job_kinds(room: Functions) -> dict[str, Kind]:
    """Asynchronous invocations, delivered from the job table; the sweep of zips."""
    return {
        deliveries.EVENT_JOB: Kind(
            run=lambda job: deliveries.deliver(room, job), queue=deliveries.QUEUE
        ),
        shelf.KIND: Kind(
            run=lambda job: shelf.run(room, job),
            failed=lambda conn, job, reason: shelf.failed(room, conn, job, reason),
            queue=shelf.QUEUE,
        ),
    }


def _allowed(
    room: Functions, ref: FunctionRef, caller: ServiceCaller | RoleCaller | Caller
) -> FunctionVersion:
    version, policy = resolve(room, ref)
    permissions.check(room, ref, policy, caller)
    return version


def _check_built(request: Mapping[str, Any]) -> None:
    for member in NOT_BUILT:
        if request.get(member):
            raise NotBuilt(f"Invoke with {member}")


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
    return replace(done, log_tail=None)
