"""Events: asynchronous invocations, kept before they are accepted, tried again, reported.

Source: Lambda developer guide, "Asynchronous invocation" and "Capturing records of Lambda
asynchronous invocations".
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.clock import iso
from tailorbird.errors import Invalid, TailorbirdError, Throttled, TooLarge, Unavailable
from tailorbird.functions import concurrency, event_config, lineage, logs, names
from tailorbird.functions.event_config import BUCKET_ARN, FAILURE, SUCCESS, Rules
from tailorbird.functions.execution import Invocation, execute
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.resolve import FunctionVersion, resolve
from tailorbird.functions.room import Functions
from tailorbird.store import Job
from tailorbird.store.jobs import Later

MAX_EVENT_BYTES = 1_048_576
RETRY_SECONDS = (60.0, 120.0)
THROTTLED_FIRST_SECONDS = 1.0
THROTTLED_MAX_SECONDS = 300.0
EVENT_JOB = "functions.event"
QUEUE = "functions"
FOR_EVER = 1_000_000  # attempts of the job: what ends an event is its age or its retries

log = logging.getLogger("tailorbird.functions")
Event = dict[str, Any]


def accept(
    room: Functions, ref: FunctionRef, request_id: str, payload: bytes, trace: str = ""
) -> None:
    """Keep an event: from here on it is delivered, whatever happens to this process."""
    if len(payload) > MAX_EVENT_BYTES:
        raise too_large(len(payload), "Event", MAX_EVENT_BYTES)
    with room.db.write() as conn:
        _enqueue(room, conn, ref, request_id, (payload or b"{}").decode(), trace)


def deliver(room: Functions, job: Job) -> None:
    """One attempt; a function error is tried again after one and two minutes, then given up."""
    event = job.payload
    ref = FunctionRef(event["account"], event["region"], event["name"], event["qualifier"])
    with room.db.read() as conn:
        rules = event_config.rules(conn, ref)
    version, _ = resolve(room, ref)
    rules = event_config.heeded(room, ref, version.role, version.logging.group, rules)
    age = room.clock.now() - event["accepted"]
    try:
        lineage.check(version, event["trace"])
    except Invalid as loop:
        _give_up(room, job, ref, rules, "RecursiveInvocation", loop.message)
        return
    try:
        concurrency.check_on(version)
        done = execute(
            room.supervisor,
            version,
            ref,
            event["payload"].encode(),
            event["request_id"],
            trace=event["trace"],
        )
    except (Throttled, Unavailable) as refused:
        ended = _refused(version, age, rules)
        if ended is None:
            wait = min(THROTTLED_MAX_SECONDS, THROTTLED_FIRST_SECONDS + age)
            raise Later(wait) from refused
        _give_up(room, job, ref, rules, ended, refused.message)
        return
    _conclude(room, job, ref, rules, done)


def too_large(size: int, kind: str, limit: int) -> TooLarge:
    return TooLarge(
        f"{size} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
        code="RequestTooLargeException",
    )


def _refused(version: FunctionVersion, age: float, rules: Rules) -> str | None:
    """Why an event that found no place is given up; None while it may wait on."""
    if version.reserved == 0:
        return "ZeroReservedConcurrency"
    return "EventAgeExceeded" if age > rules.max_age_seconds else None


def _conclude(room: Functions, job: Job, ref: FunctionRef, rules: Rules, done: Invocation) -> None:
    event, attempt = job.payload, job.payload["attempt"]
    ended = _ended(room, event, rules, done)
    outcome = done.payload[:1000].decode(errors="replace")
    record, untold = None, {}
    if ended is not None:
        which = SUCCESS if ended == "Success" else FAILURE
        record = _record(room, ref, event, ended, done)
        untold = _store_in_bucket(room, ref, event, rules, which, record)
    with room.db.write() as conn:
        if record is None:
            due = room.clock.now() + RETRY_SECONDS[attempt]
            again = {**event, "attempt": attempt + 1}
            room.jobs.enqueue(conn, EVENT_JOB, again, queue=QUEUE, due=due, max_attempts=FOR_EVER)
        else:
            _tell_function(room, conn, ref, event, rules.destinations.get(which, ""), record)
        result = {"error": done.function_error, "payload": outcome, "attempt": attempt}
        job.finish(conn, result | untold)
    if ended not in (None, "Success"):
        log.warning("%s: event %s given up: %s", ref.arn, event["request_id"], outcome)


def _give_up(
    room: Functions, job: Job, ref: FunctionRef, rules: Rules, ended: str, why: str
) -> None:
    """The end of an event that the function never saw, or not once more."""
    event = job.payload
    record = _record(room, ref, event, ended, None)
    untold = _store_in_bucket(room, ref, event, rules, FAILURE, record)
    with room.db.write() as conn:
        _tell_function(room, conn, ref, event, rules.destinations.get(FAILURE, ""), record)
        job.finish(conn, {"error": ended, "payload": why, "attempt": event["attempt"]} | untold)
    log.warning("%s: event %s given up: %s (%s)", ref.arn, event["request_id"], ended, why)


def _ended(room: Functions, event: Event, rules: Rules, done: Invocation) -> str | None:
    """How the event ended; None when it is to be tried again."""
    if not done.function_error:
        return "Success"
    attempt = event["attempt"]
    if attempt >= rules.retries:
        return "RetriesExhausted"
    due = room.clock.now() + RETRY_SECONDS[attempt]
    return "EventAgeExceeded" if due - event["accepted"] > rules.max_age_seconds else None


def _record(
    room: Functions, ref: FunctionRef, event: Event, ended: str, done: Invocation | None
) -> dict[str, Any]:
    """What a destination is told."""
    named = FunctionRef(ref.account, ref.region, ref.name, ref.version)
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": iso(room.clock.now()),
        "requestContext": {
            "requestId": event["request_id"],
            "functionArn": named.qualified_arn,
            "condition": ended,
            "approximateInvokeCount": event["attempt"] + (done is not None),
        },
        "requestPayload": json.loads(event["payload"]),
    }
    if done is not None:
        record["responseContext"] = {
            "statusCode": done.status,
            "executedVersion": done.executed_version,
            **({"functionError": done.function_error} if done.function_error else {}),
        }
        record["responsePayload"] = _json_or_text(done.payload)
    return record


def _store_in_bucket(
    room: Functions,
    ref: FunctionRef,
    event: Event,
    rules: Rules,
    which: str,
    record: Mapping[str, Any],
) -> dict[str, str]:
    """Write the record under the name AWS gives it; the same event writes the same object.

    What is to be said of the event when that fails: the function ran, it must not run for it again.
    """
    destination = rules.destinations.get(which, "")
    if which in rules.refused:
        return _untold(room, ref, event, rules, rules.refused[which])
    if not destination.startswith(BUCKET_ARN):
        return {}
    bucket = destination.removeprefix(BUCKET_ARN)
    moment = time.gmtime(event["accepted"])
    day, second = time.strftime("%Y/%m/%d", moment), time.strftime("%Y-%m-%dT%H.%M.%S", moment)
    key = f"aws/lambda/async/{ref.name}/{day}/{second}-{event['request_id']}"
    try:
        room.objects.put(f"s3://{bucket}/{key}", json.dumps(record).encode())
    except TailorbirdError as refused:
        return _untold(room, ref, event, rules, f"{destination}: {refused.message}")
    return {}


def _untold(
    room: Functions, ref: FunctionRef, event: Event, rules: Rules, why: str
) -> dict[str, str]:
    """Say in the function's log, and in the event's result, who could not be told of its end."""
    said = f"Tailorbird could not tell the end of event {event['request_id']}: {why}"
    log.warning("%s: %s", ref.arn, said)
    folder = logs.folder(room.root, ref.account, ref.region, rules.log_group)
    logs.note(folder, ref.name, int(time.time() * 1000), said)
    return {"untold": why}


def _tell_function(
    room: Functions,
    conn: Connection,
    told_by: FunctionRef,
    event: Event,
    destination: str,
    record: Mapping[str, Any],
) -> None:
    """Hand the record to the function that was named, as an event of its own."""
    if destination.split(":")[2:3] != ["lambda"]:
        return
    ref = names.parse(destination, "", "")
    by = FunctionRef(told_by.account, told_by.region, told_by.name)
    trace = lineage.header(event["trace"], by, event["request_id"], int(event["accepted"]))
    _enqueue(room, conn, ref, ids.uuid4(), json.dumps(record), trace)


def _enqueue(
    room: Functions, conn: Connection, ref: FunctionRef, request_id: str, payload: str, trace: str
) -> None:
    event = {
        "account": ref.account,
        "region": ref.region,
        "name": ref.name,
        "qualifier": ref.qualifier,
        "payload": payload,
        "request_id": request_id,
        "trace": trace,
        "accepted": room.clock.now(),
        "attempt": 0,
    }
    room.jobs.enqueue(conn, EVENT_JOB, event, queue=QUEUE, max_attempts=FOR_EVER)


def _json_or_text(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")
