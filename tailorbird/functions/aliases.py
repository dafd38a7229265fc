"""Aliases: names that point to a version, or share invocations between two.

Source: Lambda API reference, CreateAlias; developer guide, "Lambda function aliases".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Conflict, Invalid, NotFound
from tailorbird.functions import paging, stored
from tailorbird.functions.names import LATEST, FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import (
    functions_aliases,
    functions_event_configs,
    functions_policies,
)
from tailorbird.store import insert

MAX_ADDITIONAL_VERSIONS = 1


def create_alias(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref, name = stored.whole(caller, request), request["Name"]
    values = {
        "version": request["FunctionVersion"],
        "description": request.get("Description") or "",
        "weights": _weights(request),
        "revision_id": ids.uuid4(),
    }
    with room.db.write() as conn:
        stored.lock(conn, ref)
        stored.function(conn, ref)
        _check_target(conn, ref, values["version"], values["weights"])
        made = insert(room.db, functions_aliases).values(**stored.key(ref), alias=name, **values)
        if conn.execute(made.on_conflict_do_nothing()).rowcount == 0:
            raise Conflict(
                f"Alias already exists: {_arn(ref, name)}", code="ResourceConflictException"
            )
        answer = _describe(ref, _require(conn, ref, name))
    room.forget(ref)
    return answer


def get_alias(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = stored.whole(caller, request)
    with room.db.read() as conn:
        stored.function(conn, ref)
        return _describe(ref, _require(conn, ref, request["Name"]))


def list_aliases(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref, version = stored.whole(caller, request), request.get("FunctionVersion")
    t = functions_aliases
    with room.db.read() as conn:
        stored.function(conn, ref)
        rows = conn.execute(sa.select(t).where(*stored.same(t, ref))).fetchall()
    wanted = [row for row in rows if version is None or _leads_to(row, version)]
    wanted.sort(key=lambda row: row.alias)
    shown, more = paging.page(wanted, lambda row: str(row.alias), request)
    return {"Aliases": [_describe(ref, row) for row in shown], **more}


def update_alias(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref, name = stored.whole(caller, request), request["Name"]
    with room.db.write() as conn:
        stored.lock(conn, ref)
        stored.function(conn, ref)
        row = stored.alias(conn, ref, name)
        if row is None:
            raise NotFound(f"Alias not found: {_arn(ref, name)}")
        stored.check_revision(row, request)
        version = request.get("FunctionVersion") or row.version
        weights = row.weights if request.get("RoutingConfig") is None else _weights(request)
        _check_target(conn, ref, version, weights)
        values = {"version": version, "weights": weights, "revision_id": ids.uuid4()}
        if request.get("Description") is not None:
            values["description"] = request["Description"]
        t = functions_aliases
        changed = sa.update(t).where(*stored.same(t, ref), t.c.alias == name)
        conn.execute(changed.values(**values))
        answer = _describe(ref, _require(conn, ref, name))
    room.forget(ref)
    return answer


def delete_alias(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The alias goes with its policy and rules for events; one that is gone may go again."""
    ref, name = stored.whole(caller, request), request["Name"]
    t = functions_aliases
    with room.db.write() as conn:
        stored.function(conn, ref)
        conn.execute(sa.delete(t).where(*stored.same(t, ref), t.c.alias == name))
        for table in (functions_policies, functions_event_configs):
            conn.execute(
                sa.delete(table).where(*stored.same(table, ref), table.c.qualifier == name)
            )
    room.forget(ref)
    return {}


def _weights(request: Mapping[str, Any]) -> dict[str, float]:
    given = (request.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    if len(given) > MAX_ADDITIONAL_VERSIONS:
        raise _invalid(
            "Number of items in AdditionalVersionWeights cannot be greater than"
            f" {MAX_ADDITIONAL_VERSIONS}"
        )
    return dict(given)


def _check_target(
    conn: Connection, ref: FunctionRef, version: str, weights: Mapping[str, float]
) -> None:
    """The versions exist, and two of them are two numbered ones."""
    if weights and version == LATEST:
        raise _invalid("$LATEST is not supported for an alias pointing to more than 1 version")
    if version in weights:
        raise _invalid(
            f"Invalid function version {version}. Function version {version} is already included in"
            " routing configuration."
        )
    for wanted in (version, *weights):
        if stored.version_or_none(conn, ref, wanted) is None:
            raise stored.not_found(FunctionRef(ref.account, ref.region, ref.name, wanted))


def _require(conn: Connection, ref: FunctionRef, name: str) -> Row[Any]:
    row = stored.alias(conn, ref, name)
    if row is None:
        raise NotFound(f"Cannot find alias arn: {_arn(ref, name)}")
    return row


def _describe(ref: FunctionRef, row: Row[Any]) -> dict[str, Any]:
    answer = {
        "AliasArn": _arn(ref, row.alias),
        "Name": row.alias,
        "FunctionVersion": row.version,
        "Description": row.description,
        "RevisionId": row.revision_id,
    }
    if row.weights:
        answer["RoutingConfig"] = {"AdditionalVersionWeights": row.weights}
    return answer


def _leads_to(row: Row[Any], version: str) -> bool:
    return bool(version == row.version or version in row.weights)


def _arn(ref: FunctionRef, name: str) -> str:
    return f"{ref.arn}:{name}"


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="InvalidParameterValueException")
