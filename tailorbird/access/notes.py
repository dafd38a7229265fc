"""What clients said of objects beside their bytes, as rows; the S3 door gives them their meaning.

A note whose key ends in a slash is a folder marker: an empty object that no folder of files can
hold beside the folder itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird.access.room import Access
from tailorbird.access.tables import access_object_notes
from tailorbird.store import insert

_c = access_object_notes.c


def write(room: Access, bucket: str, key: str, note: Mapping[str, Any]) -> None:
    """Keep size, modified, etag, headers and checksum of the object, over what was kept."""
    statement = insert(room.db, access_object_notes).values(bucket=bucket, key=key, **note)
    changed = statement.on_conflict_do_update(index_elements=["bucket", "key"], set_=dict(note))
    with room.db.write() as conn:
        conn.execute(changed)


def read(room: Access, bucket: str, keys: Iterable[str]) -> dict[str, Row[Any]]:
    """The notes there are of these objects, by key."""
    wanted = sa.select(access_object_notes).where(_c.bucket == bucket, _c.key.in_(list(keys)))
    with room.db.read() as conn:
        return {row.key: row for row in conn.execute(wanted)}


def markers(room: Access, bucket: str, prefix: str) -> list[Row[Any]]:
    """The notes of folder markers below a prefix."""
    wanted = sa.select(access_object_notes).where(
        _c.bucket == bucket, _c.key.like("%/"), _c.key.startswith(prefix, autoescape=True)
    )
    with room.db.read() as conn:
        return [row for row in conn.execute(wanted) if row.key.startswith(prefix)]


def forget(room: Access, bucket: str, keys: Iterable[str]) -> None:
    """Remove the notes of deleted objects."""
    gone = sa.delete(access_object_notes).where(_c.bucket == bucket, _c.key.in_(list(keys)))
    with room.db.write() as conn:
        conn.execute(gone)


def forget_bucket(conn: Connection, bucket: str) -> None:
    """Remove every note of a bucket."""
    conn.execute(sa.delete(access_object_notes).where(_c.bucket == bucket))
