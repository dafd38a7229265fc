"""Layers: zips that several functions share, numbered, unpacked into /opt in the order listed.

Source: Lambda API reference, PublishLayerVersion; developer guide, "Managing Lambda dependencies
with layers".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.functions import (
    account,
    credentials,
    layer_permissions,
    packages,
    paging,
    runtimes,
    shelf,
    stored_layers,
)
from tailorbird.functions.configuration import MAX_LAYERS, lambda_time
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.stored_layers import LayerRef
from tailorbird.functions.tables import functions_layer_versions, functions_layers
from tailorbird.store import insert


def publish_layer_version(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = stored_layers.own(caller, request)
    for runtime in request.get("CompatibleRuntimes") or []:
        runtimes.check_name(runtime)
    package = shelf.put(room, request["Content"])
    with room.db.write() as conn:
        shelf.hold(conn, package.sha256)
        account.check_storage(conn, ref.account, ref.region, package.size)
        made = LayerRef(ref.account, ref.region, ref.name, _next_number(room, conn, ref))
        row = {
            **_key(made),
            "package": package.sha256,
            "size": package.size,
            "unzipped": package.unzipped,
            "description": request.get("Description") or "",
            "license": request.get("LicenseInfo"),
            "runtimes": request.get("CompatibleRuntimes") or [],
            "architectures": request.get("CompatibleArchitectures") or [],
            "statements": [],
            "revision_id": ids.uuid4(),
            "created": room.clock.now(),
        }
        conn.execute(functions_layer_versions.insert().values(**row))
        row_made = stored_layers.require(conn, made)
    return _full(room, caller, made, row_made)


def get_layer_version(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    return _read(room, caller, stored_layers.numbered(caller, request))


def get_layer_version_by_arn(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    return _read(room, caller, stored_layers.parse(request["Arn"]))


def list_layers(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    t = functions_layer_versions
    mine = (t.c.account == caller.account, t.c.region == caller.region)
    with room.db.read() as conn:
        rows = conn.execute(sa.select(t).where(*mine).order_by(t.c.name, t.c.version)).fetchall()
    newest = {row.name: row for row in rows if _fits(row, request)}  # the last one stays
    shown, more = paging.page(list(newest.values()), lambda row: str(row.name), request)
    found = [
        {
            "LayerName": row.name,
            "LayerArn": _ref(row).arn,
            "LatestMatchingVersion": _item(_ref(row), row),
        }
        for row in shown
    ]
    return {"Layers": found, **more}


def list_layer_versions(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = stored_layers.own(caller, request)
    t = functions_layer_versions
    query = sa.select(t).where(*stored_layers.same(ref)).order_by(t.c.version.desc())
    with room.db.read() as conn:
        rows = [row for row in conn.execute(query) if _fits(row, request)]
    shown, more = paging.page(rows, lambda row: -int(row.version), request)
    return {"LayerVersions": [_item(_ref(row), row) for row in shown], **more}


def delete_layer_version(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Functions that use it keep it; nobody new can. Deleting it twice is no error."""
    ref = stored_layers.numbered(caller, request)
    stored_layers.check_owner(caller, ref)
    t = functions_layer_versions
    with room.db.write() as conn:
        row = stored_layers.find(conn, ref)
        conn.execute(sa.delete(t).where(*stored_layers.same(ref), t.c.version == ref.version))
    if row is not None:
        shelf.sweep(room, [row.package])
    return {}


@dataclass(frozen=True)
class Held:
    """The layers of a function, as shown and as stored with its version."""

    shown: list[dict[str, Any]]
    kept: list[dict[str, Any]]


def hold(
    room: Functions, conn: Connection, caller: Caller, ref: FunctionRef, arns: Iterable[str]
) -> Held:
    """The layer versions a function names; Invalid says which one cannot be had and why."""
    wanted = list(arns)
    if len(wanted) > MAX_LAYERS:
        raise _invalid(f"Cannot reference more than {MAX_LAYERS} layers.")
    refs = [stored_layers.parse(arn) for arn in wanted]
    _check_distinct(refs)
    rows = [_usable(conn, caller, ref, layer) for layer in refs]
    pairs = list(zip(refs, rows, strict=True))
    return Held(
        [{"Arn": layer.version_arn, "CodeSize": row.size} for layer, row in pairs],
        [{"package": row.package, "unzipped": row.unzipped} for _, row in pairs],
    )


def _read(room: Functions, caller: Caller, ref: LayerRef) -> dict[str, Any]:
    with room.db.read() as conn:
        row = stored_layers.require(conn, ref)
    layer_permissions.check(caller, ref.version_arn, ref.account, row.statements)
    return _full(room, caller, ref, row)


def _usable(conn: Connection, caller: Caller, ref: FunctionRef, layer: LayerRef) -> Row[Any]:
    if layer.region != ref.region:
        raise _invalid(
            f"Layers are not in the same region as the function. Layers are expected to be in"
            f" region {ref.region}."
        )
    row = stored_layers.find(conn, layer)
    if row is None or not shelf.is_held(conn, row.package):
        raise _invalid(f"Layer version {layer.version_arn} does not exist.")
    layer_permissions.check(caller, layer.version_arn, layer.account, row.statements)
    return row


def _check_distinct(refs: list[LayerRef]) -> None:
    seen: dict[str, LayerRef] = {}
    for ref in refs:
        if (other := seen.get(ref.arn)) is not None:
            raise _invalid(
                "Two different versions of the same layer are not allowed to be referenced in the"
                f" same function. {other.version_arn} and {ref.version_arn} are versions of the"
                " same layer."
            )
        seen[ref.arn] = ref


def _next_number(room: Functions, conn: Connection, ref: LayerRef) -> int:
    """Numbers are never given twice, also when a version was deleted."""
    t = functions_layers
    key = {"account": ref.account, "region": ref.region, "name": ref.name}
    counted = insert(room.db, t).values(**key, last_version=1)
    counted = counted.on_conflict_do_update(
        index_elements=list(key), set_={"last_version": t.c.last_version + 1}
    )
    conn.execute(counted)
    mine = (t.c.account == ref.account, t.c.region == ref.region, t.c.name == ref.name)
    return int(conn.execute(sa.select(t.c.last_version).where(*mine)).scalar_one())


def _full(room: Functions, caller: Caller, ref: LayerRef, row: Row[Any]) -> dict[str, Any]:
    return {
        "Content": {
            "Location": credentials.presigned(room, caller, packages.uri(row.package)),
            "CodeSha256": packages.code_sha256(row.package),
            "CodeSize": row.size,
        },
        "LayerArn": ref.arn,
        **_item(ref, row),
    }


def _item(ref: LayerRef, row: Row[Any]) -> dict[str, Any]:
    optional = {
        "CompatibleRuntimes": row.runtimes,
        "CompatibleArchitectures": row.architectures,
        "LicenseInfo": row.license,
    }
    return {
        "LayerVersionArn": ref.version_arn,
        "Version": ref.version,
        "Description": row.description,
        "CreatedDate": lambda_time(row.created),
        **{name: value for name, value in optional.items() if value},
    }


def _fits(row: Row[Any], request: Mapping[str, Any]) -> bool:
    runtime, architecture = request.get("CompatibleRuntime"), request.get("CompatibleArchitecture")
    return (not runtime or runtime in row.runtimes) and (
        not architecture or architecture in row.architectures
    )


def _key(ref: LayerRef) -> dict[str, Any]:
    return {
        "account": ref.account,
        "region": ref.region,
        "name": ref.name,
        "version": ref.version,
    }


def _ref(row: Row[Any]) -> LayerRef:
    return LayerRef(row.account, row.region, row.name, row.version)


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="InvalidParameterValueException")
