"""Multipart uploads: parts kept aside until they become one object.

Source: S3 user guide, "Uploading and copying objects using multipart upload"; its limits.
"""

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Row

from tailorbird.access import Caller, uploads
from tailorbird.errors import Invalid, NotFound
from tailorbird.gateway.s3 import checksums, notes, permission
from tailorbird.gateway.s3.buckets import owner
from tailorbird.gateway.s3.notes import Note
from tailorbird.gateway.s3.objects import (
    PIECE_BYTES,
    byte_range,
    check_conditions,
    refuse_not_built,
    source_of,
    store,
)
from tailorbird.gateway.s3.shelf import Body, Shelf, address

PARTS_MAX = 10_000
PART_MIN_BYTES = 5 * 1024 * 1024  # but for the last
PAGE_MAX = 1_000

Request = dict[str, Any]
Answer = dict[str, Any]


def create_multipart_upload(room: Shelf, caller: Caller, request: Request) -> Answer:
    bucket, key = request["Bucket"], request["Key"]
    permission.check(room, caller, "s3:PutObject", bucket, key)
    refuse_not_built(request)
    room.check_bucket(bucket)
    address(bucket, key)
    checksum = _asked_checksum(request)
    row = {
        "id": secrets.token_urlsafe(32),
        "bucket": bucket,
        "key": key,
        "headers": notes.headers_of(request),
        "checksum": checksum,
        "principal": caller.principal,
        "created": room.access.clock.now(),
    }
    uploads.begin(room.access, row)
    return {"Bucket": bucket, "Key": key, "UploadId": row["id"], **checksum}


def upload_part(room: Shelf, caller: Caller, request: Request) -> Answer:
    upload = _upload(room, caller, "s3:PutObject", request)
    body: Body = request["Body"]
    _keep(room, upload, request["PartNumber"], body)
    return {"ETag": f'"{body.md5}"', **body.checksum}


def upload_part_copy(room: Shelf, caller: Caller, request: Request) -> Answer:
    """A part taken from an object that is here already."""
    upload = _upload(room, caller, "s3:PutObject", request)
    from_bucket, from_key = source_of(request)
    permission.check(room, caller, "s3:GetObject", from_bucket, from_key)
    opened = room.open(from_bucket, from_key)
    with opened.held:
        asked = request.get("CopySourceRange")
        found = byte_range(asked, opened.info.size) if asked else None
        start, end = found or (0, opened.info.size)
        room.spool.mkdir(parents=True, exist_ok=True)
        copy = room.spool / secrets.token_hex(16)
        digest = hashlib.md5(usedforsecurity=False)
        opened.file.seek(start)
        with copy.open("wb") as out:
            while piece := opened.file.read(min(PIECE_BYTES, end - out.tell() - start)):
                digest.update(piece)
                out.write(piece)
    _keep(room, upload, request["PartNumber"], Body(copy, end - start, digest.hexdigest(), {}))
    now = room.access.clock.now()
    return {"CopyPartResult": {"ETag": f'"{digest.hexdigest()}"', "LastModified": now}}


def complete_multipart_upload(room: Shelf, caller: Caller, request: Request) -> Answer:
    """The parts listed become the object, and the upload is over."""
    bucket, key = request["Bucket"], request["Key"]
    upload = _upload(room, caller, "s3:PutObject", request)
    parts = _listed_parts(room, upload, request.get("MultipartUpload", {}).get("Parts", []))
    digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    etag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
    room.spool.mkdir(parents=True, exist_ok=True)
    whole = room.spool / secrets.token_hex(16)
    try:
        checksum = _join(upload, parts, whole)
        size = whole.stat().st_size
        note = Note(etag, upload.headers, checksum)
        with room.alone(bucket, key):
            check_conditions(room, bucket, key, request)
            store(room, bucket, key, Body(whole, size, "", checksum), note)
    finally:
        whole.unlink(missing_ok=True)
    _end(room, upload)
    location = f"http://{bucket}.s3.amazonaws.com/{key}"
    return {"Location": location, "Bucket": bucket, "Key": key, "ETag": etag, **checksum}


def abort_multipart_upload(room: Shelf, caller: Caller, request: Request) -> Answer:
    _end(room, _upload(room, caller, "s3:AbortMultipartUpload", request))
    return {}


def list_parts(room: Shelf, caller: Caller, request: Request) -> Answer:
    upload = _upload(room, caller, "s3:ListMultipartUploadParts", request)
    after, size = request.get("PartNumberMarker", 0), min(request.get("MaxParts", 1000), PAGE_MAX)
    rest = [part for part in uploads.parts(room.access, upload.id) if part.number > int(after)]
    shown = [
        {
            "PartNumber": part.number,
            "LastModified": part.modified,
            "ETag": part.etag,
            "Size": part.size,
            **part.checksum,
        }
        for part in rest[:size]
    ]
    return {
        "Bucket": upload.bucket,
        "Key": upload.key,
        "UploadId": upload.id,
        "PartNumberMarker": int(after),
        "NextPartNumberMarker": shown[-1]["PartNumber"] if shown else 0,
        "MaxParts": size,
        "IsTruncated": len(rest) > size,
        "Parts": shown,
        "Initiator": owner(caller),
        "Owner": owner(caller),
        "StorageClass": "STANDARD",
    }


def list_multipart_uploads(room: Shelf, caller: Caller, request: Request) -> Answer:
    bucket, prefix = request["Bucket"], request.get("Prefix", "")
    permission.check(room, caller, "s3:ListBucketMultipartUploads", bucket)
    room.check_bucket(bucket)
    rows = uploads.of_bucket(room.access, bucket, prefix)
    shown = [
        {
            "UploadId": row.id,
            "Key": row.key,
            "Initiated": row.created,
            "StorageClass": "STANDARD",
            "Owner": owner(caller),
            "Initiator": owner(caller),
        }
        for row in rows[:PAGE_MAX]
    ]
    return {"Bucket": bucket, "Prefix": prefix, "Uploads": shown, "IsTruncated": False}


def _upload(room: Shelf, caller: Caller, action: str, request: Request) -> Row[Any]:
    bucket, key = request["Bucket"], request["Key"]
    permission.check(room, caller, action, bucket, key)
    room.check_bucket(bucket)
    upload = uploads.find(room.access, request["UploadId"], bucket, key)
    if upload is None:
        raise NotFound(
            "The specified upload does not exist. The upload ID may be invalid, or the upload may "
            "have been aborted or completed.",
            code="NoSuchUpload",
        )
    return upload


def _keep(room: Shelf, upload: Row[Any], number: int, body: Body) -> None:
    """Move a part's file beside the others of its upload; a part sent again replaces the first."""
    if not 1 <= number <= PARTS_MAX:
        raise Invalid(f"Part number must be an integer between 1 and {PARTS_MAX}, inclusive")
    folder = room.parts / upload.id
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{number}-{secrets.token_hex(8)}"
    body.file.rename(file)
    row = {
        "size": body.size,
        "etag": f'"{body.md5}"',
        "checksum": body.checksum,
        "file": str(file.relative_to(room.parts)),
        "modified": room.access.clock.now(),
    }
    before = uploads.keep_part(room.access, upload.id, number, row)
    if before is not None:
        (room.parts / before).unlink(missing_ok=True)


def _listed_parts(room: Shelf, upload: Row[Any], listed: list[dict[str, Any]]) -> list["PartFile"]:
    """The parts as the client lists them, each known, unchanged, in order and large enough."""
    if not listed:
        raise Invalid("You must specify at least one part", code="MalformedXML")
    known = {part.number: part for part in uploads.parts(room.access, upload.id)}
    numbers = [entry["PartNumber"] for entry in listed]
    if numbers != sorted(set(numbers)):
        raise Invalid(
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
            code="InvalidPartOrder",
        )
    found = []
    for entry in listed:
        part = known.get(entry["PartNumber"])
        if part is None or entry.get("ETag", "").strip('"') != part.etag.strip('"'):
            raise Invalid(
                f"Part {entry['PartNumber']} could not be found, or its entity tag is not the one "
                "it was uploaded with.",
                code="InvalidPart",
            )
        found.append(PartFile(room.parts / part.file, part))
    for early in found[:-1]:
        if early.size < PART_MIN_BYTES:
            raise Invalid(
                f"Part {early.number} has {early.size} bytes; only the last may have fewer than "
                f"{PART_MIN_BYTES}",
                code="EntityTooSmall",
            )
    return found


class PartFile:
    """A part and where its bytes are."""

    def __init__(self, file: Path, row: Row[Any]) -> None:
        self.file = file
        self.number: int = row.number
        self.size: int = row.size
        self.etag: str = row.etag
        self.checksum: dict[str, str] = row.checksum

    def pieces(self) -> Iterator[bytes]:
        with self.file.open("rb") as opened:
            while piece := opened.read(PIECE_BYTES):
                yield piece


def _join(upload: Row[Any], parts: list[PartFile], whole: Path) -> dict[str, str]:
    """Write the parts one after the other; the checksum the upload was opened with."""
    algorithm = upload.checksum.get("ChecksumAlgorithm")
    kind = upload.checksum.get("ChecksumType")
    making = checksums.make(algorithm) if algorithm and kind == "FULL_OBJECT" else None
    with whole.open("wb") as out:
        for part in parts:
            for piece in part.pieces():
                out.write(piece)
                if making is not None:
                    making.update(piece)
    if not algorithm:
        return {}
    name = f"Checksum{algorithm}"
    if making is not None:
        return {name: checksums.text(making.digest()), "ChecksumType": kind}
    return _composite(algorithm, name, parts)


def _composite(algorithm: str, name: str, parts: list[PartFile]) -> dict[str, str]:
    """The checksum of the parts' checksums; none when a part came without."""
    if any(name not in part.checksum for part in parts):
        return {}
    making = checksums.make(algorithm)
    for part in parts:
        making.update(checksums.raw(part.checksum[name]))
    text = f"{checksums.text(making.digest())}-{len(parts)}"
    return {name: text, "ChecksumType": "COMPOSITE"}


def _asked_checksum(request: Request) -> dict[str, str]:
    algorithm = request.get("ChecksumAlgorithm")
    if algorithm is None:
        return {}
    checksums.make(algorithm)
    usual = "FULL_OBJECT" if algorithm in checksums.WHOLE_ONLY else "COMPOSITE"
    kind = request.get("ChecksumType", usual)
    if (kind == "COMPOSITE" and algorithm in checksums.WHOLE_ONLY) or (
        kind == "FULL_OBJECT" and algorithm not in checksums.WHOLE_POSSIBLE
    ):
        raise Invalid(
            f"The {kind} checksum type cannot be used with the {algorithm} checksum algorithm.",
            code="InvalidRequest",
        )
    return {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}


def _end(room: Shelf, upload: Row[Any]) -> None:
    """Forget the upload and its parts."""
    uploads.end(room.access, upload.id)
    shutil.rmtree(room.parts / upload.id, ignore_errors=True)
