"""How a function follows new versions of its runtime: always, since the machine's is the only one.

Source: Lambda API reference, PutRuntimeManagementConfig, GetFunctionRecursionConfig.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.functions import configuration, stored
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import functions_functions, functions_versions

AUTO, MANUAL = "Auto", "Manual"
TERMINATE = "Terminate"


def get_runtime_management_config(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = stored.reference(caller, request)
    with room.db.read() as conn:
        return _describe(ref, stored.version(conn, ref))


def put_runtime_management_config(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Kept and shown. A runtime version that is not the machine's cannot be asked for."""
    ref = stored.reference(caller, request)
    wanted, arn = request["UpdateRuntimeOn"], request.get("RuntimeVersionArn")
    with room.db.write() as conn:
        row = stored.version(conn, ref)
        installed = configuration.runtime_arn(ref, row.configuration["Runtime"])
        if (wanted == MANUAL) != bool(arn):
            raise _invalid(
                f"RuntimeVersionArn goes with UpdateRuntimeOn {MANUAL}, and only with it"
            )
        if arn not in (None, installed):
            raise _invalid(f"{arn} is not installed here; {installed} is")
        kept = {"UpdateRuntimeOn": wanted} | ({"RuntimeVersionArn": arn} if arn else {})
        t = functions_versions
        own = (*stored.same(t, ref), t.c.version == row.version)
        conn.execute(sa.update(t).where(*own).values(management=kept))
        return _describe(ref, stored.version(conn, ref))


def get_function_recursion_config(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Terminate, unless the function may invoke itself in a loop (see lineage.py)."""
    with room.db.read() as conn:
        found = stored.function(conn, stored.whole(caller, request))
    return {"RecursiveLoop": found.recursive_loop or TERMINATE}


def put_function_recursion_config(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref, wanted = stored.whole(caller, request), request["RecursiveLoop"]
    with room.db.write() as conn:
        stored.function(conn, ref)
        own = stored.same(functions_functions, ref)
        conn.execute(sa.update(functions_functions).where(*own).values(recursive_loop=wanted))
    room.forget(ref)
    return {"RecursiveLoop": wanted}


def _describe(ref: FunctionRef, row: Row[Any]) -> dict[str, Any]:
    named = FunctionRef(ref.account, ref.region, ref.name, ref.version)
    return {"UpdateRuntimeOn": AUTO, "FunctionArn": named.qualified_arn, **row.management}


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="InvalidParameterValueException")
