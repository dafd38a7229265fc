"""Buckets and their policies."""

import re
from pathlib import Path
from typing import Any

from tailorbird.access import Caller, buckets, check_document
from tailorbird.access.patterns import as_list
from tailorbird.errors import AlreadyExists, Conflict, Invalid, NotBuilt, NotFound
from tailorbird.gateway.s3 import markers, permission
from tailorbird.gateway.s3.shelf import Shelf

POLICY_MAX_CHARS = 20_480
HOME_REGION = "us-east-1"  # where making one's own bucket again is no error

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")

Request = dict[str, Any]
Answer = dict[str, Any]


def list_buckets(room: Shelf, caller: Caller, request: Request) -> Answer:
    permission.check(room, caller, "s3:ListAllMyBuckets", "*")
    known = buckets.known(room.access)
    prefix = request.get("Prefix", "")
    names = [
        name
        for name in room.objects.buckets()
        if name.startswith(prefix) and name not in room.house
    ]
    shown = [
        {
            "Name": name,
            "CreationDate": known[name].created if name in known else _made(room, name),
            "BucketRegion": known[name].region if name in known else room.access.settings.region,
        }
        for name in names
    ]
    return {"Buckets": shown, "Owner": owner(caller)}


def create_bucket(room: Shelf, caller: Caller, request: Request) -> Answer:
    name = request["Bucket"]
    permission.check(room, caller, "s3:CreateBucket", name)
    if not _NAME.fullmatch(name) or ".." in name or _ADDRESS.fullmatch(name):
        raise Invalid(
            f"The specified bucket is not valid: {name!r} (3-63 of a-z, 0-9, dot and hyphen)",
            code="InvalidBucketName",
        )
    if request.get("ObjectLockEnabledForBucket"):
        raise NotBuilt("CreateBucket with ObjectLockEnabledForBucket is not built")
    location = request.get("CreateBucketConfiguration", {}).get("LocationConstraint")
    region = location or caller.region
    location_header = {"Location": f"/{name}"}
    try:
        room.objects.create_bucket(name)
    except AlreadyExists as exists:
        if region == HOME_REGION and _region(room, name) == HOME_REGION:
            return location_header
        raise AlreadyExists(
            "Your previous request to create the named bucket succeeded and you already own it.",
            code="BucketAlreadyOwnedByYou",
        ) from exists
    buckets.made(room.access, name, region)  # a folder removed by hand leaves its notes behind
    return location_header


def head_bucket(room: Shelf, caller: Caller, request: Request) -> Answer:
    permission.check(room, caller, "s3:ListBucket", request["Bucket"])
    room.check_bucket(request["Bucket"])
    return {"BucketRegion": _region(room, request["Bucket"])}


def get_bucket_location(room: Shelf, caller: Caller, request: Request) -> Answer:
    permission.check(room, caller, "s3:GetBucketLocation", request["Bucket"])
    room.check_bucket(request["Bucket"])
    region = _region(room, request["Bucket"])
    return {} if region == HOME_REGION else {"LocationConstraint": region}


def delete_bucket(room: Shelf, caller: Caller, request: Request) -> Answer:
    """The bucket goes when it is empty."""
    name = request["Bucket"]
    permission.check(room, caller, "s3:DeleteBucket", name)
    room.check_bucket(name)
    full = Conflict("The bucket you tried to delete is not empty", code="BucketNotEmpty")
    if markers.under(room.access, name, ""):
        raise full
    try:
        room.objects.delete_bucket(name)
    except Conflict:
        raise full from None
    buckets.forget(room.access, name)
    return {}


def put_bucket_policy(room: Shelf, caller: Caller, request: Request) -> Answer:
    name, text = request["Bucket"], request["Policy"]
    permission.check(room, caller, "s3:PutBucketPolicy", name)
    room.check_bucket(name)
    try:
        document = check_document(text, "resource", max_chars=POLICY_MAX_CHARS)
    except Invalid as wrong:
        raise Invalid(wrong.message, code="MalformedPolicy") from None
    _check_resources(document, name)
    region = room.access.settings.region
    buckets.set_policy(room.access, name, text, region, _made(room, name))
    return {}


def get_bucket_policy(room: Shelf, caller: Caller, request: Request) -> Answer:
    name = request["Bucket"]
    permission.check(room, caller, "s3:GetBucketPolicy", name)
    room.check_bucket(name)
    row = buckets.find(room.access, name)
    if row is None or row.policy is None:
        raise NotFound("The bucket policy does not exist", code="NoSuchBucketPolicy")
    return {"Policy": row.policy}


def delete_bucket_policy(room: Shelf, caller: Caller, request: Request) -> Answer:
    name = request["Bucket"]
    permission.check(room, caller, "s3:DeleteBucketPolicy", name)
    room.check_bucket(name)
    buckets.drop_policy(room.access, name)
    return {}


def owner(caller: Caller) -> Answer:
    """The account as S3 writes owners."""
    return {"ID": caller.account, "DisplayName": caller.account}


def _check_resources(document: dict[str, Any], bucket: str) -> None:
    prefix = f"arn:aws:s3:::{bucket}"
    for statement in as_list(document["Statement"]):
        for resource in as_list(statement.get("Resource", statement.get("NotResource"))):
            if resource != prefix and not resource.startswith(prefix + "/"):
                raise Invalid(
                    f"Policy has invalid resource: {resource} is not of bucket {bucket}",
                    code="MalformedPolicy",
                )


def _region(room: Shelf, name: str) -> str:
    row = buckets.find(room.access, name)
    return str(row.region if row else room.access.settings.region)


def _made(room: Shelf, name: str) -> float:
    """When a bucket that another room made came to be."""
    folder: Path = room.objects.root / name
    return folder.stat().st_ctime if folder.exists() else 0.0
