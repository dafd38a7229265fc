"""Amazon Personalize without a function: calls become PutEvents, PutItems or PutUsers.

`customMappings` says which property fills which field of the schema. The settings are
those of RudderStack's Personalize destination (rudder-transformer, v0/destinations/personalize).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tailorbird.access import Caller
from tailorbird.clock import parse_iso
from tailorbird.collect import fql
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
from tailorbird.errors import Invalid, TailorbirdError, Throttled, Unavailable
from tailorbird.learn import events, puts

PUT_EVENTS, PUT_ITEMS, PUT_USERS = "PutEvents", "PutItems", "PutUsers"
CHOICES = (PUT_EVENTS, PUT_ITEMS, PUT_USERS)
ITEM_KEYS = ("sku", "product_id", "id")
USER_ID, ITEM_ID, EVENT_TYPE, EVENT_VALUE = "USER_ID", "ITEM_ID", "EVENT_TYPE", "EVENT_VALUE"
RESERVED = (USER_ID, ITEM_ID, EVENT_TYPE, EVENT_VALUE, "TIMESTAMP")
ID_MAX_CHARACTERS = 256

OPTIONS = (
    Option("eventChoice", "Personalize operation", str, default=PUT_EVENTS, choices=CHOICES),
    Option("trackingId", "Tracking ID", str),
    Option("datasetARN", "Dataset ARN", str),
    Option("region", "Region", str),
    Option("customMappings", "Schema field to property", dict),
    Option("events", "Events", list),
)


def check(settings: dict[str, Any]) -> None:
    needed = "trackingId" if _choice(settings) == PUT_EVENTS else "datasetARN"
    if not settings.get(needed):
        raise Invalid(f"eventChoice {_choice(settings)} needs the setting {needed!r}")
    for field, path in (settings.get("customMappings") or {}).items():
        if not isinstance(path, str) or not path:
            raise Invalid(f"customMappings.{field} is {path!r}; the name of a property is right")


def refuses(settings: dict[str, Any], call: dict[str, Any]) -> str | None:
    """PutUsers takes identify calls, the others track calls that name an item."""
    wanted = "identify" if _choice(settings) == PUT_USERS else "track"
    if call["type"] != wanted:
        return "type_not_selected"
    if wanted == "identify":
        return None if _id(call.get("userId")) else "no_user_id"
    listed = settings.get("events")
    if listed is not None and "*" not in listed and call.get("event") not in listed:
        return "event_not_selected"
    if not _item(settings, call):
        return "no_item_id"
    return None


def deliver(room: Collect, to: Destination, parcels: Sequence[Parcel]) -> list[Result]:
    return [_put(room, to, parcel) for parcel in parcels]


def event_request(settings: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    """PutEvents' request for a track call."""
    person = _id(call.get("userId"))
    session = _id(call.get("anonymousId")) or person
    event: dict[str, Any] = {
        "eventId": call["messageId"],
        "eventType": str(_mapped(settings, call, EVENT_TYPE) or call["event"])[:ID_MAX_CHARACTERS],
        "itemId": _item(settings, call),
        "sentAt": parse_iso(call["timestamp"]),
    }
    value = _mapped(settings, call, EVENT_VALUE)
    if isinstance(value, int | float) and not isinstance(value, bool):
        event["eventValue"] = float(value)
    if extra := _extra(settings, call):
        event["properties"] = orjson.dumps(extra).decode()
    request = {"trackingId": settings["trackingId"], "sessionId": session, "eventList": [event]}
    return request | ({"userId": person} if person else {})


def _put(room: Collect, to: Destination, parcel: Parcel) -> Result:
    settings, call = to.settings, parcel.call
    try:
        caller = _caller(room, to)
        if _choice(settings) == PUT_EVENTS:
            events.put_events(room.learn, caller, event_request(settings, call))
        else:
            _put_record(room, caller, settings, call)
    except (Throttled, Unavailable) as error:
        return Result(State.WAITING, "503", error.message)
    except TailorbirdError as error:
        return Result(State.FAILED, "400", error.message)
    return DONE


def _put_record(
    room: Collect, caller: Caller, settings: dict[str, Any], call: dict[str, Any]
) -> None:
    """One item or one user with the mapped fields."""
    request: dict[str, Any] = {"datasetArn": settings["datasetARN"]}
    properties = orjson.dumps(_extra(settings, call)).decode()
    if _choice(settings) == PUT_USERS:
        request["users"] = [{"userId": _id(call["userId"]), "properties": properties}]
        puts.put_users(room.learn, caller, request)
    else:
        request["items"] = [{"itemId": _item(settings, call), "properties": properties}]
        puts.put_items(room.learn, caller, request)


def _caller(room: Collect, to: Destination) -> Caller:
    region = to.settings.get("region") or room.settings.region
    principal = f"arn:aws:iam::{to.account}:root"
    return Caller(to.account, region, principal, "", to.id)


def _choice(settings: dict[str, Any]) -> str:
    return settings.get("eventChoice") or PUT_EVENTS


def _item(settings: dict[str, Any], call: dict[str, Any]) -> str:
    mapped = _id(_mapped(settings, call, ITEM_ID))
    if mapped or ITEM_ID in (settings.get("customMappings") or {}):
        return mapped
    found = (_id((call.get("properties") or {}).get(key)) for key in ITEM_KEYS)
    return next((one for one in found if one), "")


def _mapped(settings: dict[str, Any], call: dict[str, Any], field: str) -> Any:
    path = (settings.get("customMappings") or {}).get(field)
    return fql.at(_fields(call), path) if path else None


def _extra(settings: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    """The schema's other fields, in camel case as the API takes them."""
    found: dict[str, Any] = {}
    for field, path in (settings.get("customMappings") or {}).items():
        value = None if field in RESERVED else fql.at(_fields(call), path)
        if value is not None:
            found[puts.camel(field)] = value
    return found


def _fields(call: dict[str, Any]) -> dict[str, Any]:
    return call.get("traits" if call["type"] == "identify" else "properties") or {}


def _id(value: Any) -> str:
    """A text or a whole number as an id; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)[:ID_MAX_CHARACTERS]


PERSONALIZE_DIRECT = DestinationType(
    "tailorbird-personalize-direct", "Amazon Personalize (direct)", "amazon-personalize-direct",
    OPTIONS, refuses, deliver, check=check,
)  # fmt: skip
