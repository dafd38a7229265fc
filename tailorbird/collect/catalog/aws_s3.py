"""AWS S3: every file of a source's archive is copied into a bucket of the customer's.

`segment-logs/<source id>/<day of receipt, epoch ms>/<file>.gz`. Filters and `integrations` do not
apply to it. Sources: Segment, "AWS S3 Destination" (settings) and "Amazon S3" (layout).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tailorbird import access
from tailorbird.collect.catalog.definition import (
    DONE,
    Destination,
    DestinationType,
    Option,
    Parcel,
    Result,
    State,
)
from tailorbird.collect.room import Collect
from tailorbird.errors import Denied, Invalid, NotFound, TailorbirdError
from tailorbird.store import location

PRINCIPAL = f"arn:aws:iam::{access.SEGMENT_ACCOUNT}:role/segment-s3-integration-production-access"
PUT_OBJECT = "s3:PutObject"
COPIES_AT_ONCE = 2
RETRY_HOURS = 72.0  # the archive keeps the file, so a bucket may be away for a weekend
ACCESS_DENIED = "Accessdenied"

OPTIONS = (
    Option("bucket", "Bucket Name", str),
    Option("s3Bucket", "Bucket Name (as the Public API calls it)", str),
    Option("awsRegion", "Region", str),
    Option("region", "Region (as the Public API calls it)", str),
    Option("iamRoleArn", "IAM Role ARN", str),
    Option("prefix", "Folder before segment-logs", str),
)


def check(settings: dict[str, Any]) -> None:
    if not (settings.get("bucket") or settings.get("s3Bucket")):
        raise Invalid("AWS S3 needs the setting 'bucket' (Bucket Name)")
    location(address(settings, "s3://archive/segment-logs/source/0/file.gz"))
    role = settings.get("iamRoleArn")
    if role and (not role.startswith("arn:aws:iam::") or len(role.split(":")) < 6):
        raise Invalid(f"iamRoleArn is {role!r}; arn:aws:iam::<account>:role/<name> is right")


def address(settings: dict[str, Any], uri: str) -> str:
    """Where the copy of an archive's file lies."""
    bucket = settings.get("bucket") or settings.get("s3Bucket")
    prefix = (settings.get("prefix") or "").strip("/")
    key = uri.removeprefix("s3://").partition("/")[2]
    return f"s3://{bucket}/{prefix}/{key}" if prefix else f"s3://{bucket}/{key}"


def deliver(room: Collect, to: Destination, parcels: Sequence[Parcel]) -> list[Result]:
    return [_copy(room, to, parcel.call["uri"]) for parcel in parcels]


def _copy(room: Collect, to: Destination, uri: str) -> Result:
    wanted = address(to.settings, uri)
    try:
        if to.settings.get("iamRoleArn"):
            _check_role(room, to.settings["iamRoleArn"], wanted)
        with room.objects.fetch(uri) as file:
            room.objects.put(wanted, file)
    except Denied as error:
        return Result(State.FAILED, ACCESS_DENIED, error.message)
    except NotFound as error:
        return Result(State.FAILED, "404", error.message)
    except (TailorbirdError, OSError) as error:  # the bucket is away, or its disk is full
        return Result(State.WAITING, "503", str(error))
    return DONE


def _check_role(room: Collect, role: str, wanted: str) -> None:
    """Denied when Segment may not take the role on, or the role may not write the object."""
    keys, workspace = room.functions.access, room.settings.workspace
    trusted = access.trusts(keys, role, PRINCIPAL, external_id=workspace)
    if not trusted.allowed:
        raise Denied(
            f"{PRINCIPAL} may not take on {role} with external id {workspace!r}:"
            f" {'; '.join(trusted.trace)}"
        )
    resource = "arn:aws:s3:::" + wanted.removeprefix("s3://")
    own = access.role_allows(keys, role, PUT_OBJECT, resource)
    if not own.allowed:
        raise Denied(f"{role} does not allow {PUT_OBJECT} on {resource}: {'; '.join(own.trace)}")


AWS_S3 = DestinationType(
    "tailorbird-aws-s3", "AWS S3", "aws-s3", OPTIONS, lambda settings, call: None, deliver,
    concurrency=COPIES_AT_ONCE, check=check, takes_files=True, retry_hours=RETRY_HOURS,
    old_name="Amazon S3",
)  # fmt: skip
