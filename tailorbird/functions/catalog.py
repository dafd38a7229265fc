"""The functions of an account: create, read, list, update, delete."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import AlreadyExists, Conflict, Invalid, NotBuilt, NotFound
from tailorbird.functions import configuration, credentials, names, packages
from tailorbird.functions.names import LATEST, FunctionRef
from tailorbird.functions.packages import Package
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import (
    functions_functions,
    functions_policies,
    functions_versions,
)
from tailorbird.store import insert

PAGE_MAX = 50
STALE_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias"
    " API to retrieve the latest Revision Id"
)


def create_function(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = _whole(caller, request)
    _refuse_publish(request)
    settled = configuration.new(request, ref.name, room.settings.functions_max_timeout_seconds)
    with room.db.read() as conn:
        if _row(conn, ref) is not None:
            raise _exists(ref)
    credentials.check_role(room, settled["Role"])
    package = _package(room, request["Code"])
    now = room.clock.now()
    key = {"account": ref.account, "region": ref.region, "name": ref.name}
    with room.db.write() as conn:
        tags = request.get("Tags") or {}
        made = insert(room.db, functions_functions).values(**key, tags=tags, created=now)
        if conn.execute(made.on_conflict_do_nothing()).rowcount == 0:
            raise _exists(ref)
        version = {
            "version": LATEST,
            "configuration": settled | _code_members(package),
            "package": package.sha256,
            "revision_id": ids.uuid4(),
            "modified": now,
        }
        conn.execute(functions_versions.insert().values(**key, **version))
        return configuration.pending(configuration.describe(ref, _version(conn, ref)))


def get_function(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = reference(caller, request)
    with room.db.read() as conn:
        version = _version(conn, ref)
        function = _row(conn, ref)
    location = credentials.presigned(room, caller, packages.uri(version.package))
    answer = {
        "Configuration": configuration.describe(ref, version),
        "Code": {"RepositoryType": "S3", "Location": location},
    }
    if function is not None and function.tags:
        answer["Tags"] = function.tags
    return answer


def get_function_configuration(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = reference(caller, request)
    with room.db.read() as conn:
        return configuration.describe(ref, _version(conn, ref))


def list_functions(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    c = functions_versions.c
    count = min(request.get("MaxItems") or PAGE_MAX, PAGE_MAX)
    query = (
        sa.select(functions_versions)
        .where(c.account == caller.account, c.region == caller.region, c.version == LATEST)
        .where(c.name > _from_marker(request.get("Marker")))
        .order_by(c.name)
        .limit(count + 1)
    )
    with room.db.read() as conn:
        rows = conn.execute(query).fetchall()
    page = [
        configuration.describe(FunctionRef(row.account, row.region, row.name), row)
        for row in rows[:count]
    ]
    for shape in page:  # ListFunctions leaves out what only a single read shows
        shape.pop("State", None)
        shape.pop("LastUpdateStatus", None)
    answer: dict[str, Any] = {"Functions": page}
    if len(rows) > count:
        answer["NextMarker"] = base64.b64encode(page[-1]["FunctionName"].encode()).decode()
    return answer


def update_function_code(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = _whole(caller, request)
    _refuse_publish(request)
    with room.db.read() as conn:
        _check_revision(_version(conn, ref), request)
    package = _package(room, request)
    changes = _code_members(package)
    if request.get("Architectures"):
        changes["Architectures"] = request["Architectures"]
    if request.get("DryRun"):
        with room.db.read() as conn:
            shape = configuration.describe(ref, _version(conn, ref))
        return shape | changes
    return _update(room, ref, request, lambda old: old | changes, package)


def update_function_configuration(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = _whole(caller, request)
    if request.get("Role"):
        credentials.check_role(room, request["Role"])
    most = room.settings.functions_max_timeout_seconds
    return _update(
        room, ref, request, lambda old: configuration.changed(old, request, ref.name, most), None
    )


def delete_function(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = reference(caller, request)
    if ref.qualifier == LATEST:
        raise Invalid(
            "$LATEST version cannot be deleted without deleting the function.",
            code="InvalidParameterValueException",
        )
    with room.db.write() as conn:
        _version(conn, ref)
        for table in (functions_versions, functions_policies, functions_functions):
            conn.execute(sa.delete(table).where(*_is(table, ref)))
    room.retire(ref)
    return {}


def reference(caller: Caller, request: Mapping[str, Any]) -> FunctionRef:
    """The function a request names; another account's or region's is not found."""
    ref = names.parse(
        request["FunctionName"], caller.account, caller.region, request.get("Qualifier")
    )
    if ref.account != caller.account or ref.region != caller.region:
        raise _not_found(ref)
    return ref


def require(conn: Connection, ref: FunctionRef) -> Row[Any]:
    """The stored version; NotFound in Lambda's words."""
    return _version(conn, ref)


def _update(
    room: Functions,
    ref: FunctionRef,
    request: Mapping[str, Any],
    change: Any,
    package: Package | None,
) -> dict[str, Any]:
    with room.db.write() as conn:
        row = _version(conn, ref)
        _check_revision(row, request)
        values = {
            "configuration": change(row.configuration),
            "revision_id": ids.uuid4(),
            "modified": room.clock.now(),
        }
        if package is not None:
            values["package"] = package.sha256
        c = functions_versions.c
        own = (*_is(functions_versions, ref), c.version == LATEST)
        conn.execute(sa.update(functions_versions).where(*own).values(**values))
        shape = configuration.describe(ref, _version(conn, ref))
    room.retire(ref)
    return configuration.updating(shape)


def _whole(caller: Caller, request: Mapping[str, Any]) -> FunctionRef:
    """The function a change is for: never one of its versions."""
    ref = reference(caller, request)
    if ref.qualifier:
        raise Invalid(
            f"A function is changed as a whole, without the qualifier {ref.qualifier!r}",
            code="InvalidParameterValueException",
        )
    return ref


def _package(room: Functions, code: Mapping[str, Any]) -> Package:
    if code.get("ImageUri"):
        raise NotBuilt("Code with ImageUri")
    if code.get("S3ObjectVersion"):
        raise NotBuilt("Code with S3ObjectVersion")
    zipped = code.get("ZipFile")
    if zipped is not None:
        return packages.store(room.objects, room.root, zipped)
    if code.get("S3Bucket") and code.get("S3Key"):
        data = packages.fetch(room.objects, code["S3Bucket"], code["S3Key"])
        return packages.store(room.objects, room.root, data, direct=False)
    raise Invalid(
        "Please provide a source for function code.", code="InvalidParameterValueException"
    )


def _code_members(package: Package) -> dict[str, Any]:
    return {"CodeSize": package.size, "CodeSha256": package.code_sha256}


def _version(conn: Connection, ref: FunctionRef) -> Row[Any]:
    c = functions_versions.c
    found = sa.select(functions_versions).where(
        *_is(functions_versions, ref), c.version == ref.version
    )
    row = conn.execute(found).first()
    if row is None:
        raise _not_found(ref)
    return row


def _row(conn: Connection, ref: FunctionRef) -> Row[Any] | None:
    found = sa.select(functions_functions).where(*_is(functions_functions, ref))
    return conn.execute(found).first()


def _is(table: sa.Table, ref: FunctionRef) -> tuple[sa.ColumnElement[bool], ...]:
    c = table.c
    return (c.account == ref.account, c.region == ref.region, c.name == ref.name)


def _check_revision(row: Row[Any], request: Mapping[str, Any]) -> None:
    if request.get("RevisionId") not in (None, row.revision_id):
        raise Conflict(STALE_REVISION, code="PreconditionFailedException")


def _refuse_publish(request: Mapping[str, Any]) -> None:
    if request.get("Publish"):
        raise NotBuilt("Publish: versions of functions")


def _from_marker(marker: str | None) -> str:
    try:
        return base64.b64decode(marker or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Invalid(
            f"Marker {marker!r} is not one that ListFunctions gave",
            code="InvalidParameterValueException",
        ) from None


def _not_found(ref: FunctionRef) -> NotFound:
    return NotFound(f"Function not found: {ref.qualified_arn}", code="ResourceNotFoundException")


def _exists(ref: FunctionRef) -> AlreadyExists:
    return AlreadyExists(f"Function already exist: {ref.name}", code="ResourceConflictException")
