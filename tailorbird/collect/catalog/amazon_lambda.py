"""Amazon Lambda and Amazon Personalize: one synchronous invocation for each call.

The settings are the catalogue's; a function for each type of call and the list of events are those
of the second seed. Sources: Segment, "Amazon Lambda Destination", "Amazon Personalize Destination".
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import orjson

from tailorbird import functions
from tailorbird.collect.catalog.definition import (
    DONE,
    Destination,
    DestinationType,
    Option,
    Parcel,
    Result,
    State,
)
from tailorbird.collect.room import Collect
from tailorbird.errors import (
    Denied,
    Invalid,
    NotBuilt,
    NotFound,
    TailorbirdError,
    Throttled,
    Unavailable,
)
from tailorbird.functions import Invocation, RoleCaller

CALLS = ("track", "identify", "group", "alias", "page")
DEFAULT_REGION = "us-west-2"
LOG_TYPES = ("None", "Tail")
ALL_EVENTS = "*"
RETRIED_ERRORS = ("RetryError",)
TIMEOUTS = ("Caller.TimedOut", "Sandbox.Timedout")

EXECUTION_ERROR = "Execution Error"
TIMED_OUT = "Operation timedout"
ACCESS_DENIED = "Accessdenied"
INVALID_SETTINGS = "INVALID_SETTINGS"
THROTTLED = "429"
UNAVAILABLE = "503"

OPTIONS = (
    Option("function", "Lambda", str),
    Option("roleAddress", "Role Address", str, required=True),
    Option("region", "Region", str, default=DEFAULT_REGION),
    Option("externalId", "External ID", str),
    Option("logType", "Log Type", str, default="None", choices=LOG_TYPES),
    Option("clientContext", "Client Context", dict),
    *(Option(f"{kind}Function", f"Lambda for {kind} calls", str) for kind in CALLS),
    Option("events", "Events", list),
)


def function_for(settings: dict[str, Any], call_type: str) -> str:
    """The function that takes this type of call; empty when none does."""
    own = settings.get(f"{call_type}Function")
    return str((settings.get("function") if own is None else own) or "")


def refuses(settings: dict[str, Any], call: dict[str, Any]) -> str | None:
    """Why a call is not sent: its type, or an event that is not in the list."""
    kind = call["type"]
    if kind not in CALLS or not function_for(settings, kind):
        return "type_not_selected"
    events = settings.get("events")
    if kind != "track" or events is None or ALL_EVENTS in events:
        return None
    return None if call.get("event") in events else "event_not_selected"


def deliver(room: Collect, to: Destination, parcels: Sequence[Parcel]) -> list[Result]:
    return [_invoke(room, to, parcel) for parcel in parcels]


def check(settings: dict[str, Any]) -> None:
    if not any(function_for(settings, kind) for kind in CALLS):
        raise Invalid("give a function: 'function', or one for a type of call ('trackFunction')")
    role = settings["roleAddress"]
    if not role.startswith("arn:aws:iam::") or len(role.split(":")) < 6:
        raise Invalid(f"roleAddress is {role!r}; arn:aws:iam::<account>:role/<name> is right")


def _invoke(room: Collect, to: Destination, parcel: Parcel) -> Result:
    settings = to.settings
    role = settings["roleAddress"]
    try:
        done = functions.invoke(
            room.functions,
            function_for(settings, parcel.call["type"]),
            parcel.line,
            caller=RoleCaller(role, settings.get("externalId") or to.source_id),
            account=role.split(":")[4],
            region=settings.get("region") or DEFAULT_REGION,
            timeout=room.settings.delivery_seconds,
            log_type=settings.get("logType") or "None",
            client_context=_context(settings.get("clientContext")),
        )
    except TailorbirdError as error:
        return _refused(error)
    if done.function_error is None:
        return DONE
    return _failed(done, bool(room.settings.retry_function_errors))


def _refused(error: TailorbirdError) -> Result:
    """The function was not reached: what can pass is tried again, what cannot is given up."""
    if isinstance(error, Throttled):
        return Result(State.WAITING, THROTTLED, error.message)
    if isinstance(error, Unavailable):
        return Result(State.WAITING, UNAVAILABLE, error.message)
    if isinstance(error, Denied):
        return Result(State.FAILED, ACCESS_DENIED, error.message)
    reason = INVALID_SETTINGS if isinstance(error, NotFound | Invalid | NotBuilt) else "error"
    return Result(State.FAILED, reason, error.message)


def _failed(done: Invocation, retries_errors: bool) -> Result:
    """The function ended in an error: timeouts and RetryError are tried again."""
    kind, message = _error(done)
    if done.log_tail:
        message = f"{message}\n{done.log_tail}"
    if kind in TIMEOUTS:
        return Result(State.WAITING, TIMED_OUT, message)
    again = retries_errors or kind in RETRIED_ERRORS
    return Result(State.WAITING if again else State.FAILED, EXECUTION_ERROR, message)


def _error(done: Invocation) -> tuple[str, str]:
    try:
        said = orjson.loads(done.payload)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        return "", done.payload[:1000].decode(errors="replace")
    kind = str(said.get("errorType") or "")
    return kind, f"{kind}: {said.get('errorMessage')}"


def _context(given: dict[str, Any] | None) -> str | None:
    return base64.b64encode(orjson.dumps(given)).decode() if given else None


AMAZON_LAMBDA = DestinationType(
    "5c86f0512f5eb100013d570b", "Amazon Lambda", "amazon-lambda", OPTIONS, refuses, deliver,
    check=check,
)  # fmt: skip
AMAZON_PERSONALIZE = DestinationType(
    "5c7f0c9879726100019cc56b", "Amazon Personalize", "amazon-personalize", OPTIONS, refuses,
    deliver, check=check,
)  # fmt: skip
