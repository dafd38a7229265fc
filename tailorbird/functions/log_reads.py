"""CloudWatch Logs' read calls over the logs of functions, as far as `aws logs tail` needs them.

Source: botocore's model of `logs` (limits of GetLogEvents and FilterLogEvents: 10,000 events).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from typing import Any

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotFound
from tailorbird.functions import log_patterns, logs
from tailorbird.functions.room import Functions

EVENTS_MAX = 10_000
PAGE_MAX = 50
CLOCK_MS = 1000  # between an event's time and its being written
LAST_BYTES = 65_536  # of a stream, that hold its last event
STANDARD = "STANDARD"  # the class of every group here


def describe_log_groups(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    prefix = request.get("logGroupNamePrefix", "")
    pattern = request.get("logGroupNamePattern", "")
    names = logs.groups(room.root, caller.account, caller.region)
    if request.get("logGroupClass", STANDARD) != STANDARD:
        names = []
    if request.get("logGroupIdentifiers"):
        asked = {_name_of(each) for each in request["logGroupIdentifiers"]}
        names = [name for name in names if name in asked]
    wanted = [name for name in names if name.startswith(prefix) and pattern in name]
    return _page("logGroups", [_group(room, caller, name) for name in wanted], request)


def describe_log_streams(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    streams = _streams(room, caller, request)
    prefix = request.get("logStreamNamePrefix", "")
    group = _asked(request)
    shown = [_stream(caller, group, s) for s in streams if s.name.startswith(prefix)]
    key = "lastEventTimestamp" if request.get("orderBy") == "LastEventTime" else "logStreamName"
    shown.sort(key=lambda s: s.get(key, 0), reverse=bool(request.get("descending")))
    return _page("logStreams", shown, request)


def get_log_events(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    wanted = request["logStreamName"]
    stream = next((s for s in _streams(room, caller, request) if s.name == wanted), None)
    if stream is None:
        raise NotFound("The specified log stream does not exist.")
    events = [e for e in logs.read(stream) if _within(e, request)]
    limit = min(request.get("limit") or EVENTS_MAX, EVENTS_MAX)
    at = _position(request.get("nextToken"), len(events), limit, request.get("startFromHead"))
    shown = events[at : at + limit]
    return {
        "events": [{**_event(e), "ingestionTime": e.timestamp_ms} for e in shown],
        "nextForwardToken": f"f/{at + len(shown)}",
        "nextBackwardToken": f"b/{at}",
    }


def filter_log_events(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    since = request.get("startTime")
    fits = log_patterns.compiled(request.get("filterPattern", ""))
    names = set(request.get("logStreamNames") or ())
    prefix = request.get("logStreamNamePrefix", "")
    found = [
        (event, stream.name)
        for stream in _streams(room, caller, request)
        if stream.name.startswith(prefix) and (not names or stream.name in names)
        if _may_hold(stream, since)
        for event in logs.read(stream, since_ms=since)
        if _within(event, request) and fits(event.message)
    ]
    found.sort(key=lambda each: each[0].timestamp_ms)
    limit = min(request.get("limit") or EVENTS_MAX, EVENTS_MAX)
    at = _offset(request.get("nextToken"))
    events = [
        {
            **_event(event),
            "logStreamName": stream,
            "ingestionTime": event.timestamp_ms,
            "eventId": _event_id(stream, event.place),
        }
        for event, stream in found[at : at + limit]
    ]
    answer: dict[str, Any] = {"events": events, "searchedLogStreams": []}
    if at + limit < len(found):
        answer["nextToken"] = str(at + limit)
    return answer


def _streams(room: Functions, caller: Caller, request: dict[str, Any]) -> list[logs.Stream]:
    found = logs.streams(room.root, caller.account, caller.region, _asked(request))
    if not found:
        raise NotFound("The specified log group does not exist.")
    return found


def _asked(request: dict[str, Any]) -> str:
    """The log group a request names, by its name or its ARN."""
    return _name_of(request.get("logGroupName") or request.get("logGroupIdentifier") or "")


def _name_of(group: str) -> str:
    return group.partition(":log-group:")[2].removesuffix(":*") or group


def _group(room: Functions, caller: Caller, name: str) -> dict[str, Any]:
    streams = logs.streams(room.root, caller.account, caller.region, name)
    arn = ids.arn("logs", caller.region, caller.account, f"log-group:{name}")
    days = int(room.settings.functions_log_days)
    return {
        **({"retentionInDays": days} if days else {}),
        "logGroupName": name,
        "creationTime": min((_created(s) for s in streams), default=0),
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "storedBytes": sum(s.path.stat().st_size for s in streams),
    }


def _stream(caller: Caller, group: str, stream: logs.Stream) -> dict[str, Any]:
    first = next(logs.read(stream), None)
    last = next(iter(deque(logs.read(stream, LAST_BYTES), maxlen=1)), first)
    resource = f"log-group:{group}:log-stream:{stream.name}"
    shown: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": _created(stream),
        "arn": ids.arn("logs", caller.region, caller.account, resource),
        "storedBytes": 0,
    }
    if first is not None and last is not None:
        shown["firstEventTimestamp"] = first.timestamp_ms
        shown["lastEventTimestamp"] = shown["lastIngestionTime"] = last.timestamp_ms
    return shown


def _may_hold(stream: logs.Stream, since: int | None) -> bool:
    """False when the stream was last written to before that."""
    return since is None or stream.path.stat().st_mtime * 1000 >= since - CLOCK_MS


def _created(stream: logs.Stream) -> int:
    first: Iterator[logs.Event] = logs.read(stream)
    return next((event.timestamp_ms for event in first), 0)


def _event(event: logs.Event) -> dict[str, Any]:
    return {"timestamp": event.timestamp_ms, "message": event.message}


def _event_id(stream: str, place: int) -> str:
    return hashlib.sha256(f"{stream}/{place}".encode()).hexdigest()[:56]


def _within(event: logs.Event, request: dict[str, Any]) -> bool:
    start, end = request.get("startTime"), request.get("endTime")
    after = start is None or event.timestamp_ms >= start
    return after and (end is None or event.timestamp_ms < end)


def _position(token: str | None, count: int, limit: int, from_head: bool | None) -> int:
    """Where a page of GetLogEvents starts: the newest events first unless told otherwise."""
    if token is None:
        return 0 if from_head else max(0, count - limit)
    direction, _, at = token.partition("/")
    if direction not in ("f", "b") or not at.isdigit():
        raise Invalid("The specified nextToken is invalid.")
    return int(at) if direction == "f" else max(0, int(at) - limit)


def _offset(token: str | None) -> int:
    if token is not None and not token.isdigit():
        raise Invalid("The specified nextToken is invalid.")
    return int(token or 0)


def _page(key: str, found: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    limit = min(request.get("limit") or PAGE_MAX, PAGE_MAX)
    at = _offset(request.get("nextToken"))
    page: dict[str, Any] = {key: found[at : at + limit]}
    if at + limit < len(found):
        page["nextToken"] = str(at + limit)
    return page
