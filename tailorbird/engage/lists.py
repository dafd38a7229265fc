"""Imported segments: lists of endpoints, and of people whose endpoints of the moment are meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import tables as t
from tailorbird.engage import transfer_tables as tt
from tailorbird.engage.bulk import Bulk
from tailorbird.engage.room import Engage
from tailorbird.store import Later

if TYPE_CHECKING:
    from tailorbird.engage.apps import App

IMPORT = "IMPORT"
WAIT_SECONDS = 1.0

_ADD_ENDPOINTS = Bulk(
    "engage_list_endpoints", {"list": "bigint", "endpoint": "bigint"}, "ON CONFLICT DO NOTHING"
)
_ADD_USERS = Bulk(
    "engage_list_users", {"list": "bigint", "user_id": "text"}, "ON CONFLICT DO NOTHING"
)
_MEMBERS = (
    "SELECT endpoint FROM engage_list_endpoints WHERE list = {list}"
    " UNION SELECT e.number FROM engage_endpoints e JOIN engage_list_users u"
    " ON u.user_id = e.user_id WHERE e.app = {app} AND u.list = {list}"
)


def begin(conn: Connection, segment_id: str, version: int) -> int:
    """An empty list for a version of a segment; its number."""
    row = {"segment_id": segment_id, "version": version, "is_whole": False}
    made = conn.execute(sa.insert(tt.lists).values(row).returning(tt.lists.c.number))
    return int(made.scalar_one())


def find(conn: Connection, segment_id: str, version: int) -> Any:
    """The list that a version of a segment means: its own, or that of the version it follows."""
    c = tt.lists.c
    query = sa.select(tt.lists).where(c.segment_id == segment_id, c.version <= version)
    return conn.execute(query.order_by(c.version.desc()).limit(1)).mappings().first()


def add(
    room: Engage, conn: Connection, number: int, endpoints: Iterable[int], users: Iterable[str]
) -> None:
    """Put endpoints (by number) and people on a list; who is on it stays once."""
    _ADD_ENDPOINTS.run(room.db, conn, [(number, one) for one in endpoints])
    _ADD_USERS.run(room.db, conn, [(number, one) for one in users])


def end(conn: Connection, number: int) -> None:
    """The import of a list is over."""
    mine = tt.lists.c.number == number
    conn.execute(sa.update(tt.lists).where(mine).values(is_whole=True))


def members(conn: Connection, app: App, segment: dict[str, Any]) -> frozenset[int]:
    """Numbers of the endpoints an imported segment means now."""
    held = find(conn, segment["id"], segment["version"])
    if held is None:
        return frozenset()
    text = _MEMBERS.format(list=int(held["number"]), app=int(app.number))
    found = conn.exec_driver_sql(text)
    numbers = frozenset(row[0] for row in found.cursor.fetchall())
    found.close()
    return numbers


def from_users(conn: Connection, activity: int) -> int:
    """How many endpoints of a run are there because their people were imported."""
    a, c, u = t.activities.c, t.campaigns.c, tt.list_users.c
    lists_of = (
        sa.select(tt.lists.c.number)
        .join_from(tt.lists, t.campaigns, c.segment_id == tt.lists.c.segment_id)
        .join(t.activities, a.campaign_id == c.id)
        .where(a.number == activity)
        .order_by(tt.lists.c.version.desc())
        .limit(1)
    )
    number = conn.scalar(lists_of)
    if number is None:
        return 0
    query = (
        sa.select(sa.func.count())
        .select_from(t.ledger)
        .join(t.endpoints, t.endpoints.c.number == t.ledger.c.endpoint)
        .join(tt.list_users, u.user_id == t.endpoints.c.user_id)
        .where(t.ledger.c.activity == activity, u.list == number)
    )
    return int(conn.execute(query).scalar_one())


def await_whole(conn: Connection, segment: dict[str, Any]) -> None:
    """Later while the import of a segment is under way: a run takes the whole list."""
    if segment["type"] == IMPORT:
        held = find(conn, segment["id"], segment["version"])
        if held is not None and not held["is_whole"]:
            raise Later(WAIT_SECONDS)


def delete(conn: Connection, segment_ids: Any) -> None:
    """Delete the lists of some segments."""
    mine = tt.lists.c.segment_id.in_(segment_ids)
    numbers = sa.select(tt.lists.c.number).where(mine)
    for table in (tt.list_endpoints, tt.list_users):
        conn.execute(sa.delete(table).where(table.c.list.in_(numbers)))
    conn.execute(sa.delete(tt.lists).where(mine))
