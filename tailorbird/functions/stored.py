"""What is stored of a function, found by what a request calls it: name, ARN, version or alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird.access import Caller
from tailorbird.errors import Conflict, Invalid, NotFound
from tailorbird.functions import names
from tailorbird.functions.names import LATEST, FunctionRef
from tailorbird.functions.tables import (
    functions_aliases,
    functions_functions,
    functions_versions,
)

STALE_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias"
    " API to retrieve the latest Revision Id"
)


def reference(caller: Caller, request: Mapping[str, Any]) -> FunctionRef:
    """The function a request names; another account's or region's is not found."""
    ref = names.parse(
        request["FunctionName"], caller.account, caller.region, request.get("Qualifier")
    )
    if ref.region != caller.region:
        raise NotFound(
            f"Functions from '{ref.region}' are not reachable in this region ('{caller.region}')",
            code="ResourceNotFoundException",
        )
    if ref.account != caller.account:
        raise not_found(ref)
    return ref


def whole(caller: Caller, request: Mapping[str, Any]) -> FunctionRef:
    """The function a change is for: never one of its versions or aliases."""
    ref = reference(caller, request)
    if ref.qualifier not in (None, LATEST):
        raise Invalid(
            "This operation is permitted on Lambda functions only. Aliases and versions do not"
            " support this operation. Please specify either a function name or an unqualified"
            " function ARN.",
            code="InvalidParameterValueException",
        )
    return FunctionRef(ref.account, ref.region, ref.name)


def function(conn: Connection, ref: FunctionRef) -> Row[Any]:
    """The function itself; NotFound in Lambda's words."""
    row = function_or_none(conn, ref)
    if row is None:
        raise not_found(FunctionRef(ref.account, ref.region, ref.name))
    return row


def lock(conn: Connection, ref: FunctionRef) -> None:
    """Let nobody else change the function until the transaction is over."""
    t = functions_functions
    conn.execute(sa.select(t.c.name).where(*same(t, ref)).with_for_update())


def function_or_none(conn: Connection, ref: FunctionRef) -> Row[Any] | None:
    found = sa.select(functions_functions).where(*same(functions_functions, ref))
    return conn.execute(found).first()


def version(conn: Connection, ref: FunctionRef) -> Row[Any]:
    """The version the reference leads to, an alias by its main version; NotFound otherwise."""
    row = version_or_none(conn, ref, ref.version)
    if row is None and (found := alias(conn, ref, ref.version)) is not None:
        row = version_or_none(conn, ref, found.version)
    if row is None:
        raise not_found(ref)
    return row


def packages(conn: Connection, ref: FunctionRef) -> set[str]:
    """The zips that versions of the function are made from, their layers' too."""
    t = functions_versions
    rows = conn.execute(sa.select(t.c.package, t.c.layers).where(*same(t, ref))).fetchall()
    return {row.package for row in rows} | {
        layer["package"] for row in rows for layer in row.layers
    }


def version_or_none(conn: Connection, ref: FunctionRef, wanted: str) -> Row[Any] | None:
    t = functions_versions
    found = sa.select(t).where(*same(t, ref), t.c.version == wanted)
    return conn.execute(found).first()


def alias(conn: Connection, ref: FunctionRef, name: str) -> Row[Any] | None:
    """The alias of that name, or None."""
    t = functions_aliases
    return conn.execute(sa.select(t).where(*same(t, ref), t.c.alias == name)).first()


def same(table: sa.Table, ref: FunctionRef) -> tuple[sa.ColumnElement[bool], ...]:
    """The rows of a table that belong to the function."""
    c = table.c
    return (c.account == ref.account, c.region == ref.region, c.name == ref.name)


def key(ref: FunctionRef) -> dict[str, str]:
    """The function's part of a row's key."""
    return {"account": ref.account, "region": ref.region, "name": ref.name}


def check_revision(row: Row[Any], request: Mapping[str, Any]) -> None:
    """Conflict when the request was made for another state than the stored one."""
    if request.get("RevisionId") not in (None, row.revision_id):
        raise Conflict(STALE_REVISION, code="PreconditionFailedException")


def not_found(ref: FunctionRef) -> NotFound:
    return NotFound(f"Function not found: {ref.qualified_arn}", code="ResourceNotFoundException")
