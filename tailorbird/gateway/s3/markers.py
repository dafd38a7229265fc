"""Folder markers: empty objects whose key ends in a slash, as consoles and Spark make them.

A folder of files cannot hold them beside the folder itself, so they live as notes alone.
"""

from typing import Any

import sqlalchemy as sa

from tailorbird.access.tables import access_object_notes
from tailorbird.errors import Invalid
from tailorbird.store import Database, ObjectInfo

EMPTY_ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'

_c = access_object_notes.c


def is_marker(key: str) -> bool:
    return key.endswith("/")


def check_empty(key: str, size: int) -> None:
    """Invalid when bytes are sent under a key that ends in a slash."""
    if size:
        raise Invalid(f"Key {key!r} ends in a slash and can hold no bytes here ({size} came)")


def find(db: Database, bucket: str, key: str) -> ObjectInfo | None:
    wanted = sa.select(access_object_notes).where(_c.bucket == bucket, _c.key == key)
    with db.read() as conn:
        row = conn.execute(wanted).first()
    return _info(row) if row else None


def under(db: Database, bucket: str, prefix: str) -> list[ObjectInfo]:
    """The bucket's markers below a prefix."""
    wanted = sa.select(access_object_notes).where(
        _c.bucket == bucket, _c.key.like("%/"), _c.key.startswith(prefix, autoescape=True)
    )
    with db.read() as conn:
        return [_info(row) for row in conn.execute(wanted) if row.key.startswith(prefix)]


def made(bucket: str, key: str, now: float) -> ObjectInfo:
    """The description of a marker made now."""
    return ObjectInfo(f"s3://{bucket}/{key}", 0, now, EMPTY_ETAG)


def _info(row: Any) -> ObjectInfo:
    return ObjectInfo(f"s3://{row.bucket}/{row.key}", 0, row.modified, row.etag)
