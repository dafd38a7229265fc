"""Folder markers: empty objects whose key ends in a slash, as consoles and Spark make them.

A folder of files cannot hold them beside the folder itself, so they live as notes alone.
"""

from typing import Any

from tailorbird.access import Access, notes
from tailorbird.errors import Invalid
from tailorbird.store import ObjectInfo

EMPTY_ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'


def is_marker(key: str) -> bool:
    return key.endswith("/")


def check_empty(key: str, size: int) -> None:
    """Invalid when bytes are sent under a key that ends in a slash."""
    if size:
        raise Invalid(f"Key {key!r} ends in a slash and can hold no bytes here ({size} came)")


def find(room: Access, bucket: str, key: str) -> ObjectInfo | None:
    row = notes.read(room, bucket, [key]).get(key)
    return _info(row) if row else None


def under(room: Access, bucket: str, prefix: str) -> list[ObjectInfo]:
    """The bucket's markers below a prefix."""
    return [_info(row) for row in notes.markers(room, bucket, prefix)]


def made(bucket: str, key: str, now: float) -> ObjectInfo:
    """The description of a marker made now."""
    return ObjectInfo(f"s3://{bucket}/{key}", 0, now, EMPTY_ETAG)


def _info(row: Any) -> ObjectInfo:
    return ObjectInfo(f"s3://{row.bucket}/{row.key}", 0, row.modified, row.etag)
