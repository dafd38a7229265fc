"""How events are tried again, how long they keep, and who hears of their end.

Source: Lambda API reference, PutFunctionEventInvokeConfig; developer guide, "Capturing records of
Lambda asynchronous invocations".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird import access
from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotBuilt, NotFound
from tailorbird.functions import names, paging, stored
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import functions_event_configs
from tailorbird.store import insert

RETRIES_DEFAULT = 2
MAX_AGE_DEFAULT_SECONDS = 21_600
INVOKE = "lambda:InvokeFunction"
PUT_OBJECT = "s3:PutObject"
BUCKET_ARN = "arn:aws:s3:::"
SUCCESS, FAILURE = "OnSuccess", "OnFailure"


@dataclass(frozen=True)
class Rules:
    """What holds for the events of one qualifier."""

    retries: int = RETRIES_DEFAULT
    max_age_seconds: float = MAX_AGE_DEFAULT_SECONDS
    destinations: Mapping[str, str] = field(default_factory=dict)  # OnSuccess, OnFailure -> ARN
    refused: Mapping[str, str] = field(default_factory=dict)  # the same -> why it is not told
    log_group: str = ""  # of the function, where it is said


def put_function_event_invoke_config(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = _reference(caller, request)
    if not any(
        request.get(name) is not None
        for name in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
    ):
        raise _invalid("You must specify at least one of error handling or destination setting.")
    return _write(room, caller, ref, request, {})


def update_function_event_invoke_config(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = _reference(caller, request)
    with room.db.read() as conn:
        stored.version(conn, ref)
        row = _require(conn, ref)
    return _write(room, caller, ref, request, dict(row._mapping))


def get_function_event_invoke_config(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = _reference(caller, request)
    with room.db.read() as conn:
        stored.version(conn, ref)
        return _describe(ref, _require(conn, ref))


def delete_function_event_invoke_config(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref, t = _reference(caller, request), functions_event_configs
    with room.db.write() as conn:
        stored.version(conn, ref)
        _require(conn, ref)
        conn.execute(sa.delete(t).where(*stored.same(t, ref), t.c.qualifier == ref.version))
    return {}


def list_function_event_invoke_configs(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref, t = stored.whole(caller, request), functions_event_configs
    with room.db.read() as conn:
        stored.function(conn, ref)
        rows = conn.execute(sa.select(t).where(*stored.same(t, ref))).fetchall()
    rows = sorted(rows, key=lambda row: row.qualifier)
    shown, more = paging.page(rows, lambda row: str(row.qualifier), request)
    found = [_describe(FunctionRef(**stored.key(ref), qualifier=r.qualifier), r) for r in shown]
    return {"FunctionEventInvokeConfigs": found, **more}


def rules(conn: Connection, ref: FunctionRef) -> Rules:
    """What holds for events that were sent to exactly this qualifier."""
    row = _row(conn, ref)
    if row is None:
        return Rules()
    return Rules(
        RETRIES_DEFAULT if row.retries is None else row.retries,
        MAX_AGE_DEFAULT_SECONDS if row.max_age_seconds is None else row.max_age_seconds,
        row.destinations,
    )


def _write(
    room: Functions,
    caller: Caller,
    ref: FunctionRef,
    request: Mapping[str, Any],
    old: Mapping[str, Any],
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "retries": old.get("retries"),
        "max_age_seconds": old.get("max_age_seconds"),
        "destinations": old.get("destinations") or {},
        "modified": room.clock.now(),
    }
    if request.get("MaximumRetryAttempts") is not None:
        values["retries"] = request["MaximumRetryAttempts"]
    if request.get("MaximumEventAgeInSeconds") is not None:
        values["max_age_seconds"] = request["MaximumEventAgeInSeconds"]
    if request.get("DestinationConfig") is not None:
        values["destinations"] = _destinations(request["DestinationConfig"])
    key = {**stored.key(ref), "qualifier": ref.version}
    with room.db.write() as conn:
        role = stored.version(conn, ref).configuration["Role"]
        for which, arn in values["destinations"].items():
            _check_destination(room, conn, caller, ref, role, which, arn)
        made = insert(room.db, functions_event_configs).values(**key, **values)
        conn.execute(made.on_conflict_do_update(index_elements=list(key), set_=values))
        return _describe(ref, _require(conn, ref))


def _destinations(given: Mapping[str, Any]) -> dict[str, str]:
    found = {which: (given.get(which) or {}).get("Destination") for which in (SUCCESS, FAILURE)}
    return {which: arn for which, arn in found.items() if arn}


def _check_destination(
    room: Functions,
    conn: Connection,
    caller: Caller,
    ref: FunctionRef,
    role: str,
    which: str,
    arn: str,
) -> None:
    """A function of this account, or for failures a bucket; the function's role must allow it."""
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    if service == "lambda":
        action, resource = INVOKE, _check_function(conn, caller, ref, arn)
    elif service == "s3" and which == FAILURE:
        if not room.objects.bucket_exists(arn.rpartition(":")[2]):
            raise _invalid(f"The destination ARN {arn} is invalid: there is no such bucket.")
        action, resource = PUT_OBJECT, f"{arn}/*"
    elif service in ("sqs", "sns", "events", "kafka") or arn.startswith("kafka://"):
        raise NotBuilt(f"{which} to {service or 'kafka'} ({arn})")
    else:
        raise _invalid(f"The destination ARN {arn} is invalid.")
    if not _allows(room, ref, role, action, resource):
        raise _invalid(
            f"The function's execution role {role} doesn't have permissions to call {action} on"
            f" {resource}"
        )


def heeded(room: Functions, ref: FunctionRef, role: str, log_group: str, given: Rules) -> Rules:
    """The rules with the destinations that the function's role still allows; of others, why not."""
    told: dict[str, str] = {}
    refused: dict[str, str] = {}
    for which, destination in given.destinations.items():
        action, resource = INVOKE, f"{destination}/*"
        if destination.startswith(BUCKET_ARN):
            action = PUT_OBJECT
        else:
            resource = names.parse(destination, ref.account, ref.region).guarded_arn
        if _allows(room, ref, role, action, resource):
            told[which] = destination
        else:
            refused[which] = f"{destination}: {role} does not allow {action} on {resource}"
    return replace(given, destinations=told, refused=refused, log_group=log_group)


def _allows(room: Functions, ref: FunctionRef, role: str, action: str, resource: str) -> bool:
    """Whether the function's role allows the action, asked as the function would be."""
    name = role.rpartition("/")[2]
    session = f"arn:aws:sts::{role.split(':')[4]}:assumed-role/{name}/{ref.name}"
    asked = Caller(ref.account, ref.region, session, "", "")
    return access.may(room.access, asked, (action,), resource).allowed


def _check_function(conn: Connection, caller: Caller, ref: FunctionRef, arn: str) -> str:
    other = names.parse(arn, caller.account, caller.region)
    if other.arn == ref.arn:
        raise _invalid("You can't specify the function as a destination for itself.")
    try:
        stored.reference(caller, {"FunctionName": arn})
        stored.version(conn, other)
    except NotFound:
        raise _invalid(f"The destination ARN {arn} is invalid.") from None
    return other.guarded_arn


def _reference(caller: Caller, request: Mapping[str, Any]) -> FunctionRef:
    """With the qualifier that is meant, as this API shows it."""
    ref = stored.reference(caller, request)
    return FunctionRef(ref.account, ref.region, ref.name, ref.version)


def _require(conn: Connection, ref: FunctionRef) -> Row[Any]:
    row = _row(conn, ref)
    if row is None:
        raise NotFound(f"The function {ref.qualified_arn} doesn't have an EventInvokeConfig")
    return row


def _row(conn: Connection, ref: FunctionRef) -> Row[Any] | None:
    t = functions_event_configs
    found = sa.select(t).where(*stored.same(t, ref), t.c.qualifier == ref.version)
    return conn.execute(found).first()


def _describe(ref: FunctionRef, row: Row[Any]) -> dict[str, Any]:
    shown = {
        "MaximumRetryAttempts": row.retries,
        "MaximumEventAgeInSeconds": row.max_age_seconds,
    }
    return {
        "LastModified": row.modified,
        "FunctionArn": ref.qualified_arn,
        **{name: value for name, value in shown.items() if value is not None},
        "DestinationConfig": {
            which: {"Destination": row.destinations[which]} if which in row.destinations else {}
            for which in (SUCCESS, FAILURE)
        },
    }


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="InvalidParameterValueException")
