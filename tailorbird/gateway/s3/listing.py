"""Listing a bucket: by prefix, rolled up at a delimiter, page by page.

Source: S3 API reference, ListObjectsV2 and ListObjects.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.gateway.s3 import markers, notes, permission
from tailorbird.gateway.s3.buckets import owner
from tailorbird.gateway.s3.shelf import Shelf
from tailorbird.store import ObjectInfo

PAGE_MAX = 1_000

Request = dict[str, Any]
Answer = dict[str, Any]
Entry = tuple[str, ObjectInfo | None]  # a key, or a common prefix without an object


def list_objects_v2(room: Shelf, caller: Caller, request: Request) -> Answer:
    token = request.get("ContinuationToken")
    after = _after(token) if token else request.get("StartAfter", "")
    page, last = _page(room, caller, request, after)
    answer = _answer(room, caller, request, page, owners=bool(request.get("FetchOwner")))
    answer |= {"KeyCount": len(page), "IsTruncated": last is not None}
    if last is not None:
        answer["NextContinuationToken"] = base64.urlsafe_b64encode(last.encode()).decode()
    answer |= {k: request[k] for k in ("ContinuationToken",) if k in request}
    if "StartAfter" in request:
        answer["StartAfter"] = _shown(request, request["StartAfter"])
    return answer


def list_objects(room: Shelf, caller: Caller, request: Request) -> Answer:
    page, last = _page(room, caller, request, request.get("Marker", ""))
    answer = _answer(room, caller, request, page, owners=True)
    answer |= {"Marker": _shown(request, request.get("Marker", ""))}
    answer |= {"IsTruncated": last is not None}
    if last is not None and request.get("Delimiter"):
        answer["NextMarker"] = _shown(request, last)
    return answer


def roll_up(found: Iterable[ObjectInfo], start: int, prefix: str, delimiter: str) -> list[Entry]:
    """Keys in order; those alike up to the delimiter become one common prefix.

    `start` is where an object's key begins in its address.
    """
    entries: list[Entry] = []
    for info in found:
        key = info.uri[start:]
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            entries.append((key, info))
        elif not entries or entries[-1][0] != key[: cut + len(delimiter)]:
            entries.append((key[: cut + len(delimiter)], None))
    return entries


def _page(
    room: Shelf, caller: Caller, request: Request, after: str
) -> tuple[list[Entry], str | None]:
    """One page of entries, and the last of them when more follow."""
    bucket, prefix = request["Bucket"], request.get("Prefix", "")
    context = {"s3:prefix": prefix, "s3:delimiter": request.get("Delimiter", "")}
    permission.check(room, caller, "s3:ListBucket", bucket, context=context)
    room.check_bucket(bucket)
    found = list(room.objects.list(f"s3://{bucket}/{prefix}"))
    if folders := markers.under(room.access, bucket, prefix):
        found = sorted([*found, *folders], key=lambda info: info.uri)
    entries = roll_up(found, len(f"s3://{bucket}/"), prefix, request.get("Delimiter", ""))
    rest = [entry for entry in entries if entry[0] > after]
    size = _size(request)
    page = rest[:size]
    return page, page[-1][0] if page and len(rest) > size else None


def _answer(
    room: Shelf, caller: Caller, request: Request, page: list[Entry], *, owners: bool
) -> Answer:
    infos = {key: info for key, info in page if info is not None}
    noted = notes.read_many(room, request["Bucket"], infos)
    contents = [
        {
            "Key": _shown(request, key),
            "LastModified": info.modified,
            "ETag": noted[key].etag,
            "Size": info.size,
            "StorageClass": "STANDARD",
        }
        | ({"Owner": owner(caller)} if owners else {})
        for key, info in infos.items()
    ]
    answer: Answer = {
        "Name": request["Bucket"],
        "Prefix": _shown(request, request.get("Prefix", "")),
        "MaxKeys": _size(request),
        "Contents": contents,
        "CommonPrefixes": [
            {"Prefix": _shown(request, prefix)} for prefix, info in page if info is None
        ],
    }
    if "Delimiter" in request:
        answer["Delimiter"] = _shown(request, request["Delimiter"])
    if "EncodingType" in request:
        answer["EncodingType"] = request["EncodingType"]
    return answer


def _shown(request: Request, text: str) -> str:
    return quote(text, safe="/") if request.get("EncodingType") == "url" else text


def _size(request: Request) -> int:
    size: int = request.get("MaxKeys", PAGE_MAX)
    if size < 0:
        raise Invalid("Argument maxKeys must be an integer between 0 and 2147483647")
    return min(size, PAGE_MAX)


def _after(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (ValueError, binascii.Error):
        raise Invalid("The continuation token provided is incorrect") from None
