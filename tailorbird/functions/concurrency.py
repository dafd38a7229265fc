"""Reserved concurrency: how many invocations of a function may run at a time, 0 to turn it off.

Counted in each process that runs functions. Source: Lambda API reference, PutFunctionConcurrency;
developer guide, "Configuring reserved concurrency".
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.errors import Invalid, Throttled
from tailorbird.functions import account, stored
from tailorbird.functions.tables import functions_functions

if TYPE_CHECKING:
    from tailorbird.functions.resolve import FunctionVersion
    from tailorbird.functions.room import Functions

UNRESERVED_MIN = 100
RESERVED_REASON = "ReservedFunctionConcurrentInvocationLimitExceeded"


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


class Busy:
    """Counts the invocations of each function that run in this process."""

    def __init__(self) -> None:
        self._running: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def take(self, version: FunctionVersion) -> None:
        """Count one more; Throttled when the function's reserved concurrency is used up."""
        arn = version.ref.arn
        with self._lock:
            if version.reserved is not None and self._running[arn] >= version.reserved:
                raise _throttled()
            self._running[arn] += 1

    def give(self, arn: str) -> None:
        """Count one less."""
        with self._lock:
            self._running[arn] -= 1
            if not self._running[arn]:
                del self._running[arn]


def check_on(version: FunctionVersion) -> None:
    """Throttled when the function is turned off."""
    if version.reserved == 0:
        raise _throttled()


def _throttled() -> Throttled:
    return Throttled(
        "Rate Exceeded.", code="TooManyRequestsException", members={"Reason": RESERVED_REASON}
    )
