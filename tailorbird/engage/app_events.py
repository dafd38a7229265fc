"""PutEvents: what people did, each event answered for itself; endpoints come along.

Limits: Pinpoint developer guide, "Quotas". An empty Endpoint changes nothing.
"""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.clock import parse_iso
from tailorbird.engage import app_streams, apps, definitions, endpoints, event_quota, events
from tailorbird.engage.apps import App
from tailorbird.engage.bulk import has_nul
from tailorbird.engage.events import Event
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, TooLarge

MAX_EVENTS = 100
MAX_REQUEST_BYTES = 4 * 1024 * 1024
MAX_EVENT_BYTES = 1_000 * 1024
MAX_KEYS = 40  # attributes and metrics of one event
MAX_KEY_CHARS = 50
MAX_VALUE_CHARS = 200  # longer attributes are dropped
ACCEPTED = {"StatusCode": 202, "Message": "Accepted"}
LOOKED_AT = ("EventType", "Timestamp", "Attributes", "Metrics")


def put_events(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    batch = request["EventsRequest"]["BatchItem"]
    _check_size(batch)
    results: dict[str, Any] = {}
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        found: list[Event] = []
        refusals = _write_endpoints(room, conn, app, batch)
        for endpoint_id, item in batch.items():
            answers: dict[str, Any] = {}
            for event_id, given in (item.get("Events") or {}).items():
                try:
                    event = _event(endpoint_id, event_id, given)
                    definitions.key_of(endpoint_id)
                except Invalid as wrong:
                    answers[event_id] = _refused(wrong)
                    continue
                answers[event_id] = ACCEPTED
                found.append(event)
            results[endpoint_id] = {
                "EndpointItemResponse": refusals.get(endpoint_id, ACCEPTED),
                "EventsItemResponse": answers,
            }
        found = _within_quota(room, conn, app, found, results)
        events.put(room, conn, app, found)
        app_streams.note(room, conn, app, found)
    return {"EventsResponse": {"Results": results}}


def _within_quota(
    room: Engage, conn: Connection, app: App, found: list[Event], results: dict[str, Any]
) -> list[Event]:
    """The events whose names the application may still have; the others' answers say why not."""
    denied = event_quota.refused(room, conn, app, found)
    if not denied:
        return found
    kept = []
    for event in found:
        reason = next((denied[n] for n in event_quota.names_of(event) if n in denied), None)
        if reason is None:
            kept.append(event)
        else:
            answers = results[event.endpoint_id]["EventsItemResponse"]
            answers[event.event_id] = _refused(Invalid(reason))
    return kept


def _check_size(batch: dict[str, Any]) -> None:
    count = sum(len(item.get("Events") or {}) for item in batch.values())
    if count > MAX_EVENTS:
        raise Invalid(f"The request has {count} events; {MAX_EVENTS} is the limit")
    size = len(orjson.dumps(batch, default=str))
    if size > MAX_REQUEST_BYTES:
        raise TooLarge(f"The request has {size} bytes; {MAX_REQUEST_BYTES} is the limit")


def _write_endpoints(
    room: Engage, conn: Connection, app: App, batch: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Merge the endpoints of some events; what is wrong with one is its own answer."""
    items = []
    for endpoint_id, one in batch.items():
        given = one.get("Endpoint") or {}
        item = {name: value for name, value in given.items() if value not in (None, "", {}, [])}
        if item:
            items.append({**item, "Id": endpoint_id})
    if not items or _write(room, conn, app, items) is None:
        return {}
    answers = {item["Id"]: _write(room, conn, app, [item]) for item in items}
    return {endpoint_id: answer for endpoint_id, answer in answers.items() if answer}


def _write(
    room: Engage, conn: Connection, app: App, items: list[dict[str, Any]]
) -> dict[str, Any] | None:
    try:
        with conn.begin_nested():
            endpoints.write(room, conn, app, items)
    except Invalid as wrong:
        return _refused(wrong)
    return None


def _event(endpoint_id: str, event_id: str, given: dict[str, Any]) -> Event:
    text = orjson.dumps(given, default=str)
    if len(text) > MAX_EVENT_BYTES:
        raise Invalid(f"The event has {len(text)} bytes; {MAX_EVENT_BYTES} is the limit")
    attributes, metrics = given.get("Attributes") or {}, given.get("Metrics") or {}
    if len(attributes) + len(metrics) > MAX_KEYS:
        raise Invalid(
            f"The event has {len(attributes) + len(metrics)} attributes and metrics;"
            f" {MAX_KEYS} is the limit"
        )
    for name in (*attributes, *metrics):
        if not name or len(name) > MAX_KEY_CHARS:
            raise Invalid(f"{name[:60]!r} has {len(name)} characters; 1 to {MAX_KEY_CHARS}")
    if not given.get("EventType"):
        raise Invalid("EventType is empty; an event has a name")
    if has_nul(text.decode()):
        raise Invalid("The event holds the character NUL")
    try:
        moment = parse_iso(given["Timestamp"])
    except ValueError:
        raise Invalid(
            f"Timestamp {given['Timestamp']!r} is not ISO 8601 (2026-11-21T18:02:51.123Z is)"
        ) from None
    return Event(
        endpoint_id=endpoint_id,
        event_id=event_id,
        type=given["EventType"],
        moment=moment,
        attributes={k: v for k, v in attributes.items() if len(v) <= MAX_VALUE_CHARS},
        metrics=metrics,
        rest={name: value for name, value in given.items() if name not in LOOKED_AT},
    )


def _refused(wrong: Invalid) -> dict[str, Any]:
    return {"StatusCode": 400, "Message": wrong.message}
