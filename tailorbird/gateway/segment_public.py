"""Segment's Public API, the slice that runs a workspace: sources, destinations, delivery.

Under `/segmentapis/` or the host api.segmentapis.com, with the bearer token of the data folder.
What Segment does not have is beside it: an archive flush, profiles, and interactions.
Source: Segment, "Public API" (envelope `data`, errors, pagination).
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tailorbird import prepare
from tailorbird.collect import Collect, archive, catalog, destinations, profiles, sources, trace
from tailorbird.errors import (
    Conflict,
    Denied,
    Invalid,
    NotBuilt,
    NotFound,
    TailorbirdError,
    Throttled,
    TooLarge,
    Unavailable,
)
from tailorbird.gateway import segment_control, segment_shapes, segment_warehouses
from tailorbird.gateway.segment_rooms import Asked, Deed, Rooms
from tailorbird.prepare import Prepare

PREFIX = "/segmentapis"
MEDIA_TYPE = "application/vnd.segment.v1+json"
BODY_MAX_BYTES = 1024 * 1024

# Kind of refusal: HTTP status and the type the API names it with.
ERRORS: tuple[tuple[type[TailorbirdError], int, str], ...] = (
    (NotFound, 404, "not-found"),
    (Conflict, 409, "conflict"),
    (TooLarge, 413, "payload-too-large"),
    (Invalid, 422, "validation-failed"),
    (Denied, 403, "forbidden"),
    (Throttled, 429, "too-many-requests"),
    (NotBuilt, 501, "not-implemented"),
    (Unavailable, 503, "unavailable"),
)

log = logging.getLogger("tailorbird.collect")


def app(
    collect_room: Collect, token: str, prepare_room: Prepare
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application."""
    rooms = Rooms(collect_room, prepare_room)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            _check_token(request, token)
            deed, parts = _find(request)
            asked = Asked(parts, dict(request.query_params), await _body(request))
            data = await run_in_threadpool(deed, rooms, asked)
            response = _json(200, {"data": data})
        except TailorbirdError as error:
            response = _refused(error)
        except Exception as error:
            log.error("%s %s", scope["method"], scope["path"], exc_info=error)
            response = _json(500, _errors("internal", "the server could not handle this"))
        await response(scope, receive, send)

    return answer


def get_workspace(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    name = rooms.collect.settings.workspace
    return {"workspace": {"id": name, "slug": name, "name": name}}


def list_sources(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    found = [_source(rooms, row) for row in sources.list_all(rooms.collect.db)]
    return segment_shapes.paged("sources", found, asked.query)


def create_source(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    room, body = rooms.collect, asked.body
    made = sources.create(
        room.db,
        room.clock,
        room.settings,
        body.get("name") or body.get("slug") or "",
        body.get("slug"),
        catalog=body.get("metadataId") or sources.DEFAULT_CATALOG,
        enabled=body.get("enabled", True) is not False,
        options=segment_shapes.as_object(body, "settings"),
        write_key=segment_shapes.as_text(body, "writeKey") if body.get("writeKey") else None,
    )
    room.keys.forget()
    return {"source": _source(rooms, made)}


def get_source(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"source": _source(rooms, sources.get(rooms.collect.db, asked.parts[0]))}


def update_source(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    changed = sources.update(rooms.collect.db, asked.parts[0], **asked.body)
    rooms.collect.keys.forget()
    return {"source": _source(rooms, changed)}


def delete_source(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    sources.delete(rooms.collect.db, asked.parts[0])
    rooms.collect.keys.forget()
    return {"status": "SUCCESS"}


def create_write_key(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    room = rooms.collect
    changed = sources.add_write_key(room.db, room.clock, asked.parts[0])
    room.keys.forget()
    return {"source": _source(rooms, changed)}


def delete_write_key(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    sources.delete_write_key(rooms.collect.db, *asked.parts)
    rooms.collect.keys.forget()
    return {"status": "SUCCESS"}


def list_connected(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    sources.get(rooms.collect.db, asked.parts[0])
    found = destinations.list_all(rooms.collect, asked.parts[0])
    return segment_shapes.paged(
        "destinations", [segment_shapes.destination(row) for row in found], asked.query
    )


def get_source_counts(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """What became of the calls of a source, with samples of those that were refused."""
    return sources.overview(rooms.collect.db, asked.parts[0])


def archive_source(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """Archive now what is in the log; the files written."""
    sources.get(rooms.collect.db, asked.parts[0])
    return {"files": archive.flush(rooms.collect, asked.parts[0])}


def list_destinations(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    found = [segment_shapes.destination(row) for row in destinations.list_all(rooms.collect)]
    return segment_shapes.paged("destinations", found, asked.query)


def create_destination(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    body = asked.body
    made = destinations.create(
        rooms.collect,
        segment_shapes.as_text(body, "sourceId"),
        segment_shapes.as_text(body, "metadataId"),
        segment_shapes.as_object(body, "settings"),
        name=body.get("name") or "",
        enabled=body.get("enabled", True) is not False,
    )
    return {"destination": segment_shapes.destination(made)}


def get_destination(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {
        "destination": segment_shapes.destination(destinations.get(rooms.collect, asked.parts[0]))
    }


def update_destination(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    changed = destinations.update(rooms.collect, asked.parts[0], **asked.body)
    return {"destination": segment_shapes.destination(changed)}


def delete_destination(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    destinations.delete(rooms.collect, asked.parts[0])
    return {"status": "SUCCESS"}


def get_delivery_metrics(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """Segment's summary, and the delivery overview with reasons and samples."""
    seen = destinations.overview(rooms.collect, asked.parts[0])
    row = destinations.get(rooms.collect, asked.parts[0])
    steps = seen["steps"]
    metrics = [
        {"metricName": "successes", "value": steps["successful_delivery"], "breakdown": []},
        {
            "metricName": "failures",
            "value": steps["failed_delivery"],
            "breakdown": [
                {"metricName": segment_shapes.reason(item), "value": item["n"]}
                for item in seen["reasons"]
                if item["step"] == "failed_delivery"
            ],
        },
        {"metricName": "retries", "value": steps["retried"], "breakdown": []},
    ]
    summary = {
        "sourceId": row["source_id"],
        "destinationMetadataId": catalog.find(row["type"]).id,
        "metrics": metrics,
    }
    return {"deliveryMetricsSummary": summary, "overview": seen}


def list_catalog(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    found = [segment_shapes.kind(kind) for kind in catalog.TYPES.values()]
    return segment_shapes.paged("destinationsCatalog", found, asked.query)


def get_profile(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """What is known of a person, by user id."""
    return {"profile": profiles.find(rooms.collect, asked.parts[0])}


def make_interactions(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """Archive a source and turn its archive into an interactions CSV; the report.

    With `"wait": false` the work goes on in a job whose id is answered.
    """
    source_id, output = (
        segment_shapes.as_text(asked.body, "sourceId"),
        segment_shapes.as_text(asked.body, "output"),
    )
    prepare.check_stored(output)
    given = segment_shapes.as_object(asked.body, "mapping")
    if "events" in asked.body:
        given = {**given, "events": asked.body["events"]}
    mapping, dataset = prepare.from_dict(given), str(asked.body.get("dataset", "interactions"))
    prepare.dataset_of(mapping, dataset)
    sources.get(rooms.collect.db, source_id)
    archive.flush(rooms.collect, source_id)
    if asked.body.get("wait") is False:
        return {"job": prepare.start(rooms.prepare, source_id, output, mapping, dataset=dataset)}
    found = archive.location(rooms.collect, source_id)
    return prepare.run(rooms.prepare, found, output, mapping, dataset=dataset)


def get_interactions(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """How far such a job is, and its report."""
    number = asked.parts[0]
    if not number.isdigit():
        raise NotFound(f"There is no job {number!r}")
    job = rooms.prepare.jobs.get(int(number))
    names = ("id", "state", "done", "total", "unit", "error", "result")
    shown = {name: job[name] for name in names}
    return {"job": shown | prepare.progress_of(rooms.prepare, job)}


def get_call(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """The path of one call, by its messageId."""
    return {"call": trace.find(rooms.collect, asked.parts[0])}


def _source(rooms: Rooms, row: dict[str, Any]) -> dict[str, Any]:
    return segment_shapes.source(row, rooms.collect.settings.workspace)


# "*" stands for one part of the path.
ROUTES: dict[tuple[str, str], Deed] = {
    ("GET", "/"): get_workspace,
    ("GET", "/sources"): list_sources,
    ("POST", "/sources"): create_source,
    ("GET", "/sources/*"): get_source,
    ("PATCH", "/sources/*"): update_source,
    ("DELETE", "/sources/*"): delete_source,
    ("POST", "/sources/*/writekey"): create_write_key,
    ("DELETE", "/sources/*/writekey/*"): delete_write_key,
    ("GET", "/sources/*/connected-destinations"): list_connected,
    ("GET", "/sources/*/counts"): get_source_counts,
    ("POST", "/sources/*/archive"): archive_source,
    ("GET", "/destinations"): list_destinations,
    ("POST", "/destinations"): create_destination,
    ("GET", "/destinations/*"): get_destination,
    ("PATCH", "/destinations/*"): update_destination,
    ("DELETE", "/destinations/*"): delete_destination,
    ("GET", "/destinations/*/delivery-metrics"): get_delivery_metrics,
    ("GET", "/catalog/destinations"): list_catalog,
    ("GET", "/profiles/*"): get_profile,
    ("GET", "/calls/*"): get_call,
    ("POST", "/interactions"): make_interactions,
    ("GET", "/interactions/*"): get_interactions,
    **segment_control.ROUTES,
    **segment_warehouses.ROUTES,
}


def _find(request: Request) -> tuple[Deed, tuple[str, ...]]:
    path = request.url.path.removeprefix(PREFIX).rstrip("/") or "/"
    words = path.split("/")
    allowed = []
    for (method, pattern), deed in ROUTES.items():
        wanted = pattern.split("/")
        if len(wanted) != len(words):
            continue
        if all(want in ("*", word) for want, word in zip(wanted, words, strict=True)):
            if method == request.method:
                return deed, tuple(
                    word for want, word in zip(wanted, words, strict=True) if want == "*"
                )
            allowed.append(method)
    if allowed:
        raise NotBuilt(f"{path} takes {', '.join(sorted(allowed))}, not {request.method}")
    raise NotBuilt(f"Segment's Public API operation {request.method} {path} is not built")


def _check_token(request: Request, token: str) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
        raise Denied(
            "send 'Authorization: Bearer <token>' with the token of <data>/api_token",
            code="unauthorized",
        )


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if len(raw) > BODY_MAX_BYTES:
        raise TooLarge(f"the body has {len(raw)} bytes; at most {BODY_MAX_BYTES}")
    if not raw:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Invalid(
            f"malformed JSON: line {error.lineno} column {error.colno}: {error.msg}"
        ) from None
    if not isinstance(body, dict):
        raise Invalid("the body is not a JSON object")
    return body


def _refused(error: TailorbirdError) -> Response:
    if error.code == "unauthorized":
        return _json(401, _errors("unauthorized", error.message))
    for kind, status, name in ERRORS:
        if isinstance(error, kind):
            return _json(status, _errors(name, error.message))
    return _json(400, _errors("bad-request", error.message))


def _errors(name: str, message: str) -> dict[str, Any]:
    return {"errors": [{"type": name, "message": message}]}


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(
        orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS), status, media_type=MEDIA_TYPE
    )
