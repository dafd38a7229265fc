"""Command: what a function has logged, the last lines of it or from now on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cyclopts import App

from tailorbird.errors import Invalid
from tailorbird.terminal import Data, Url, asking, remote

if TYPE_CHECKING:
    from tailorbird.remote import Remote

MISSING = "ResourceNotFoundException"
POLL_SECONDS = 0.5
OVERLAP_MS = 2000  # an event may be written a moment after its time
Event = dict[str, Any]


def add_to(app: App) -> None:
    """Make this command one of the front door."""
    app.command(logs)


def logs(
    function: str, *, last: int = 100, follow: bool = False, data: Data = None, url: Url = None
) -> None:
    """Print the last lines a function has logged.

    Args:
        function: Name of the function.
        last: How many lines.
        follow: Go on with what it logs from now on, until Ctrl-C.
    """
    if last < 0:
        raise Invalid(f"--last is {last}; 0 or more lines can be shown")
    server = remote(data, url)
    group, exists = _group(server, function)
    found = sorted(_newest(server, group, function, last), key=_moment)
    if not found and not follow and not exists:
        raise Invalid(f"There is no function {function}, and nothing is kept of one")
    for event in found[len(found) - last :] if last else []:
        _write(event)
    if follow:
        _follow(server, group, function, {_identity(event) for event in found})


def _group(server: Remote, function: str) -> tuple[str, bool]:
    """Where the function logs to, and whether it is there; what is gone has its usual group."""
    client = server.client("lambda")
    with asking(server):
        try:
            found = client.get_function_configuration(FunctionName=function)
        except client.exceptions.ResourceNotFoundException:
            return f"/aws/lambda/{function}", False
    return found["LoggingConfig"]["LogGroup"], True


def _newest(server: Remote, group: str, function: str, count: int) -> Iterator[Event]:
    """At least the last `count` events, stream by stream from the one written last."""
    client, seen = server.client("logs"), 0
    oldest = 0
    with asking(server):
        try:
            pages = client.get_paginator("describe_log_streams").paginate(
                logGroupName=group, orderBy="LastEventTime", descending=True
            )
            streams = [stream for page in pages for stream in page["logStreams"]]
        except client.exceptions.ResourceNotFoundException:
            return
        for stream in streams:
            name = stream["logStreamName"]
            if not _is_own(name, function):
                continue
            if count == 0 or (seen >= count and stream.get("lastEventTimestamp", 0) < oldest):
                return
            answer = client.get_log_events(
                logGroupName=group, logStreamName=name, limit=min(count, 10_000)
            )
            events = answer["events"]
            seen += len(events)
            moments = [event["timestamp"] for event in events]
            oldest = min([oldest or moments[0], *moments]) if moments else oldest
            yield from ({**event, "logStreamName": name} for event in events)


def _follow(server: Remote, group: str, function: str, seen: set[Any]) -> None:
    """Print what is new, each event once."""
    client, since = server.client("logs"), int(time.time() * 1000) - OVERLAP_MS
    while True:
        time.sleep(POLL_SECONDS)
        with asking(server):
            try:
                pages = client.get_paginator("filter_log_events").paginate(
                    logGroupName=group, startTime=since
                )
                events = [event for page in pages for event in page["events"]]
            except client.exceptions.ResourceNotFoundException:
                continue  # nothing was logged yet
        new = [
            event
            for event in events
            if _is_own(event["logStreamName"], function) and _identity(event) not in seen
        ]
        for event in new:
            _write(event)
        sys.stdout.flush()
        seen = {_identity(event) for event in events}
        since = max([since, *(event["timestamp"] - OVERLAP_MS for event in events)])


def _identity(event: Event) -> tuple[str, int, str]:
    return event["logStreamName"], event["timestamp"], event["message"]


def _moment(event: Event) -> int:
    return int(event["timestamp"])


def _is_own(stream: str, function: str) -> bool:
    """Streams of a group that functions share say whose they are."""
    writer = stream.rpartition("/")[2].partition("[")[0]
    return writer in ("", function)


def _write(event: Event) -> None:
    """One event; the lines inside an error's text are divided by carriage returns, as in Lambda."""
    sys.stdout.write(event["message"].rstrip("\r\n").replace("\r", "\n") + "\n")
