"""Functions under `/_/`: how long they take, and their recorded invocations.

GET  /_/functions/{name}                   latency, environments, what it runs on
POST /_/functions/{name}/record            {"on": true|false}; {"forget": true} removes the records
GET  /_/functions/{name}/records           the newest first
GET  /_/functions/{name}/records/{id}      event, response and log
POST /_/functions/{name}/replay            {"id": id}: the event again, with the code there is now
Each takes ?region=; the account is the house's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from tailorbird.errors import Invalid
from tailorbird.functions import Functions, names, replays, runtimes
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.resolve import resolve

RECORDS_SHOWN = 100

Answer = dict[str, Any]
Door = Callable[[Request], Answer]


def doors(room: Functions) -> list[tuple[str, str, Door]]:
    """Method, path and what answers."""
    base = "/_/functions/{name}"
    return [
        ("GET", base, lambda request: _show(room, request)),
        ("POST", f"{base}/record", lambda request: _switch(room, request)),
        ("GET", f"{base}/records", lambda request: _list(room, request)),
        ("GET", f"{base}/records/{{id}}", lambda request: _get(room, request)),
        ("POST", f"{base}/replay", lambda request: _replay(room, request)),
    ]


def _show(room: Functions, request: Request) -> Answer:
    ref = _ref(room, request)
    version, _ = resolve(room, ref)
    found = room.supervisor.histograms.of(version.ref.arn)
    return {
        "function": version.ref.name,
        "arn": version.ref.arn,
        "runtime": version.runtime,
        "runs_on": runtimes.find(version.runtime).version,
        "sandbox": room.level,
        "recording": room.supervisor.records.wanted(version.ref, version.variables),
        "latency": found.summary() | {"buckets": found.buckets()},
    }


def _switch(room: Functions, request: Request) -> Answer:
    ref, body = _ref(room, request), request.state.body
    on, forget = body.get("on"), body.get("forget", False)
    if not isinstance(on, bool | None) or not isinstance(forget, bool) or (on is None) > forget:
        raise Invalid('"on": true or false is needed, or "forget": true')
    version, _ = resolve(room, ref)
    if forget:
        room.supervisor.records.forget(version.ref)
    if on is not None:
        room.supervisor.records.switch(version.ref, on)
    return {"recording": room.supervisor.records.wanted(version.ref, version.variables)}


def _list(room: Functions, request: Request) -> Answer:
    ref = _ref(room, request)
    version, _ = resolve(room, ref)
    records = room.supervisor.records.list(version.ref)[:RECORDS_SHOWN]
    return {"records": [record.summary() for record in records]}


def _get(room: Functions, request: Request) -> Answer:
    ref = _ref(room, request)
    return {"record": room.supervisor.records.get(ref, request.path_params["id"]).whole()}


def _replay(room: Functions, request: Request) -> Answer:
    ref, id = _ref(room, request), request.state.body.get("id")
    if not isinstance(id, str):
        raise Invalid('"id" of a record is needed, as GET .../records lists them')
    return replays.replay(room, ref, room.supervisor.records.get(ref, id))


def _ref(room: Functions, request: Request) -> FunctionRef:
    region = request.query_params.get("region") or room.settings.region
    return names.parse(request.path_params["name"], room.settings.account, region)
