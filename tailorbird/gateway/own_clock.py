"""The test clock under `/_/`, only with the setting `test_clock`.

GET  /_/clock                                what time the schedules think it is
POST /_/clock    {"advance": seconds}        or {"set": "2026-11-21T18:00:00Z"}
It goes on from there at its usual pace, in every process on the same data folder; signatures and
sessions of clients keep to the true time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from tailorbird.clock import Clock, MovedClock, iso, parse_iso
from tailorbird.errors import Invalid
from tailorbird.store import Jobs

Answer = dict[str, Any]
Door = Callable[[Request], Answer]


def doors(clock: Clock, jobs: Jobs) -> list[tuple[str, str, Door]]:
    """Method, path and what answers."""
    return [
        ("GET", "/_/clock", lambda _request: {"now": iso(clock.now())}),
        ("POST", "/_/clock", lambda request: _move(clock, jobs, request.state.body)),
    ]


def _move(clock: Clock, jobs: Jobs, body: Answer) -> Answer:
    if not isinstance(clock, MovedClock):
        raise Invalid("The clock can be moved only with the setting test_clock")
    seconds = _seconds(body, clock.now())
    jobs.shift_leases(seconds)
    clock.move(seconds)
    jobs.nudge()
    return {"now": iso(clock.now())}


def _seconds(body: Answer, now: float) -> float:
    if body.keys() == {"advance"}:
        seconds = body["advance"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise Invalid(f"advance is {seconds!r}; seconds are right")
        return float(seconds)
    if body.keys() != {"set"}:
        raise Invalid('{"advance": seconds} or {"set": "2026-11-21T18:00:00Z"} is right')
    try:
        return parse_iso(body["set"]) - now
    except (TypeError, ValueError):
        raise Invalid(f"set is {body['set']!r}, not an ISO 8601 time") from None
