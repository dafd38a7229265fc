"""Tailorbird's own HTTP API under `/_/`, with the bearer token: what no service has a call for.

GET  /_/jobs[?kind=&state=]          GET /_/jobs/{id}
GET  /_/ledger?activity=|campaign=   [&state=&reason=&limit=&after=]
GET  /_/ledger?application=&user=
GET  /_/ledger/reasons?activity=|campaign=
POST /_/archive                      {"source": id} or {} for all
POST /_/explain                      {"as": ARN, "action": ..., "resource": ..., "context": {...}}
POST /_/interactions                 {"source": id, "output": "s3://....csv", "mapping": {...},
                                      "dataset": "interactions"|"users"|"items"}
     /_/functions/{name}...          own_functions.py
     /_/campaigns..., /_/segments... own_campaigns.py
     /_/imports..., /_/streams, /_/lift  own_measuring.py
     GET /_/explain, /_/events, /_/latency  own_learn.py
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tailorbird import prepare
from tailorbird.collect import Collect, archive, sources
from tailorbird.engage import Engage, ledger
from tailorbird.errors import Denied, Invalid, NotFound, TailorbirdError
from tailorbird.prepare import Prepare
from tailorbird.store import Jobs

LEDGER_ROWS_MAX = 1000
STATUS: dict[type[TailorbirdError], int] = {Denied: 401, NotFound: 404, Invalid: 400}

Answer = dict[str, Any]
Door = Callable[[Request], Answer]


def app(
    jobs: Jobs,
    porch: Collect,
    kitchen: Prepare,
    parlour: Engage,
    token: str,
    explain: Callable[[Answer], Answer],
    more: Sequence[tuple[str, str, Door]] = (),
) -> Starlette:
    """The ASGI application; `explain` says why somebody may or may not."""
    doors: list[tuple[str, str, Door]] = [
        ("GET", "/_/jobs", lambda request: _jobs(jobs, request)),
        ("GET", "/_/jobs/{id:int}", lambda request: {"job": jobs.get(request.path_params["id"])}),
        ("GET", "/_/ledger", lambda request: _ledger(parlour, request)),
        ("GET", "/_/ledger/reasons", lambda request: _reasons(parlour, request)),
        ("POST", "/_/archive", lambda request: _archive(porch, request.state.body)),
        ("POST", "/_/explain", lambda request: explain(request.state.body)),
        ("POST", "/_/interactions", lambda request: _prepare(porch, kitchen, request.state.body)),
        *more,
    ]
    return Starlette(
        routes=[Route(path, _guarded(door, token), methods=[verb]) for verb, path, door in doors],
        exception_handlers={TailorbirdError: _refuse},
    )


def _guarded(door: Door, token: str) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode(), token.encode())
        if kind.lower() != "bearer" or not known:
            raise Denied(
                "This needs `Authorization: Bearer <token>`; the data folder holds api_token"
            )
        if request.method == "POST":
            request.state.body = _object(await request.body())
        return _json(200, await run_in_threadpool(door, request))

    return endpoint


def _archive(porch: Collect, body: Answer) -> Answer:
    """Write what the log holds into the archive now: of one source, or of all."""
    source = body.get("source")
    if source is not None:
        sources.get(porch.db, source)
    return {"files": archive.flush(porch, source)}


def _jobs(jobs: Jobs, request: Request) -> Answer:
    given = request.query_params
    return {"jobs": list(jobs.list(given.get("kind"), given.get("state"), _limit(request, 100)))}


def _prepare(porch: Collect, kitchen: Prepare, body: Answer) -> Answer:
    """Archive what the source has in its log and begin; the job's result is the report."""
    unknown = body.keys() - {"source", "output", "mapping", "dataset"}
    if unknown:
        raise Invalid(
            f"There is no {', '.join(sorted(unknown))}; source, output, mapping and dataset are"
        )
    source, output, mapping = (body.get(name) for name in ("source", "output", "mapping"))
    if not isinstance(source, str) or not isinstance(output, str):
        raise Invalid("source (an id) and output (s3://... ending in .csv) are needed, as texts")
    prepare.check_stored(output)
    if not isinstance(mapping or {}, dict):
        raise Invalid('mapping is an object, for example {"events": ["Product Added"]}')
    chosen, dataset = prepare.from_dict(mapping or {}), str(body.get("dataset", "interactions"))
    prepare.dataset_of(chosen, dataset)
    sources.get(porch.db, source)
    archive.flush(porch, source)
    return {"job": prepare.start(kitchen, source, output, chosen, dataset=dataset)}


def _object(body: bytes) -> Answer:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"The body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Invalid("The body is not a JSON object")
    return found


def _ledger(parlour: Engage, request: Request) -> Answer:
    given = request.query_params
    if "user" in given:
        if "application" not in given:
            raise Invalid("A person's ledger needs application= beside user=")
        return {"entries": ledger.of_person(parlour, given["application"], given["user"])}
    limit = _limit(request, LEDGER_ROWS_MAX)
    after = _number(given.get("after", "0"), "after")
    entries: list[Answer] = []
    for activity in _activities(parlour, request):
        entries += ledger.of_activity(
            parlour, activity, given.get("state"), limit, after, given.get("reason")
        )
    return {"entries": entries[:limit]}


def _reasons(parlour: Engage, request: Request) -> Answer:
    found = [
        {"activity": activity, **reason}
        for activity in _activities(parlour, request)
        for reason in ledger.reasons(parlour, activity)
    ]
    return {"reasons": found}


def _activities(parlour: Engage, request: Request) -> list[str]:
    given = request.query_params
    if "activity" in given:
        return [given["activity"]]
    if "campaign" in given:
        return ledger.activities_of(parlour, given["campaign"])
    raise Invalid("Say which: activity=, campaign=, or application= and user=")


def _limit(request: Request, default: int) -> int:
    return min(LEDGER_ROWS_MAX, _number(request.query_params.get("limit", str(default)), "limit"))


def _number(text: str, name: str) -> int:
    if not text.isdigit():
        raise Invalid(f"{name} is {text!r}; a whole number is right")
    return int(text)


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TailorbirdError)
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 409)
    return _json(status, {"message": error.message})


def _json(status: int, body: Answer) -> Response:
    content = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)  # SQLAlchemy names its columns
    return Response(content, status, media_type="application/json")
