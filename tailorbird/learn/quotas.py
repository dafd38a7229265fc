"""Personalize's count quotas, each a setting; 0 is no limit.

Source: Personalize developer guide, "Endpoints and quotas".
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import LimitExceeded
from tailorbird.learn import records
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_solution_versions

WAITING = (*records.BUSY, "PENDING", "IN_PROGRESS")


def check_busy(room: Learn, conn: Connection, caller: Caller, table: sa.Table) -> None:
    """LimitExceeded when as many of this kind are pending or in progress as may be."""
    most = room.settings.learn_max_busy_jobs
    if most and _count(conn, table, caller, table.c.status.in_(WAITING)) >= most:
        raise LimitExceeded(
            f"More than {most} resources with PENDING or IN_PROGRESS status "
            "(setting learn_max_busy_jobs)"
        )


def check_busy_trainings(room: Learn, conn: Connection, caller: Caller) -> None:
    """LimitExceeded when as many versions are pending or in progress as may be."""
    c = learn_solution_versions.c
    check_count(
        room,
        conn,
        caller,
        learn_solution_versions,
        "learn_max_busy_trainings",
        c.status.in_(WAITING),
    )


def check_count(
    room: Learn,
    conn: Connection,
    caller: Caller,
    table: sa.Table,
    setting: str,
    *where: Any,
) -> None:
    """LimitExceeded when there are as many already as the setting allows."""
    most = getattr(room.settings, setting)
    if most and _count(conn, table, caller, *where) >= most:
        raise LimitExceeded(
            f"More than {most} resources in ACTIVE state. Please delete some and try again "
            f"(setting {setting})"
        )


def _count(conn: Connection, table: sa.Table, caller: Caller, *where: Any) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.account == caller.account, table.c.region == caller.region, *where)
    )
    return conn.execute(query).scalar_one()
