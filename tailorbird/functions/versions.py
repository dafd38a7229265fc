"""Versions: a function's code and configuration, numbered and kept as they were.

Source: Lambda API reference, PublishVersion; developer guide, "Manage Lambda function versions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Conflict, Invalid, NotBuilt
from tailorbird.functions import account, configuration, paging, stored
from tailorbird.functions.names import LATEST, FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import (
    functions_aliases,
    functions_event_configs,
    functions_functions,
    functions_policies,
    functions_versions,
)


def publish_version(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = stored.whole(caller, request)
    with room.db.write() as conn:
        stored.lock(conn, ref)
        latest = stored.version(conn, ref)
        stored.check_revision(latest, request)
        _check_digest(latest, request)
        return publish(room, conn, ref, request)


def list_versions_by_function(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = stored.whole(caller, request)
    t = functions_versions
    query = sa.select(t).where(*stored.same(t, ref)).order_by(t.c.number)
    with room.db.read() as conn:
        stored.function(conn, ref)
        rows = conn.execute(query).fetchall()
    shown, more = paging.page(rows, lambda row: int(row.number), request)
    return {"Versions": [configuration.listed(_of(ref, row.version), row) for row in shown], **more}


def publish(
    room: Functions, conn: Connection, ref: FunctionRef, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Number the state of $LATEST, unless the last version is the same; its configuration."""
    if request.get("PublishTo"):
        raise NotBuilt(f"PublishTo {request['PublishTo']}")
    latest = stored.version(conn, ref)
    if latest.directory:
        raise Invalid(
            "A function whose code is a folder (hot reload) cannot be published: its code is not"
            " kept. Update it with a zip first",
            code="InvalidParameterValueException",
        )
    last = _last(conn, ref)
    if last is not None and _is_same(last, latest):
        return configuration.describe(_of(ref, last.version), last)
    row = _numbered(room, conn, ref, latest, request)
    conn.execute(functions_versions.insert().values(**row))
    bumped = sa.update(functions_versions).where(
        *stored.same(functions_versions, ref), functions_versions.c.version == LATEST
    )
    conn.execute(bumped.values(revision_id=ids.uuid4()))
    made = _of(ref, row["version"])
    return configuration.pending(configuration.describe(made, stored.version(conn, made)))


def delete(conn: Connection, ref: FunctionRef) -> None:
    """Remove one numbered version, with its policy and its rules for events."""
    number = ref.version
    if stored.alias(conn, ref, number) is not None:
        raise Invalid(
            "Deletion of aliases is not currently supported.",
            code="InvalidParameterValueException",
        )
    stored.version(conn, ref)
    if pointing := _pointing(conn, ref, number):
        raise Conflict(
            f"Version {number} of {ref.name} was not deleted: the aliases"
            f" {', '.join(pointing)} point to it",
            code="ResourceConflictException",
        )
    t = functions_versions
    conn.execute(sa.delete(t).where(*stored.same(t, ref), t.c.version == number))
    for table in (functions_policies, functions_event_configs):
        conn.execute(sa.delete(table).where(*stored.same(table, ref), table.c.qualifier == number))


def _numbered(
    room: Functions,
    conn: Connection,
    ref: FunctionRef,
    latest: Row[Any],
    request: Mapping[str, Any],
) -> dict[str, Any]:
    """The row of the next version; numbers are never given twice, also when one was deleted."""
    t = functions_functions
    account.check_storage(conn, ref.account, ref.region, latest.size)
    counted = sa.update(t).where(*stored.same(t, ref)).values(last_version=t.c.last_version + 1)
    conn.execute(counted)
    number = stored.function(conn, ref).last_version
    settled = dict(latest.configuration)
    if request.get("Description") is not None:
        settled["Description"] = request["Description"]
    return dict(latest._mapping) | {
        "version": str(number),
        "number": number,
        "configuration": settled,
        "revision_id": ids.uuid4(),
        "modified": room.clock.now(),
    }


def _check_digest(latest: Row[Any], request: Mapping[str, Any]) -> None:
    given, current = request.get("CodeSha256"), latest.configuration["CodeSha256"]
    if given and given != current:
        raise Invalid(
            f"CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current})."
            " Please try again with the CodeSHA256 in $LATEST.",
            code="InvalidParameterValueException",
        )


def _last(conn: Connection, ref: FunctionRef) -> Row[Any] | None:
    t = functions_versions
    found = sa.select(t).where(*stored.same(t, ref), t.c.number > 0)
    return conn.execute(found.order_by(t.c.number.desc()).limit(1)).first()


def _is_same(version: Row[Any], latest: Row[Any]) -> bool:
    """Nothing but the description and times differ."""
    ours, theirs = ({**row.configuration, "Description": ""} for row in (version, latest))
    return bool(ours == theirs and version.package == latest.package)


def _pointing(conn: Connection, ref: FunctionRef, number: str) -> list[str]:
    t = functions_aliases
    rows = conn.execute(sa.select(t).where(*stored.same(t, ref)).order_by(t.c.alias)).fetchall()
    return [row.alias for row in rows if number == row.version or number in row.weights]


def _of(ref: FunctionRef, version: str) -> FunctionRef:
    return FunctionRef(ref.account, ref.region, ref.name, version)
