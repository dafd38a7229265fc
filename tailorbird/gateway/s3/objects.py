"""Objects: put, get (whole or a range), head, copy, delete.

Source: S3 API reference; RFC 9110 for ranges and conditional requests.
"""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tailorbird.access import Caller
from tailorbird.errors import Conflict, Invalid, NotBuilt, NotFound, TailorbirdError
from tailorbird.gateway.s3 import markers, notes, permission
from tailorbird.gateway.s3.notes import DEFAULT_TYPE, Note
from tailorbird.gateway.s3.shelf import Body, Opened, Shelf, address
from tailorbird.store import ObjectInfo

PIECE_BYTES = 1024 * 1024
DELETE_MAX_KEYS = 1_000

# What would change who may read an object or for how long it stays: never quietly left out.
NOT_BUILT = (
    "SSECustomerAlgorithm",
    "SSECustomerKey",
    "SSEKMSKeyId",
    "Tagging",
    "ObjectLockMode",
    "ObjectLockRetainUntilDate",
    "ObjectLockLegalHoldStatus",
    "GrantFullControl",
    "GrantRead",
    "GrantReadACP",
    "GrantWriteACP",
    "WriteOffsetBytes",
)
OWN_ACLS = ("private", "bucket-owner-full-control", "bucket-owner-read")
OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")

Request = dict[str, Any]
Answer = dict[str, Any]


def put_object(room: Shelf, caller: Caller, request: Request) -> Answer:
    bucket, key, body = request["Bucket"], request["Key"], request["Body"]
    permission.check(room, caller, "s3:PutObject", bucket, key)
    refuse_not_built(request)
    room.check_bucket(bucket)
    note = Note(f'"{body.md5}"', notes.headers_of(request), body.checksum)
    with room.alone(bucket, key):
        check_conditions(room, bucket, key, request)
        store(room, bucket, key, body, note)
    return {"ETag": note.etag, **_checksum(note)}


def get_object(room: Shelf, caller: Caller, request: Request) -> Answer:
    bucket, key = request["Bucket"], request["Key"]
    permission.check(room, caller, "s3:GetObject", bucket, key)
    opened = room.open(bucket, key)
    try:
        answer = _described(room, request, opened.info)
        start, end = _asked_range(request, answer, opened.info.size)
    except TailorbirdError:
        opened.held.close()
        raise
    if answer.get("_status") == 304:
        opened.held.close()
        return answer
    return answer | {"Body": _pieces(opened, start, end)}


def head_object(room: Shelf, caller: Caller, request: Request) -> Answer:
    bucket, key = request["Bucket"], request["Key"]
    permission.check(room, caller, "s3:GetObject", bucket, key)
    info = room.head(bucket, key)
    answer = _described(room, request, info)
    _asked_range(request, answer, info.size)
    return answer


def copy_object(room: Shelf, caller: Caller, request: Request) -> Answer:
    bucket, key = request["Bucket"], request["Key"]
    from_bucket, from_key = source_of(request)
    permission.check(room, caller, "s3:GetObject", from_bucket, from_key)
    permission.check(room, caller, "s3:PutObject", bucket, key)
    refuse_not_built(request)
    room.check_bucket(bucket)
    replaced = request.get("MetadataDirective") == "REPLACE"
    if (from_bucket, from_key) == (bucket, key) and not replaced:
        raise Invalid(
            "This copy request is illegal because it is trying to copy an object to itself "
            "without changing the object's metadata.",
            code="InvalidRequest",
        )
    info = room.head(from_bucket, from_key)
    held = notes.read(room, from_bucket, from_key, info)
    _check_source(request, held.etag, info)
    headers = notes.headers_of(request) if replaced else held.headers
    note = Note(held.etag, headers, held.checksum)
    with _file_of(room, info) as file, room.alone(bucket, key):
        written = store(room, bucket, key, Body(file, info.size, "", {}), note)
    return {"CopyObjectResult": {"ETag": note.etag, "LastModified": written.modified}}


def delete_object(room: Shelf, caller: Caller, request: Request) -> Answer:
    bucket, key = request["Bucket"], request["Key"]
    permission.check(room, caller, "s3:DeleteObject", bucket, key)
    _refuse_version(request)
    room.check_bucket(bucket)
    _delete(room, bucket, key)
    return {}


def delete_objects(room: Shelf, caller: Caller, request: Request) -> Answer:
    """Up to 1,000 keys; each is deleted or named with its own error."""
    bucket, listed = request["Bucket"], request["Delete"]["Objects"]
    room.check_bucket(bucket)
    if len(listed) > DELETE_MAX_KEYS:
        raise Invalid(
            f"The list has {len(listed)} keys; {DELETE_MAX_KEYS} are allowed", code="MalformedXML"
        )
    deleted, failed = [], []
    for key in [entry["Key"] for entry in listed]:
        try:
            permission.check(room, caller, "s3:DeleteObject", bucket, key)
            _delete(room, bucket, key)
            deleted.append({"Key": key})
        except TailorbirdError as error:
            code = error.code or "InvalidArgument"
            failed.append({"Key": key, "Code": code, "Message": error.message})
    quiet = request["Delete"].get("Quiet")
    return {"Errors": failed} if quiet else {"Deleted": deleted, "Errors": failed}


def store(room: Shelf, bucket: str, key: str, body: Body, note: Note) -> ObjectInfo:
    """Put the bytes and then the note; the caller holds `room.alone(bucket, key)`."""
    uri = address(bucket, key)
    if markers.is_marker(key):
        markers.check_empty(key, body.size)
        info = markers.made(bucket, key, room.access.clock.now())
    else:
        try:
            room.objects.put(uri, body.file if body.size else b"")
        except NotFound as impossible:
            raise Invalid(impossible.message) from None
        info = room.head(bucket, key)
    notes.write(room, bucket, key, info, note)
    return info


def refuse_not_built(request: Request) -> None:
    """NotBuilt by name for what would otherwise be left out."""
    for name in NOT_BUILT:
        if request.get(name):
            raise NotBuilt(f"{name} is not built for objects; leave it out")
    if request.get("ACL", OWN_ACLS[0]) not in OWN_ACLS:
        raise NotBuilt(f"ACL {request['ACL']} is not built; a bucket policy says who may read")


def check_conditions(room: Shelf, bucket: str, key: str, request: Request) -> None:
    """If-None-Match: * and If-Match of a write; the caller holds `room.alone(bucket, key)`."""
    if_none, if_match = request.get("IfNoneMatch"), request.get("IfMatch")
    if if_none is None and if_match is None:
        return
    if if_none not in (None, "*"):
        raise NotBuilt("If-None-Match of a write takes only *")
    info = room.find(bucket, key)
    if if_none and info is not None:
        raise _precondition("If-None-Match")
    if if_match is not None:
        if info is None:
            raise NotFound("The specified key does not exist.", code="NoSuchKey")
        if not _matches(if_match, notes.read(room, bucket, key, info).etag):
            raise _precondition("If-Match")


def source_of(request: Request) -> tuple[str, str]:
    """Bucket and key of x-amz-copy-source."""
    source, _, version = request["CopySource"].partition("?versionId=")
    if version not in ("", "null"):
        raise NotBuilt("Versions of objects are not built")
    bucket, _, key = unquote(source).removeprefix("/").partition("/")
    if not key:
        raise Invalid(f"x-amz-copy-source {source!r} must be <bucket>/<key>")
    return bucket, key


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None for a header that is to be ignored."""
    found = _RANGE.fullmatch(text.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= size or start >= end:
        raise Invalid(
            f"The requested range is not satisfiable: {text} of {size} bytes", code="InvalidRange"
        )
    return start, end


def _described(room: Shelf, request: Request, info: ObjectInfo) -> Answer:
    """Everything about the object but its bytes; `_status` 304 when the client has it already."""
    _refuse_version(request)
    note = notes.read(room, request["Bucket"], request["Key"], info)
    answer: Answer = {
        "AcceptRanges": "bytes",
        "ContentLength": info.size,
        "ContentType": DEFAULT_TYPE,
        "ETag": note.etag,
        "LastModified": info.modified,
        **note.headers,
    }
    if request.get("ChecksumMode") == "ENABLED" and "Range" not in request:
        answer |= _checksum(note)
    answer |= {name: request[asked] for asked, name in OVERRIDES.items() if asked in request}
    if _not_modified(request, note.etag, info.modified):
        return {"_status": 304, "ETag": note.etag, "LastModified": info.modified}
    return answer


def _asked_range(request: Request, answer: Answer, size: int) -> tuple[int, int]:
    """The bytes asked for; the answer says so when they are not all."""
    if request.get("PartNumber", 1) != 1:
        raise NotBuilt("Reading one part of an uploaded object (PartNumber) is not built")
    found = byte_range(request["Range"], size) if "Range" in request else None
    if found is None or "_status" in answer:
        return 0, size
    start, end = found
    answer |= {
        "_status": 206,
        "ContentRange": f"bytes {start}-{end - 1}/{size}",
        "ContentLength": end - start,
    }
    return found


def _not_modified(request: Request, etag: str, modified: float) -> bool:
    """True for 304; Conflict (PreconditionFailed) when a condition forbids the answer."""
    if "IfMatch" in request:
        if not _matches(request["IfMatch"], etag):
            raise _precondition("If-Match")
    elif "IfUnmodifiedSince" in request and int(modified) > request["IfUnmodifiedSince"]:
        raise _precondition("If-Unmodified-Since")
    if "IfNoneMatch" in request:
        return _matches(request["IfNoneMatch"], etag)
    return "IfModifiedSince" in request and int(modified) <= request["IfModifiedSince"]


@contextmanager
def _file_of(room: Shelf, info: ObjectInfo) -> Iterator[Path]:
    """The object's bytes as a file; a folder marker has none."""
    if not info.size:
        yield Path(os.devnull)
        return
    with room.objects.fetch(info.uri) as file:
        yield file


def _check_source(request: Request, etag: str, info: ObjectInfo) -> None:
    given = {
        name: request["CopySource" + name]
        for name in ("IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince")
        if "CopySource" + name in request
    }
    if _not_modified(given, etag, info.modified):
        raise _precondition("x-amz-copy-source-if-none-match")


def _matches(condition: str, etag: str) -> bool:
    listed = [entry.strip().removeprefix("W/").strip('"') for entry in condition.split(",")]
    return "*" in listed or etag.strip('"') in listed


def _delete(room: Shelf, bucket: str, key: str) -> None:
    uri = address(bucket, key)
    with room.alone(bucket, key):
        if not markers.is_marker(key):
            room.objects.delete(uri)
        notes.forget(room, bucket, [key])


def _refuse_version(request: Request) -> None:
    if request.get("VersionId", "null") != "null":
        raise NotBuilt("Versions of objects are not built")


def _checksum(note: Note) -> dict[str, str]:
    return {"ChecksumType": "FULL_OBJECT"} | note.checksum if note.checksum else {}


def _pieces(opened: Opened, start: int, end: int) -> Generator[bytes, None, None]:
    with opened.held:
        opened.file.seek(start)
        while start < end and (piece := opened.file.read(min(PIECE_BYTES, end - start))):
            start += len(piece)
            yield piece


def _precondition(name: str) -> Conflict:
    return Conflict(
        f"At least one of the pre-conditions you specified did not hold: {name}",
        code="PreconditionFailed",
    )
