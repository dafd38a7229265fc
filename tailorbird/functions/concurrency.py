"""Reserved concurrency: how many invocations of a function may run at a time, 0 to turn it off.

Counted over every process of the house (busy.py). Source: Lambda API reference,
PutFunctionConcurrency; developer guide, "Configuring reserved concurrency".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.functions import account, busy, stored
from tailorbird.functions.tables import functions_functions

if TYPE_CHECKING:
    from tailorbird.functions.resolve import FunctionVersion
    from tailorbird.functions.room import Functions

UNRESERVED_MIN = 100


def put_function_concurrency(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref, wanted = stored.whole(caller, request), request["ReservedConcurrentExecutions"]
    t = functions_functions
    with room.db.write() as conn:
        stored.function(conn, ref)
        others = account.reserved(conn, ref.account, ref.region, besides=ref.name)
        if room.settings.functions_account_concurrency - others - wanted < UNRESERVED_MIN:
            raise Invalid(
                "Specified ReservedConcurrentExecutions for function decreases account's"
                f" UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MIN}].",
                code="InvalidParameterValueException",
            )
        conn.execute(sa.update(t).where(*stored.same(t, ref)).values(reserved=wanted))
    room.forget(ref)
    return {"ReservedConcurrentExecutions": wanted}


def get_function_concurrency(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    with room.db.read() as conn:
        held = stored.function(conn, stored.whole(caller, request)).reserved
    return {} if held is None else {"ReservedConcurrentExecutions": held}


def delete_function_concurrency(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref, t = stored.whole(caller, request), functions_functions
    with room.db.write() as conn:
        stored.function(conn, ref)
        conn.execute(sa.update(t).where(*stored.same(t, ref)).values(reserved=None))
    room.forget(ref)
    return {}


def check_on(version: FunctionVersion) -> None:
    """Throttled when the function is turned off."""
    if version.reserved == 0:
        raise busy.throttled()
