"""Rows of resources: found by ARN in the caller's account and region, listed in pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import AlreadyExists, InUse, Invalid, NotFound
from tailorbird.learn import pace, tags
from tailorbird.learn.room import Learn
from tailorbird.store import insert

PAGE_SIZE = 100
ACTIVE = "ACTIVE"
PENDING = "CREATE PENDING"
IN_PROGRESS = "CREATE IN_PROGRESS"
FAILED = "CREATE FAILED"
STOPPING, STOPPED = "CREATE STOPPING", "CREATE STOPPED"
BUSY = (PENDING, IN_PROGRESS, STOPPING)

Row = sa.RowMapping


def arn_of(caller: Caller, resource: str) -> str:
    return ids.arn("personalize", caller.region, caller.account, resource)


def add(
    room: Learn, conn: Connection, table: sa.Table, caller: Caller, what: str, **values: Any
) -> None:
    """Insert a resource with its tags; AlreadyExists when its ARN is taken."""
    now = room.clock.now()
    row = {"account": caller.account, "region": caller.region, "created": now, "updated": now}
    if values["status"] == ACTIVE:
        values["status"] = pace.first_status(room, conn, table.name, values["arn"], what)
    statement = insert(room.db, table).values(row | values).on_conflict_do_nothing()
    if conn.execute(statement.returning(table.c.arn)).scalar() is None:
        raise AlreadyExists(
            f"Another {what} with Arn {values['arn']} already exists; choose another name"
        )
    tags.put(room.db, conn, values["arn"], values["definition"].get("tags") or ())


def find(conn: Connection, table: sa.Table, caller: Caller, arn: str, what: str) -> Row:
    """The resource; NotFound when this account has none in this region."""
    query = sa.select(table).where(
        table.c.arn == arn,
        table.c.account == caller.account,
        table.c.region == caller.region,
    )
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"The given {what} does not exist: {arn}")
    return row


def active(conn: Connection, table: sa.Table, caller: Caller, arn: str, what: str) -> Row:
    """The resource; InUse when it is not ACTIVE yet."""
    row = find(conn, table, caller, arn, what)
    if row["status"] != ACTIVE:
        raise InUse(f"The {what} {arn} is in state {row['status']}; it has to be ACTIVE")
    return row


def page(
    room: Learn,
    table: sa.Table,
    caller: Caller,
    request: dict[str, Any],
    key: str,
    show: Callable[[Row], dict[str, Any]],
    *where: Any,
) -> dict[str, Any]:
    """One page in order of creation."""
    size = request.get("maxResults") or PAGE_SIZE
    query = (
        sa.select(table)
        .where(table.c.account == caller.account, table.c.region == caller.region, *where)
        .order_by(table.c.created, table.c.arn)
        .limit(size + 1)
    )
    if request.get("nextToken"):
        created, arn = read_token(request["nextToken"])
        query = query.where(sa.tuple_(table.c.created, table.c.arn) > sa.tuple_(created, arn))
    with room.db.read() as conn:
        rows = conn.execute(query).mappings().fetchall()
    answer: dict[str, Any] = {key: [show(row) for row in rows[:size]]}
    if len(rows) > size:
        last = rows[size - 1]
        token = orjson.dumps([last["created"], last["arn"]])
        answer["nextToken"] = base64.urlsafe_b64encode(token).decode()
    return answer


def read_token(token: str) -> tuple[float, str]:
    try:
        created, arn = orjson.loads(base64.urlsafe_b64decode(token))
        return float(created), str(arn)
    except (binascii.Error, ValueError, TypeError):
        raise Invalid(
            "nextToken is not one that an earlier answer gave", code="InvalidNextTokenException"
        ) from None


def place(token: str | None, count: int) -> int:
    """Where a page of a list kept whole begins, by the token of the page before."""
    if token is None:
        return 0
    if not token.isdigit() or not 0 < int(token) < max(count, 1):
        raise Invalid(
            "nextToken is not one that an earlier answer gave", code="InvalidNextTokenException"
        )
    return int(token)


def refuse_while(conn: Connection, query: sa.Select[Any], message: str) -> None:
    """InUse with the message and the first row found, when there is one."""
    found = conn.execute(query.limit(1)).scalar()
    if found is not None:
        raise InUse(f"{message}: {found}")


def change(room: Learn, conn: Connection, table: sa.Table, arn: str, **values: Any) -> int:
    """Update a resource and its time of change; how many rows there were."""
    changed = sa.update(table).where(table.c.arn == arn)
    return conn.execute(changed.values(updated=room.clock.now(), **values)).rowcount


def remove(conn: Connection, table: sa.Table, arn: str) -> None:
    conn.execute(sa.delete(table).where(table.c.arn == arn))
    tags.drop(conn, arn)


def times(row: Row) -> dict[str, Any]:
    """The two moments every resource shows."""
    return {"creationDateTime": row["created"], "lastUpdatedDateTime": row["updated"]}


def state(row: Row) -> dict[str, Any]:
    """Status, and why it failed where it did."""
    shown = {"status": row["status"]}
    return shown | ({"failureReason": row["failure"]} if row["failure"] else {})


def given(row: Row, *names: str) -> dict[str, Any]:
    """These members of the create request, as they were given."""
    return {name: row["definition"][name] for name in names if name in row["definition"]}
