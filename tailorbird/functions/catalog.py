"""The functions of an account: create, read, list, update, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import AlreadyExists, Invalid, NotBuilt
from tailorbird.functions import (
    account,
    configuration,
    credentials,
    hot_reload,
    layers,
    packages,
    paging,
    shelf,
    stored,
    tags,
    versions,
)
from tailorbird.functions.names import LATEST, FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import (
    functions_aliases,
    functions_event_configs,
    functions_functions,
    functions_policies,
    functions_versions,
)
from tailorbird.store import insert

Columns = dict[str, Any]


def create_function(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = stored.whole(caller, request)
    settled = configuration.new(request, ref.name, room.settings.functions_max_timeout_seconds)
    tags.check(request.get("Tags") or {})
    with room.db.read() as conn:
        if stored.function_or_none(conn, ref) is not None:
            raise _exists(ref)
    credentials.check_role(room, settled["Role"])
    code = _code(room, request["Code"])
    now = room.clock.now()
    with room.db.write() as conn:
        made = insert(room.db, functions_functions).values(
            **stored.key(ref), tags=request.get("Tags") or {}, created=now, last_version=0
        )
        if conn.execute(made.on_conflict_do_nothing()).rowcount == 0:
            raise _exists(ref)
        held = layers.hold(room, conn, caller, ref, request.get("Layers") or [])
        shelf.hold(conn, code["package"])
        account.check_storage(conn, ref.account, ref.region, code["size"])
        _check_together(code["unzipped"], held.kept)
        version = {
            **code,
            "version": LATEST,
            "number": 0,
            "configuration": _shown(settled, code, held.shown),
            "layers": held.kept,
            "management": {},
            "revision_id": ids.uuid4(),
            "modified": now,
        }
        conn.execute(functions_versions.insert().values(**stored.key(ref), **version))
        room.expect(request["Runtime"])
        if _publishes(request):
            first = versions.publish(room, conn, ref, {"PublishTo": request.get("PublishTo")})
            return {**first, "FunctionArn": ref.arn}  # not the version's, unlike UpdateFunctionCode
        return configuration.pending(configuration.describe(ref, stored.version(conn, ref)))


def get_function(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = stored.reference(caller, request)
    with room.db.read() as conn:
        version = stored.version(conn, ref)
        function = stored.function(conn, ref)
    answer: dict[str, Any] = {
        "Configuration": configuration.describe(ref, version),
        "Code": {"RepositoryType": "S3", "Location": _location(room, caller, version)},
    }
    if function.tags:
        answer["Tags"] = function.tags
    if function.reserved is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved}
    return answer


def get_function_configuration(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = stored.reference(caller, request)
    with room.db.read() as conn:
        return configuration.describe(ref, stored.version(conn, ref))


def list_functions(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Every function by its $LATEST; with FunctionVersion ALL every version, by qualified ARN.

    With MasterRegion none: nothing is replicated from another region here.
    """
    if request.get("MasterRegion"):
        return {"Functions": []}
    c, everything = functions_versions.c, request.get("FunctionVersion") == "ALL"
    query = sa.select(functions_versions).where(
        c.account == caller.account, c.region == caller.region
    )
    if not everything:
        query = query.where(c.version == LATEST)
    with room.db.read() as conn:
        rows = conn.execute(query).fetchall()
    rows = sorted(rows, key=lambda row: (row.name, row.number))
    shown, more = paging.page(rows, lambda row: [row.name, row.number], request)
    found = [
        configuration.listed(
            FunctionRef(row.account, row.region, row.name, row.version if everything else None), row
        )
        for row in shown
    ]
    return {"Functions": found, **more}


def update_function_code(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = stored.whole(caller, request)
    with room.db.read() as conn:
        stored.check_revision(stored.version(conn, ref), request)
    code = _code(room, request)

    def change(conn: Connection, row: Row[Any]) -> Columns:
        _check_together(code["unzipped"], row.layers)
        shelf.hold(conn, code["package"])
        account.check_storage(conn, ref.account, ref.region, code["size"] - row.size)
        settled = dict(row.configuration)
        if request.get("Architectures"):
            settled["Architectures"] = request["Architectures"]
        return {**code, "configuration": _shown(settled, code, settled.get("Layers") or [])}

    if not request.get("DryRun"):
        return _update(room, ref, request, change)
    with room.db.read() as conn:
        row = stored.version(conn, ref)
        shape = configuration.describe(ref, row)
        return shape | {
            name: value
            for name, value in change(conn, row)["configuration"].items()
            if name in ("CodeSize", "CodeSha256", "Architectures")
        }


def update_function_configuration(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = stored.whole(caller, request)
    if request.get("Role"):
        credentials.check_role(room, request["Role"])
    most = room.settings.functions_max_timeout_seconds

    def change(conn: Connection, row: Row[Any]) -> Columns:
        settled = configuration.changed(row.configuration, request, ref.name, most)
        if request.get("Layers") is None:
            return {"configuration": settled}
        held = layers.hold(room, conn, caller, ref, request["Layers"])
        _check_together(row.unzipped, held.kept)
        rest = {name: value for name, value in settled.items() if name != "Layers"}
        shown = {**rest, "Layers": held.shown} if held.shown else rest
        return {"configuration": shown, "layers": held.kept}

    return _update(room, ref, request, change)


def delete_function(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = stored.reference(caller, request)
    if ref.qualifier == LATEST:
        raise Invalid(
            "$LATEST version cannot be deleted without deleting the function.",
            code="InvalidParameterValueException",
        )
    with room.db.write() as conn:
        stored.lock(conn, ref)
        left = stored.packages(conn, ref)
        if ref.qualifier:
            versions.delete(conn, ref)
        else:
            _delete_whole(conn, ref)
    room.retire(ref)
    shelf.sweep(room, left)
    return {}


def _delete_whole(conn: Connection, ref: FunctionRef) -> None:
    stored.function(conn, ref)
    for table in (
        functions_event_configs,
        functions_aliases,
        functions_versions,
        functions_policies,
        functions_functions,
    ):
        conn.execute(sa.delete(table).where(*stored.same(table, ref)))


def _update(
    room: Functions,
    ref: FunctionRef,
    request: Mapping[str, Any],
    change: Callable[[Connection, Row[Any]], Columns],
) -> dict[str, Any]:
    with room.db.write() as conn:
        stored.lock(conn, ref)
        row = stored.version(conn, ref)
        stored.check_revision(row, request)
        values = {
            **change(conn, row),
            "revision_id": ids.uuid4(),
            "modified": room.clock.now(),
        }
        t = functions_versions
        own = (*stored.same(t, ref), t.c.version == LATEST)
        conn.execute(sa.update(t).where(*own).values(**values))
        if _publishes(request):
            shape = versions.publish(room, conn, ref, {"PublishTo": request.get("PublishTo")})
        else:
            shape = configuration.updating(configuration.describe(ref, stored.version(conn, ref)))
    room.retire(FunctionRef(ref.account, ref.region, ref.name, LATEST))
    return shape


def _code(room: Functions, given: Mapping[str, Any]) -> Columns:
    """The columns of a version that say what its code is."""
    if hot_reload.is_meant(given):
        directory = str(hot_reload.folder(room.settings, given.get("S3Key") or ""))
        return {"package": "", "size": 0, "unzipped": 0, "directory": directory}
    package = shelf.put(room, given)
    return {
        "package": package.sha256,
        "size": package.size,
        "unzipped": package.unzipped,
        "directory": None,
    }


def _shown(settled: Mapping[str, Any], code: Columns, held: list[dict[str, Any]]) -> dict[str, Any]:
    """The configuration with what it says of code and layers."""
    if code["directory"]:
        shown = hot_reload.code_members(code["directory"])
    else:
        shown = {"CodeSize": code["size"], "CodeSha256": packages.code_sha256(code["package"])}
    return {**settled, **shown, **({"Layers": held} if held else {})}


def _location(room: Functions, caller: Caller, version: Row[Any]) -> str:
    if version.directory:
        return f"file://{version.directory}"
    return credentials.presigned(room, caller, packages.uri(version.package))


def _check_together(unzipped: int, held: list[dict[str, Any]]) -> None:
    together = unzipped + sum(layer["unzipped"] for layer in held)
    if together > packages.MAX_UNZIPPED_BYTES:
        raise Invalid(
            "Function code combined with layers exceeds the maximum allowed size of"
            f" {packages.MAX_UNZIPPED_BYTES} bytes. The actual size is {together} bytes.",
            code="InvalidParameterValueException",
        )


def _publishes(request: Mapping[str, Any]) -> bool:
    if request.get("PublishTo"):
        raise NotBuilt(f"PublishTo {request['PublishTo']}")
    return bool(request.get("Publish"))


def _exists(ref: FunctionRef) -> AlreadyExists:
    return AlreadyExists(f"Function already exist: {ref.name}", code="ResourceConflictException")
