"""Roles: kept with their trust policy, their inline policies and the managed ones attached.

Source: IAM API reference, CreateRole and its neighbours; IAM user guide, "IAM and STS quotas".
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird.access import aws_managed
from tailorbird.access.documents import check_document, size_of
from tailorbird.access.managed import document_of
from tailorbird.access.room import Access
from tailorbird.access.tables import (
    access_attachments,
    access_deleted_roles,
    access_role_policies,
    access_roles,
)
from tailorbird.errors import AlreadyExists, InUse, LimitExceeded, NotFound
from tailorbird.store import insert

TRUST_MAX_CHARS = 2_048
INLINE_MAX_CHARS = 10_240  # all inline policies of one role together
SESSION_DEFAULT_SECONDS = 3_600


def create_role(
    room: Access,
    account: str,
    name: str,
    trust: str,
    *,
    path: str = "/",
    description: str | None = None,
    max_session_seconds: int = SESSION_DEFAULT_SECONDS,
    tags: Sequence[Mapping[str, str]] = (),
) -> Row[Any]:
    """A new role that the trust policy's principals may take on."""
    check_document(trust, "trust", max_chars=TRUST_MAX_CHARS)
    row = {
        "account": account,
        "name": name,
        "path": path,
        "role_id": "AROA" + _letters(17),
        "trust": trust,
        "description": description,
        "max_session_seconds": max_session_seconds,
        "tags": [dict(tag) for tag in tags],
        "created": room.clock.now(),
    }
    statement = insert(room.db, access_roles).values(row).on_conflict_do_nothing()
    made = statement.returning(access_roles.c.name)
    with room.change() as conn:
        if _find(conn, account, name) or conn.execute(made).first() is None:
            raise AlreadyExists(
                f"Role with name {name} already exists.", code="EntityAlreadyExists"
            )
        return _role(conn, account, name)


def get_role(room: Access, account: str, name: str) -> Row[Any]:
    """The role, by name and in any letter case."""
    with room.db.read() as conn:
        return _role(conn, account, name)


def find_role(room: Access, account: str, name: str) -> Row[Any] | None:
    """The role, or None when there is none of that name."""
    with room.db.read() as conn:
        return _find(conn, account, name)


def was_deleted(room: Access, account: str, name: str) -> bool:
    """True when there once was a role of that name: its sessions must not gain by its end."""
    c = access_deleted_roles.c
    wanted = sa.select(c.name).where(c.account == account, c.name == _key(name))
    with room.db.read() as conn:
        return conn.execute(wanted).first() is not None


def list_roles(room: Access, account: str, path_prefix: str = "/") -> list[Row[Any]]:
    """The account's roles under the path, by name."""
    c = access_roles.c
    wanted = sa.select(access_roles).where(
        c.account == account, c.path.startswith(path_prefix, autoescape=True)
    )
    with room.db.read() as conn:
        return list(conn.execute(wanted.order_by(c.name)))


def update_role(room: Access, account: str, name: str, changes: Mapping[str, Any]) -> None:
    """Change columns of the role (description, max_session_seconds, tags)."""
    with room.change() as conn:
        role = _role(conn, account, name)
        if changes:
            conn.execute(sa.update(access_roles).where(*_is(role)).values(**changes))


def update_trust(room: Access, account: str, name: str, trust: str) -> None:
    """Replace who may take the role on."""
    check_document(trust, "trust", max_chars=TRUST_MAX_CHARS)
    update_role(room, account, name, {"trust": trust})


def delete_role(room: Access, account: str, name: str) -> None:
    """The role goes once nothing hangs on it."""
    with room.change() as conn:
        role = _role(conn, account, name)
        if _inline(conn, role):
            raise InUse(
                f"Cannot delete entity, must delete policies first: role {role.name}",
                code="DeleteConflict",
            )
        if _attached(conn, role):
            raise InUse(
                f"Cannot delete entity, must detach all policies first: role {role.name}",
                code="DeleteConflict",
            )
        conn.execute(sa.delete(access_roles).where(*_is(role)))
        gone = insert(room.db, access_deleted_roles).values(account=account, name=_key(role.name))
        conn.execute(gone.on_conflict_do_nothing())


def put_role_policy(room: Access, account: str, role_name: str, name: str, document: str) -> None:
    """Write one inline policy of the role, new or over the old one."""
    check_document(document, "identity")
    row = {"account": account, "name": name, "document": document}
    with room.change() as conn:
        role = _role(conn, account, role_name)
        others = [text for held, text in _inline(conn, role).items() if held != name]
        if size_of("".join(others) + document) > INLINE_MAX_CHARS:
            raise LimitExceeded(
                f"Maximum policy size of {INLINE_MAX_CHARS} bytes exceeded for role {role.name}",
                code="LimitExceeded",
            )
        statement = insert(room.db, access_role_policies).values(role=role.name, **row)
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=["account", "role", "name"], set_={"document": document}
            )
        )


def role_policies(room: Access, account: str, role_name: str) -> dict[str, str]:
    """The role's inline policies by name."""
    with room.db.read() as conn:
        return _inline(conn, _role(conn, account, role_name))


def delete_role_policy(room: Access, account: str, role_name: str, name: str) -> None:
    """Remove one inline policy."""
    c = access_role_policies.c
    with room.change() as conn:
        role = _role(conn, account, role_name)
        gone = sa.delete(access_role_policies).where(
            c.account == account, c.role == role.name, c.name == name
        )
        if conn.execute(gone).rowcount == 0:
            raise _no_policy(name, role.name)


def attach(room: Access, account: str, role_name: str, policy_arn: str) -> None:
    """Give the role a managed policy; nothing changes when it has it."""
    with room.change() as conn:
        role = _role(conn, account, role_name)
        if document_of(conn, policy_arn) is None:
            known = "; AWS-managed ones known here: " + ", ".join(aws_managed.arns())
            raise NotFound(
                f"Policy {policy_arn} does not exist or is not attachable."
                + (known if policy_arn.startswith(aws_managed.PREFIX) else ""),
                code="NoSuchEntity",
            )
        row = {"account": account, "role": role.name, "policy_arn": policy_arn}
        conn.execute(insert(room.db, access_attachments).values(row).on_conflict_do_nothing())


def detach(room: Access, account: str, role_name: str, policy_arn: str) -> None:
    """Take a managed policy away from the role."""
    c = access_attachments.c
    with room.change() as conn:
        role = _role(conn, account, role_name)
        gone = sa.delete(access_attachments).where(
            c.account == account, c.role == role.name, c.policy_arn == policy_arn
        )
        if conn.execute(gone).rowcount == 0:
            raise NotFound(f"Policy {policy_arn} was not found.", code="NoSuchEntity")


def attached(room: Access, account: str, role_name: str) -> list[str]:
    """ARNs of the managed policies the role has."""
    with room.db.read() as conn:
        return _attached(conn, _role(conn, account, role_name))


def policy_texts(room: Access, role: Row[Any]) -> list[tuple[str, str]]:
    """Everything that says what the role may do: inline policies by name, attached ones by ARN."""
    with room.db.read() as conn:
        given = [(arn, document_of(conn, arn)) for arn in _attached(conn, role)]
        attached = [(arn, text) for arn, text in given if text is not None]
        return [*_inline(conn, role).items(), *attached]


def arn_of(role: Row[Any]) -> str:
    """The role's ARN."""
    return f"arn:aws:iam::{role.account}:role{role.path}{role.name}"


def _find(conn: Connection, account: str, name: str) -> Row[Any] | None:
    c = access_roles.c
    found = sa.select(access_roles).where(c.account == account, sa.func.lower(c.name) == _key(name))
    return conn.execute(found).first()


def _role(conn: Connection, account: str, name: str) -> Row[Any]:
    role = _find(conn, account, name)
    if role is None:
        raise NotFound(f"The role with name {name} cannot be found.", code="NoSuchEntity")
    return role


def _key(name: str) -> str:
    """Role names are one in any letter case."""
    return name.lower()


def _is(role: Row[Any]) -> tuple[sa.ColumnElement[bool], ...]:
    return (access_roles.c.account == role.account, access_roles.c.name == role.name)


def _inline(conn: Connection, role: Row[Any]) -> dict[str, str]:
    c = access_role_policies.c
    wanted = sa.select(c.name, c.document).where(c.account == role.account, c.role == role.name)
    return {row.name: row.document for row in conn.execute(wanted.order_by(c.name))}


def _attached(conn: Connection, role: Row[Any]) -> list[str]:
    c = access_attachments.c
    wanted = sa.select(c.policy_arn).where(c.account == role.account, c.role == role.name)
    return list(conn.execute(wanted.order_by(c.policy_arn)).scalars())


def _no_policy(name: str, role: str) -> NotFound:
    return NotFound(
        f"The role policy with name {name} cannot be found on role {role}.", code="NoSuchEntity"
    )


def _letters(count: int) -> str:
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(count))
