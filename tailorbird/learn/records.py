"""Rows of resources: found by ARN in the caller's account and region, listed in pages."""

from __future__ import annotations

import base64
import binascii
import hashlib
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
PAGING = ("nexttoken", "maxresults")
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


def deletable(conn: Connection, table: sa.Table, caller: Caller, arn: str, what: str) -> Row:
    """The resource; InUse while it is being made."""
    row = find(conn, table, caller, arn, what)
    if row["status"] in BUSY:
        raise InUse(f"The {what} {arn} is in state {row['status']}; what is made can be deleted")
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
    asked = scope(key, request, caller)
    if request.get("nextToken"):
        created, arn = read_token(request["nextToken"], asked, float, str)
        query = query.where(sa.tuple_(table.c.created, table.c.arn) > sa.tuple_(created, arn))
    with room.db.read() as conn:
        rows = conn.execute(query).mappings().fetchall()
    answer: dict[str, Any] = {key: [show(row) for row in rows[:size]]}
    if len(rows) > size:
        last = rows[size - 1]
        answer["nextToken"] = token(asked, last["created"], last["arn"])
    return answer


def scope(key: str, request: dict[str, Any], caller: Caller | None = None) -> str:
    """What a token is good for: this list, asked for with the same arguments, by this account."""
    named = {name: one for name, one in request.items() if name.lower() not in PAGING}
    whose = () if caller is None else (caller.account, caller.region)
    text = orjson.dumps([key, named, whose], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2s(text, digest_size=8).hexdigest()


def token(asked: str, *last: float | str) -> str:
    """Where the next page of a list begins, as one opaque word."""
    return base64.urlsafe_b64encode(orjson.dumps([asked, *last])).decode()


def read_token(text: str, asked: str, *kinds: Callable[[Any], Any]) -> list[Any]:
    """What `token` was given; Invalid when no answer to the same question gave it."""
    try:
        given, *last = orjson.loads(base64.urlsafe_b64decode(text))
        if given != asked:
            raise ValueError(given)
        return [kind(one) for kind, one in zip(kinds, last, strict=True)]
    except (binascii.Error, ValueError, TypeError):
        raise Invalid(
            "nextToken is not one that an earlier answer to the same request gave",
            code="InvalidNextTokenException",
        ) from None


def page_of(
    rows: list[Any], key: str, request: dict[str, Any], caller: Caller | None = None
) -> tuple[list[Any], str | None]:
    """One page of a list kept whole, and the token of the next."""
    asked = scope(key, request, caller)
    size = request.get("maxResults") or PAGE_SIZE
    given = request.get("nextToken") or request.get("NextToken")
    start = read_token(given, asked, int)[0] if given else 0
    more = token(asked, start + size) if start + size < len(rows) else None
    return rows[start : start + size], more


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
