"""What an account may have of functions, and what it has.

Source: Lambda API reference, GetAccountSettings; developer guide, "Lambda quotas".
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import LimitExceeded
from tailorbird.functions.packages import MAX_UNZIPPED_BYTES, MAX_ZIPPED_BYTES
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import (
    functions_functions,
    functions_layer_versions,
    functions_versions,
)

TOTAL_CODE_BYTES = 80_530_636_800  # 75 GB of zips, versions and layers counted each


def get_account_settings(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    concurrency = room.settings.functions_account_concurrency
    t = functions_functions
    mine = (t.c.account == caller.account, t.c.region == caller.region)
    with room.db.read() as conn:
        count = conn.execute(sa.select(sa.func.count()).select_from(t).where(*mine)).scalar()
        used = stored_bytes(conn, caller.account, caller.region)
        held = reserved(conn, caller.account, caller.region)
    return {
        "AccountLimit": {
            "TotalCodeSize": TOTAL_CODE_BYTES,
            "CodeSizeUnzipped": MAX_UNZIPPED_BYTES,
            "CodeSizeZipped": MAX_ZIPPED_BYTES,
            "ConcurrentExecutions": concurrency,
            "UnreservedConcurrentExecutions": concurrency - held,
        },
        "AccountUsage": {"TotalCodeSize": used, "FunctionCount": count},
    }


def reserved(conn: Connection, account: str, region: str, besides: str = "") -> int:
    """Concurrency that functions hold for themselves, one of them left out."""
    t = functions_functions
    mine = (t.c.account == account, t.c.region == region, t.c.name != besides)
    return int(conn.execute(sa.select(sa.func.sum(t.c.reserved)).where(*mine)).scalar() or 0)


def stored_bytes(conn: Connection, account: str, region: str) -> int:
    """The size of every version's and layer version's zip."""
    total = 0
    for table in (functions_versions, functions_layer_versions):
        mine = (table.c.account == account, table.c.region == region)
        total += conn.execute(sa.select(sa.func.sum(table.c.size)).where(*mine)).scalar() or 0
    return int(total)


def check_storage(
    conn: Connection, account: str, region: str, more: int, most: int = TOTAL_CODE_BYTES
) -> None:
    """LimitExceeded when a zip of so many bytes would be more than the account may keep."""
    used = stored_bytes(conn, account, region)
    if used + more > most:
        raise LimitExceeded(
            f"Code storage limit exceeded. {used} bytes are kept and {more} more do not fit below"
            f" {most}: delete versions or layer versions that are not used",
            code="CodeStorageExceededException",
        )
