"""May this caller touch this bucket or object: bucket policy and the policies of its role.

Accounts own every bucket here, so an account's root needs no statement; a denying one still counts.
"""

from collections.abc import Mapping
from typing import Any

from tailorbird import access
from tailorbird.access import Caller, Decision, Request, buckets
from tailorbird.errors import Denied
from tailorbird.gateway.s3.shelf import Shelf


def check(
    shelf: Shelf,
    caller: Caller,
    action: str,
    bucket: str,
    key: str = "",
    context: Mapping[str, Any] | None = None,
) -> None:
    """Denied (AccessDenied) with the reason, or nothing."""
    resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
    if bucket in shelf.house and action != "s3:GetObject":
        raise Denied(
            f"Bucket {bucket} belongs to Tailorbird itself: it can be read where an answer "
            "points into it, never listed, written or deleted",
            code="AccessDenied",
        )
    given = dict(context or {})
    by_bucket = _bucket_decision(shelf, bucket, Request(caller.principal, action, resource, given))
    if by_bucket.explicit_deny:
        raise Denied(
            f"User: {caller.principal} is not authorized to perform: {action} on resource: "
            f'"{resource}" with an explicit deny in a resource-based policy: that of bucket '
            f"{bucket}",
            code="AccessDenied",
        )
    own = access.may(shelf.access, caller, (action,), resource, lambda: given)
    if own.explicit_deny or not (own.allowed or by_bucket.allowed):
        raise access.denied(shelf.access, caller, action, resource, own, "AccessDenied")


def _bucket_decision(shelf: Shelf, bucket: str, asked: Request) -> Decision:
    document = buckets.policy_of(shelf.access, bucket)
    return access.evaluate([document] if document else [], asked)
