"""Multipart uploads under way and their parts, as rows; the files are the S3 door's affair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird.access.room import Access
from tailorbird.access.tables import access_upload_parts, access_uploads
from tailorbird.store import insert

_c = access_uploads.c
_p = access_upload_parts.c


def begin(room: Access, upload: Mapping[str, Any]) -> None:
    """A new upload: id, bucket, key, headers, checksum, principal and created."""
    with room.db.write() as conn:
        conn.execute(sa.insert(access_uploads).values(upload))


def find(room: Access, upload_id: str, bucket: str, key: str) -> Row[Any] | None:
    """The upload under way for this object."""
    wanted = sa.select(access_uploads).where(_c.id == upload_id, _c.bucket == bucket, _c.key == key)
    with room.db.read() as conn:
        return conn.execute(wanted).first()


def of_bucket(room: Access, bucket: str, prefix: str) -> list[Row[Any]]:
    """The uploads under way below a prefix, by key and age."""
    wanted = sa.select(access_uploads).where(
        _c.bucket == bucket, _c.key.startswith(prefix, autoescape=True)
    )
    with room.db.read() as conn:
        return list(conn.execute(wanted.order_by(_c.key, _c.created)))


def keep_part(room: Access, upload_id: str, number: int, part: Mapping[str, Any]) -> str | None:
    """Keep a part: size, etag, checksum, file and modified; the file it replaces, if any."""
    statement = insert(room.db, access_upload_parts).values(upload=upload_id, number=number, **part)
    changed = statement.on_conflict_do_update(index_elements=["upload", "number"], set_=dict(part))
    before = sa.select(_p.file).where(_p.upload == upload_id, _p.number == number)
    with room.db.write() as conn:
        replaced: str | None = conn.execute(before).scalar()
        conn.execute(changed)
    return replaced


def parts(room: Access, upload_id: str) -> list[Row[Any]]:
    """The upload's parts in order."""
    wanted = sa.select(access_upload_parts).where(_p.upload == upload_id).order_by(_p.number)
    with room.db.read() as conn:
        return list(conn.execute(wanted))


def end(room: Access, upload_id: str) -> None:
    """Forget the upload and its parts."""
    with room.db.write() as conn:
        conn.execute(sa.delete(access_upload_parts).where(_p.upload == upload_id))
        conn.execute(sa.delete(access_uploads).where(_c.id == upload_id))


def forget_bucket(conn: Connection, bucket: str) -> None:
    """Forget every upload into a bucket."""
    conn.execute(sa.delete(access_uploads).where(_c.bucket == bucket))
