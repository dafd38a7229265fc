"""Recommendations under `/_/`: what the service never had a call for.

GET /_/explain   ?campaign=ARN&user=&item=: which models and which history items put it there
GET /_/events    ?of=TRACKER or dataset group: received, linked, unusable and why
GET /_/dataset   ?group=ARN or name: what a training would say of the data, in words and counts
GET /_/attribution ?of=ARN or name: a metric attribution's figures of live events, as of now
GET /_/imports   ?of=ARN of an import job: rows, rejected rows by reason, where all of them lie
GET /_/latency   [?of=ARN of a campaign or recommender]: how long its answers took here
GET /_/versions  ?version=ARN&version=ARN: their metrics side by side
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import (
    Learn,
    attribution_reports,
    explain,
    imports,
    inspection,
    latency,
    metrics,
    readiness,
)

Answer = dict[str, Any]
Door = Callable[[Request], Answer]


def doors(room: Learn) -> list[tuple[str, str, Door]]:
    """Method, path and what answers."""
    return [
        (
            "GET",
            "/_/explain",
            lambda request: explain.explain(
                room, _text(request, "campaign"), _text(request, "user"), _text(request, "item")
            ),
        ),
        ("GET", "/_/dataset", lambda request: readiness.findings(room, _text(request, "group"))),
        (
            "GET",
            "/_/versions",
            lambda request: metrics.compare(room, request.query_params.getlist("version")),
        ),
        (
            "GET",
            "/_/attribution",
            lambda request: attribution_reports.now(room, _text(request, "of")),
        ),
        ("GET", "/_/latency", lambda request: _latency(room, request)),
        ("GET", "/_/imports", lambda request: _import(room, _text(request, "of"))),
        ("GET", "/_/events", lambda request: inspection.events(room, _text(request, "of"))),
    ]


def _import(room: Learn, arn: str) -> Answer:
    found = imports.report(room, arn)
    if not found:
        raise NotFound(f"There is no report of an import job {arn}; it has not read its input yet")
    return found


def _latency(room: Learn, request: Request) -> Answer:
    arn = request.query_params.get("of")
    return latency.of(room, arn) if arn else {"answered": latency.every(room)}


def _text(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if not value:
        raise Invalid(f"{name}= is missing")
    return value
