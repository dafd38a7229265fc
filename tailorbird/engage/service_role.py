"""Roles that Pinpoint takes on to read and write buckets and streams for a customer.

A role made here has to trust Pinpoint and allow what is done; one that was never made here is the
setting's affair, as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tailorbird import access
from tailorbird.access.rights import UNKNOWN_ROLE_DENY
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid
from tailorbird.store import location

PINPOINT = "pinpoint.amazonaws.com"
ARN = re.compile(r"arn:[\w-]+:iam::(\d{12}):role/(?:[\w+=,.@/-]*/)?([\w+=,.@-]+)")


def check(
    room: Engage, account: str, role_arn: str, asked: Sequence[tuple[str, str]],
    external_id: str | None = None,
) -> None:  # fmt: skip
    """Invalid unless the role may be taken on and allows each (action, resource)."""
    named = ARN.fullmatch(role_arn)
    if named is None:
        raise Invalid(f"RoleArn {role_arn!r} is not arn:aws:iam::<account>:role/<name>")
    keys: Any = getattr(room.functions, "access", None)
    if keys is None:
        return
    held = access.rights.of_role(keys, named[1], named[2])
    if held.found != "made":
        if held.found == "deleted" or room.settings.functions_unknown_role == UNKNOWN_ROLE_DENY:
            raise Invalid(f"RoleArn: there is no role {role_arn}")
        return
    trusted = access.trusts(keys, role_arn, PINPOINT, external_id=external_id)
    if not trusted.allowed:
        raise Invalid(f"RoleArn: the trust policy of {role_arn} does not name {PINPOINT}")
    for action, resource in asked:
        if not access.role_allows(keys, role_arn, action, resource).allowed:
            raise Invalid(f"RoleArn: {role_arn} does not allow {action} on {resource}")


def check_address(uri: str, field: str) -> None:
    """Invalid, with the field's name, unless it is s3://bucket/key."""
    try:
        location(uri)
    except Invalid as wrong:
        raise Invalid(f"{field}: {wrong.message}") from None


def bucket_arn(uri: str) -> str:
    return f"arn:aws:s3:::{location(uri)[0]}"


def objects_arn(uri: str) -> str:
    """The ARN of an object, or of all objects under a prefix."""
    bucket, key = location(uri)
    return f"arn:aws:s3:::{bucket}/{key}" + ("*" if not key or key.endswith("/") else "")
