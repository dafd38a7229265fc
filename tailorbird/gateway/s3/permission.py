"""May this caller touch this bucket or object: bucket policy and the policies of its role.

Accounts own every bucket here, so an account's root needs no statement; a denying one still counts.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tailorbird import access
from tailorbird.access import Caller, Decision, Request, roles
from tailorbird.access.documents import parsed
from tailorbird.access.policies import role_of_session
from tailorbird.access.tables import access_buckets
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
    asked = Request(caller.principal, action, resource, context or {})
    by_bucket = _bucket_decision(shelf, bucket, asked)
    if by_bucket.explicit_deny:
        raise _denied(asked, f"the policy of bucket {bucket} denies it")
    held = role_of_session(caller.principal)
    if held is None or by_bucket.allowed:
        return
    role_arn = _role_arn(shelf, *held)
    own = access.role_allows(shelf.access, role_arn, action, resource, context)
    if not own.allowed:
        raise _denied(asked, f"role {held[1]}: {'; '.join(own.trace) or 'it has no policy'}")


def _bucket_decision(shelf: Shelf, bucket: str, asked: Request) -> Decision:
    wanted = sa.select(access_buckets.c.policy).where(access_buckets.c.name == bucket)
    with shelf.access.db.read() as conn:
        text = conn.execute(wanted).scalar()
    return access.evaluate([parsed(text)] if text else [], asked)


def _role_arn(shelf: Shelf, account: str, name: str) -> str:
    found = [r for r in roles.list_roles(shelf.access, account) if r.name == name]
    return roles.arn_of(found[0]) if found else f"arn:aws:iam::{account}:role/{name}"


def _denied(asked: Request, reason: str) -> Denied:
    return Denied(
        f"User: {asked.principal} is not authorized to perform: {asked.action} on resource: "
        f'"{asked.resource}" ({reason})',
        code="AccessDenied",
    )
