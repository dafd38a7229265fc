"""Managed policies: written once, in versions, and attached to any role.

Source: IAM API reference, CreatePolicy and its neighbours; IAM guide, "Versioning IAM policies".
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird.access import aws_managed
from tailorbird.access.documents import check_document
from tailorbird.access.room import Access
from tailorbird.access.tables import access_attachments, access_policies, access_policy_versions
from tailorbird.errors import AlreadyExists, InUse, LimitExceeded, NotFound
from tailorbird.store import insert

DOCUMENT_MAX_CHARS = 6_144
VERSIONS_MAX = 5


def create_policy(
    room: Access,
    account: str,
    name: str,
    document: str,
    *,
    path: str = "/",
    description: str | None = None,
    tags: Sequence[Mapping[str, str]] = (),
) -> Row[Any]:
    """A new managed policy with its version v1."""
    check_document(document, "identity", max_chars=DOCUMENT_MAX_CHARS)
    now = room.clock.now()
    arn = f"arn:aws:iam::{account}:policy{path}{name}"
    row = {
        "arn": arn,
        "account": account,
        "name": name,
        "path": path,
        "policy_id": "ANPA"
        + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(17)),
        "description": description,
        "default_version": 1,
        "last_version": 1,
        "tags": [dict(tag) for tag in tags],
        "created": now,
        "updated": now,
    }
    statement = insert(room.db, access_policies).values(row).on_conflict_do_nothing()
    made = statement.returning(access_policies.c.arn)
    with room.change() as conn:
        if conn.execute(made).first() is None:
            raise AlreadyExists(
                f"A policy called {name} already exists. Duplicate names are not allowed.",
                code="EntityAlreadyExists",
            )
        _add_version(conn, arn, 1, document, now)
        return _policy(conn, arn)


def create_version(room: Access, arn: str, document: str, *, set_default: bool) -> int:
    """A further version of the policy, at most five at a time; its number."""
    check_document(document, "identity", max_chars=DOCUMENT_MAX_CHARS)
    now = room.clock.now()
    with room.change() as conn:
        policy = _policy(conn, arn)
        if len(_versions(conn, arn)) >= VERSIONS_MAX:
            raise LimitExceeded(
                f"A managed policy can have up to {VERSIONS_MAX} versions. Before you create a new "
                "version, you must delete an existing version.",
                code="LimitExceeded",
            )
        number = int(policy.last_version) + 1
        _add_version(conn, arn, number, document, now)
        changes = {"last_version": number, "updated": now}
        if set_default:
            changes["default_version"] = number
        conn.execute(_change(arn).values(**changes))
        return number


def set_default_version(room: Access, arn: str, version: int) -> None:
    """From now on this version decides."""
    with room.change() as conn:
        _policy(conn, arn)
        _version(conn, arn, version)
        conn.execute(_change(arn).values(default_version=version, updated=room.clock.now()))


def delete_version(room: Access, arn: str, version: int) -> None:
    """Remove a version that does not decide."""
    c = access_policy_versions.c
    with room.change() as conn:
        if _policy(conn, arn).default_version == version:
            raise InUse("Cannot delete the default version of a policy.", code="DeleteConflict")
        _version(conn, arn, version)
        conn.execute(sa.delete(access_policy_versions).where(c.arn == arn, c.version == version))


def get_policy(room: Access, arn: str) -> Row[Any]:
    """The policy's description, without its text."""
    with room.db.read() as conn:
        return _policy(conn, arn)


def get_version(room: Access, arn: str, version: int) -> Row[Any]:
    """One version with its text."""
    with room.db.read() as conn:
        _policy(conn, arn)
        return _version(conn, arn, version)


def versions(room: Access, arn: str) -> list[Row[Any]]:
    """Every version, newest first."""
    with room.db.read() as conn:
        _policy(conn, arn)
        return _versions(conn, arn)


def list_policies(room: Access, account: str, path_prefix: str = "/") -> list[Row[Any]]:
    """The account's own policies under the path, by name."""
    c = access_policies.c
    wanted = sa.select(access_policies).where(
        c.account == account, c.path.startswith(path_prefix, autoescape=True)
    )
    with room.db.read() as conn:
        return list(conn.execute(wanted.order_by(c.name)))


def attachments(room: Access) -> dict[str, int]:
    """To how many roles each policy is attached."""
    c = access_attachments.c
    counted = sa.select(c.policy_arn, sa.func.count()).group_by(c.policy_arn)
    with room.db.read() as conn:
        return {row[0]: row[1] for row in conn.execute(counted)}


def delete_policy(room: Access, arn: str) -> None:
    """The policy goes once no role has it and only its default version is left."""
    with room.change() as conn:
        _policy(conn, arn)
        used = sa.select(access_attachments.c.role).where(access_attachments.c.policy_arn == arn)
        if role := conn.execute(used).scalar():
            raise InUse(
                f"Cannot delete a policy attached to entities: role {role} has {arn}.",
                code="DeleteConflict",
            )
        if len(_versions(conn, arn)) > 1:
            raise InUse(
                "This policy has more than one version. Before you delete a policy, you must "
                "delete the policy's versions. The default version is deleted with the policy.",
                code="DeleteConflict",
            )
        for table in (access_policy_versions, access_policies):
            conn.execute(sa.delete(table).where(table.c.arn == arn))


def document_of(conn: Connection, arn: str) -> str | None:
    """The text that decides now; None when there is no such policy."""
    if arn.startswith(aws_managed.PREFIX):
        return aws_managed.document(arn)
    p, v = access_policies.c, access_policy_versions.c
    wanted = sa.select(v.document).where(
        p.arn == arn, v.arn == p.arn, v.version == p.default_version
    )
    return conn.execute(wanted).scalar()


def _policy(conn: Connection, arn: str) -> Row[Any]:
    found = conn.execute(sa.select(access_policies).where(access_policies.c.arn == arn)).first()
    if found is None:
        raise NotFound(f"Policy {arn} was not found.", code="NoSuchEntity")
    return found


def _version(conn: Connection, arn: str, version: int) -> Row[Any]:
    c = access_policy_versions.c
    wanted = sa.select(access_policy_versions).where(c.arn == arn, c.version == version)
    found = conn.execute(wanted).first()
    if found is None:
        raise NotFound(
            f"Policy {arn} version v{version} does not exist or is not attachable.",
            code="NoSuchEntity",
        )
    return found


def _versions(conn: Connection, arn: str) -> list[Row[Any]]:
    c = access_policy_versions.c
    wanted = sa.select(access_policy_versions).where(c.arn == arn)
    return list(conn.execute(wanted.order_by(c.version.desc())))


def _add_version(conn: Connection, arn: str, version: int, document: str, now: float) -> None:
    row = {"arn": arn, "version": version, "document": document, "created": now}
    conn.execute(sa.insert(access_policy_versions).values(row))


def _change(arn: str) -> sa.Update:
    return sa.update(access_policies).where(access_policies.c.arn == arn)
