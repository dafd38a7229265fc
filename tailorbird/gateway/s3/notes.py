"""What a client said of an object beside its bytes: headers, metadata, ETag, checksums.

Other rooms write objects too; a note counts only while size and time are those of the object.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tailorbird.access import notes
from tailorbird.gateway.s3.shelf import Shelf
from tailorbird.store import ObjectInfo

# Members of PutObject that GetObject gives back.
HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "Metadata",
    "WebsiteRedirectLocation",
)
DEFAULT_TYPE = "binary/octet-stream"


@dataclass(frozen=True)
class Note:
    etag: str
    headers: dict[str, Any] = field(default_factory=dict)
    checksum: dict[str, str] = field(default_factory=dict)


def headers_of(request: dict[str, Any]) -> dict[str, Any]:
    """The members of a request that are kept; `aws-chunked` was only the way it was sent."""
    kept = {name: request[name] for name in HEADERS if request.get(name)}
    encodings = [e.strip() for e in kept.pop("ContentEncoding", "").split(",")]
    encoding = ",".join(e for e in encodings if e and e != "aws-chunked")
    return kept | ({"ContentEncoding": encoding} if encoding else {})


def write(shelf: Shelf, bucket: str, key: str, info: ObjectInfo, note: Note) -> None:
    """Remember the note for these very bytes."""
    row = {
        "size": info.size,
        "modified": info.modified,
        "etag": note.etag,
        "headers": note.headers,
        "checksum": note.checksum,
    }
    notes.write(shelf.access, bucket, key, row)


def read(shelf: Shelf, bucket: str, key: str, info: ObjectInfo) -> Note:
    """The note of this object, or what can be said of one that another room wrote."""
    return read_many(shelf, bucket, {key: info})[key]


def read_many(shelf: Shelf, bucket: str, infos: dict[str, ObjectInfo]) -> dict[str, Note]:
    """The notes of several objects of a bucket by key."""
    rows = notes.read(shelf.access, bucket, infos)
    return {key: _note(rows.get(key), info) for key, info in infos.items()}


def forget(shelf: Shelf, bucket: str, keys: Iterable[str]) -> None:
    """Remove the notes of deleted objects."""
    notes.forget(shelf.access, bucket, keys)


def _note(row: Any, info: ObjectInfo) -> Note:
    if row is None or row.size != info.size or row.modified != info.modified:
        return Note(info.etag or '""')
    return Note(row.etag, row.headers, row.checksum)
