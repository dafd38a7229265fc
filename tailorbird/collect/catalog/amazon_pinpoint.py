"""Amazon Pinpoint: an identify call updates the person's endpoint, a track call is an app event.

Traits become user attributes (lists of texts); the email trait is the address of an EMAIL endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

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
from tailorbird.errors import TailorbirdError, Throttled, Unavailable

BATCH = 100  # endpoints of one update, Pinpoint's limit
ENDPOINT_IDS = ("userId", "anonymousId", "email")
EMAIL = "email"
ACCEPTED = 202
KEYS_MAX = 40  # attributes and metrics of one event, Pinpoint's limit
KEY_MAX_CHARACTERS = 50

OPTIONS = (
    Option("applicationId", "Application ID", str, required=True),
    Option("region", "Region", str),
    Option("endpointId", "Endpoint ID", str, default="userId", choices=ENDPOINT_IDS),
)


def refuses(settings: dict[str, Any], call: dict[str, Any]) -> str | None:
    """Identify calls change endpoints, track calls are events of theirs."""
    if call["type"] not in ("identify", "track"):
        return "type_not_selected"
    return None if _endpoint_id(settings, call) else "no_endpoint_id"


def deliver(room: Collect, to: Destination, parcels: Sequence[Parcel]) -> list[Result]:
    """Endpoints first, then the events of the same calls' people."""
    results: dict[int, Result] = {}
    for kind, put in (("identify", _put_endpoints), ("track", _put_events)):
        mine = [parcel for parcel in parcels if parcel.call["type"] == kind]
        if mine:
            found = put(room, to, mine)
            results |= {parcel.number: one for parcel, one in zip(mine, found, strict=True)}
    return [results[parcel.number] for parcel in parcels]


def _put_endpoints(room: Collect, to: Destination, parcels: Sequence[Parcel]) -> list[Result]:
    """All in one update; one by one when something in it is refused, so that it costs no other."""
    try:
        _update(room, to, parcels)
    except (Throttled, Unavailable) as error:
        return [Result(State.WAITING, "503", error.message)] * len(parcels)
    except TailorbirdError as error:
        if len(parcels) == 1:
            return [Result(State.FAILED, "400", error.message)]
        return [result for parcel in parcels for result in _put_endpoints(room, to, [parcel])]
    return [DONE] * len(parcels)


def _put_events(room: Collect, to: Destination, parcels: Sequence[Parcel]) -> list[Result]:
    """One PutEvents; each event has its own answer."""
    batch: dict[str, dict[str, Any]] = {}
    for parcel in parcels:
        item = batch.setdefault(_endpoint_id(to.settings, parcel.call), {"Events": {}})
        item["Events"][parcel.call["messageId"]] = app_event(parcel.call)
    try:
        answers = room.put_app_events(to.account, to.settings["applicationId"], batch)
    except (Throttled, Unavailable) as error:
        return [Result(State.WAITING, "503", error.message)] * len(parcels)
    except TailorbirdError as error:
        if len(parcels) == 1:
            return [Result(State.FAILED, "400", error.message)]
        return [result for parcel in parcels for result in _put_events(room, to, [parcel])]
    return [_answer(answers, to, parcel.call) for parcel in parcels]


def _answer(answers: dict[str, Any], to: Destination, call: dict[str, Any]) -> Result:
    events = answers[_endpoint_id(to.settings, call)]["EventsItemResponse"]
    said = events[call["messageId"]]
    if said["StatusCode"] == ACCEPTED:
        return DONE
    return Result(State.FAILED, str(said["StatusCode"]), str(said.get("Message") or ""))


def app_event(call: dict[str, Any]) -> dict[str, Any]:
    """A track call as Pinpoint takes it: numbers are metrics, everything else is an attribute."""
    attributes: dict[str, str] = {}
    metrics: dict[str, float] = {}
    for name, value in _flat(call.get("properties") or {}):
        if isinstance(value, int | float) and not isinstance(value, bool):
            metrics[name] = float(value)
        elif value is not None:
            attributes[name] = _text(value)
    return {
        "EventType": _text(call["event"]),
        "Timestamp": call["timestamp"],
        "Attributes": dict(list(attributes.items())[:KEYS_MAX]),
        "Metrics": dict(list(metrics.items())[: max(0, KEYS_MAX - len(attributes))]),
    }


def _flat(properties: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in properties.items():
        name = (prefix + _text(key))[:KEY_MAX_CHARACTERS]
        if isinstance(value, dict):
            yield from _flat(value, f"{name}_")
        elif name:
            yield name, value


def endpoint(settings: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    """The change that an identify call makes to its endpoint."""
    traits = call.get("traits") or {}
    changed: dict[str, Any] = {
        "Id": _endpoint_id(settings, call),
        "User": {"UserAttributes": attributes(traits)},
    }
    if call.get("userId"):
        changed["User"]["UserId"] = _text(call["userId"])
    email = traits.get(EMAIL)
    if isinstance(email, str) and email:
        changed |= {"ChannelType": "EMAIL", "Address": _text(email)}
    return changed


def attributes(traits: dict[str, Any], prefix: str = "") -> dict[str, list[str]]:
    """Traits as Pinpoint keeps them: every value a list of texts, objects flattened with `_`."""
    found: dict[str, list[str]] = {}
    for trait, value in traits.items():
        name = _text(trait)
        if prefix == "" and name == EMAIL:
            continue
        if isinstance(value, dict):
            found |= attributes(value, f"{prefix}{name}_")
        elif isinstance(value, list):
            found[prefix + name] = [_text(item) for item in value if item is not None]
        else:
            found[prefix + name] = [] if value is None else [_text(value)]
    return found


def _update(room: Collect, to: Destination, parcels: Sequence[Parcel]) -> None:
    """Later calls of one person win over earlier ones of the same update."""
    merged: dict[str, dict[str, Any]] = {}
    for parcel in parcels:
        new = endpoint(to.settings, parcel.call)
        old = merged.get(new["Id"])
        if old is not None:
            both = {**old["User"]["UserAttributes"], **new["User"]["UserAttributes"]}
            new = {**old, **new, "User": {**old["User"], **new["User"], "UserAttributes": both}}
        merged[new["Id"]] = new
    room.update_endpoints(to.account, to.settings["applicationId"], list(merged.values()))


def _endpoint_id(settings: dict[str, Any], call: dict[str, Any]) -> str:
    field = settings.get("endpointId") or "userId"
    if field == EMAIL:
        return _text((call.get("traits") or {}).get(EMAIL) or "")
    return _text(call.get(field) or "")


def _text(value: Any) -> str:
    """A value as text, without the NUL characters that an endpoint may not have."""
    if isinstance(value, str):
        return value.replace("\0", "")
    return orjson.dumps(value).decode()


AMAZON_PINPOINT = DestinationType(
    "tailorbird-amazon-pinpoint", "Amazon Pinpoint", "amazon-pinpoint", OPTIONS, refuses, deliver,
    batch=BATCH, concurrency=1,
)  # fmt: skip
