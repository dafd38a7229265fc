"""How far each reader of the log has come: `archive:<source>`, `destination:<id>`, `profiles`."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.collect import tables
from tailorbird.store import Database, fetch, insert

START = 1  # the first call's number
GET = "SELECT number FROM collect_cursors WHERE name = ?"
MOVE = "UPDATE collect_cursors SET number = ? WHERE name = ? AND number = ? RETURNING number"


def get(conn: Connection, name: str) -> int:
    """The number of the next call this reader wants."""
    found = fetch(conn, Database.written(conn, GET), (name,))
    return int(found[0][0]) if found else START


def put(db: Database, conn: Connection, name: str, number: int) -> None:
    row = insert(db, tables.cursors).values(name=name, number=number)
    conn.execute(row.on_conflict_do_update(index_elements=["name"], set_={"number": number}))


def advance(conn: Connection, name: str, old: int, new: int) -> bool:
    """Move on, unless another process has moved it: then False, and the caller rolls back."""
    if fetch(conn, Database.written(conn, MOVE), (new, name, old)):
        return True
    if old != START or fetch(conn, Database.written(conn, GET), (name,)):
        return False
    conn.execute(tables.cursors.insert().values(name=name, number=new))
    return True


def drop(conn: Connection, name: str) -> None:
    conn.execute(sa.delete(tables.cursors).where(tables.cursors.c.name == name))


def slowest(conn: Connection, source_id: str, of_files: Sequence[str] = ()) -> int:
    """What every reader of a source has passed: archive, profiles and enabled destinations, but
    not those of the types that take files."""
    d = tables.destinations.c
    mine = sa.select(d.id).where(d.source_id == source_id, d.enabled, d.type.not_in(of_files))
    readers = [f"destination:{name}" for name in conn.execute(mine).scalars()]
    a = tables.archives.c
    planned = sa.select(sa.func.min(a.first)).where(a.source_id == source_id, a.written.is_(None))
    unwritten = conn.execute(planned).scalar()
    come = [get(conn, name) for name in ("profiles", f"archive:{source_id}", *readers)]
    return min(come if unwritten is None else [*come, unwritten])
