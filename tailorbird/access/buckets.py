"""What is known of a bucket beside its objects: when and where it was made, and its policy."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird.access import notes, uploads
from tailorbird.access.documents import parsed
from tailorbird.access.room import Access
from tailorbird.access.tables import access_buckets
from tailorbird.store import insert


def made(room: Access, name: str, region: str) -> None:
    """A new bucket; what a bucket of that name left behind is forgotten."""
    row = {"region": region, "created": room.clock.now(), "policy": None}
    statement = insert(room.db, access_buckets).values(name=name, **row)
    with room.db.write() as conn:
        _forget_content(conn, name)
        conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))


def find(room: Access, name: str) -> Row[Any] | None:
    """Region, time and policy; None for a bucket that another room made."""
    wanted = sa.select(access_buckets).where(access_buckets.c.name == name)
    with room.db.read() as conn:
        return conn.execute(wanted).first()


def known(room: Access) -> dict[str, Row[Any]]:
    """Every bucket known, by name."""
    with room.db.read() as conn:
        return {row.name: row for row in conn.execute(sa.select(access_buckets))}


def set_policy(room: Access, name: str, text: str, region: str, created: float) -> None:
    """Keep the bucket's policy, also of a bucket that another room made then and there."""
    row = {"name": name, "region": region, "created": created, "policy": text}
    statement = insert(room.db, access_buckets).values(row)
    with room.db.write() as conn:
        conn.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={"policy": text})
        )


def drop_policy(room: Access, name: str) -> None:
    """The bucket has no policy any more."""
    changed = sa.update(access_buckets).where(access_buckets.c.name == name).values(policy=None)
    with room.db.write() as conn:
        conn.execute(changed)


def policy_of(room: Access, name: str) -> dict[str, Any] | None:
    """The bucket's policy, parsed; None when it has none."""
    wanted = sa.select(access_buckets.c.policy).where(access_buckets.c.name == name)
    with room.db.read() as conn:
        text = conn.execute(wanted).scalar()
    return parsed(text) if text else None


def forget(room: Access, name: str) -> None:
    """The bucket is gone, and all that was said of its objects."""
    with room.db.write() as conn:
        conn.execute(sa.delete(access_buckets).where(access_buckets.c.name == name))
        _forget_content(conn, name)


def _forget_content(conn: Connection, name: str) -> None:
    notes.forget_bucket(conn, name)
    uploads.forget_bucket(conn, name)
