"""Imports, streams and lift under `/_/`: what the service never had a call for.

GET  /_/imports/{job}/failures   every refused row, [?after=<piece>.<row>]
GET  /_/streams                  ?application=
POST /_/streams                  {"application": id, "to": "s3://..." | "https://..." | "source:id"}
POST /_/streams/remove           {"stream": id}
GET  /_/lift                     ?campaign=&event= [&window=<seconds>]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from tailorbird.engage import Engage, event_stream, lift, transfers
from tailorbird.errors import Invalid

Answer = dict[str, Any]
Door = Callable[[Request], Answer]


def doors(room: Engage) -> list[tuple[str, str, Door]]:
    """Method, path and what answers."""
    return [
        ("GET", "/_/imports/{job}/failures", lambda request: _failures(room, request)),
        ("GET", "/_/streams", lambda request: _streams(room, request)),
        ("POST", "/_/streams", lambda request: _attach(room, request.state.body)),
        ("POST", "/_/streams/remove", lambda request: _detach(room, request.state.body)),
        ("GET", "/_/lift", lambda request: _lift(room, request)),
    ]


def _failures(room: Engage, request: Request) -> Answer:
    after = request.query_params.get("after", "-1.0").partition(".")
    try:
        place = (int(after[0]), int(after[2] or 0))
    except ValueError:
        raise Invalid("after is <piece>.<row> of the last failure seen, such as 0.17") from None
    return {"failures": transfers.failures(room, request.path_params["job"], place)}


def _streams(room: Engage, request: Request) -> Answer:
    application = _text(dict(request.query_params), "application")
    return {"streams": event_stream.streams_of(room, application)}


def _attach(room: Engage, body: Answer) -> Answer:
    return event_stream.attach(room, _text(body, "application"), _text(body, "to"))


def _detach(room: Engage, body: Answer) -> Answer:
    return event_stream.detach(room, _text(body, "stream"))


def _lift(room: Engage, request: Request) -> Answer:
    given = dict(request.query_params)
    window = given.get("window", str(lift.DEFAULT_WINDOW_SECONDS))
    try:
        seconds = float(window)
    except ValueError:
        raise Invalid(f"window is {window!r}; a number of seconds is right") from None
    return lift.lift(room, _text(given, "campaign"), _text(given, "event"), seconds)


def _text(given: Answer, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name} is missing: a text is right")
    return value
