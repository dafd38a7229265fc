"""Campaigns and segments under `/_/`: what the service never had a call for.

POST /_/campaigns/dry-run   {"application": id, "campaign": id, "limit": 50}: nothing is sent
POST /_/campaigns/replay    {"campaign": id}: failed hook batches again
GET  /_/campaigns/runs      ?campaign=: how far each is, and whether its hook is away
GET  /_/campaigns/attempts  ?campaign= [&limit=]: each attempt at its hook, the latest first
GET  /_/segments/explain    ?application=&segment= [&version=&endpoint=]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from tailorbird.engage import Engage, dry_run, explain, progress, replay
from tailorbird.errors import Invalid

Answer = dict[str, Any]
Door = Callable[[Request], Answer]


def doors(room: Engage) -> list[tuple[str, str, Door]]:
    """Method, path and what answers."""
    return [
        ("POST", "/_/campaigns/dry-run", lambda request: _dry_run(room, request.state.body)),
        ("POST", "/_/campaigns/replay", lambda request: _replay(room, request.state.body)),
        ("GET", "/_/campaigns/runs", lambda request: _runs(room, request)),
        ("GET", "/_/campaigns/attempts", lambda request: _attempts(room, request)),
        ("GET", "/_/segments/explain", lambda request: _explain(room, request)),
    ]


def _dry_run(room: Engage, body: Answer) -> Answer:
    limit = body.get("limit", dry_run.DEFAULT_LIMIT)
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise Invalid(f"limit is {limit!r}; a whole number of endpoints is right")
    return dry_run.dry_run(room, _text(body, "application"), _text(body, "campaign"), limit)


def _replay(room: Engage, body: Answer) -> Answer:
    return {"replays": replay.start(room, _text(body, "campaign"))}


def _runs(room: Engage, request: Request) -> Answer:
    return {"runs": progress.runs(room, _text(dict(request.query_params), "campaign"))}


def _attempts(room: Engage, request: Request) -> Answer:
    given = dict(request.query_params)
    limit = given.get("limit", "100")
    if not limit.isdigit():
        raise Invalid(f"limit is {limit!r}; a whole number of attempts is right")
    return {"attempts": progress.attempts(room, _text(given, "campaign"), int(limit))}


def _explain(room: Engage, request: Request) -> Answer:
    given = dict(request.query_params)
    version = given.get("version")
    if version is not None and not version.isdigit():
        raise Invalid(f"version is {version!r}; a whole number is right")
    return explain.explain(
        room, _text(given, "application"), _text(given, "segment"),
        int(version) if version else None, given.get("endpoint"),
    )  # fmt: skip


def _text(given: Answer, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name} is missing: an id, as text")
    return value
