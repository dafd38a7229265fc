"""Taking a role on: whom it trusts, what it then allows, the temporary key that comes of it.

Source: STS API reference, AssumeRole; IAM user guide, "Roles terms and concepts".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Row

from tailorbird.access import refusals, rights, roles
from tailorbird.access.documents import parsed
from tailorbird.access.keys import create_session_key
from tailorbird.access.patterns import as_list
from tailorbird.access.policies import Decision, Request, account_of, evaluate, role_of_session
from tailorbird.access.room import Access, AccessKey
from tailorbird.errors import Denied, Invalid

SESSION_MIN_SECONDS = 900

# Segment calls its customers' functions as these (trust policies name the account or the role).
SEGMENT_ACCOUNT = "595280932656"
SEGMENT_LAMBDA = f"arn:aws:iam::{SEGMENT_ACCOUNT}:role/customer-lambda-prod-destination-access"
SEGMENT_PERSONALIZE = (
    f"arn:aws:iam::{SEGMENT_ACCOUNT}:role/customer-personalize-prod-destination-access"
)

_ARN = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role(?P<path>/(?:.*/)?)(?P<name>[^/]+)")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@dataclass(frozen=True)
class Session:
    """A role taken on: the temporary key and the name it acts under."""

    key: AccessKey
    role_id: str
    arn: str


def trusts(
    room: Access,
    role_arn: str,
    principal: str,
    *,
    external_id: str | None = None,
    session_name: str = "tailorbird",
) -> Decision:
    """Whether the role's trust policy lets the principal take it on."""
    named = _named(role_arn)
    role = rights.of_role(room, named["account"], named["name"])  # read once a second at most
    if role.found != "made" or role.arn != role_arn:
        return Decision(False, False, None, [f"role {role_arn} does not exist"])
    context: dict[str, Any] = {"sts:RoleSessionName": session_name, "aws:PrincipalArn": principal}
    if external_id is not None:
        context["sts:ExternalId"] = external_id
    if account := account_of(principal):
        context["aws:PrincipalAccount"] = account
    asked = Request(principal, "sts:AssumeRole", role_arn, context)
    return evaluate([parsed(role.trust)], asked)


def role_allows(
    room: Access,
    role_arn: str,
    action: str,
    resource: str,
    context: Mapping[str, Any] | None = None,
) -> Decision:
    """Whether the role's own policies, inline and attached, allow the action."""
    named = _named(role_arn)
    held = rights.of_role(room, named["account"], named["name"])
    if held.found != "made" or held.arn != role_arn:
        return Decision(False, False, None, [f"role {role_arn} does not exist"])
    return rights.decide(room, held, role_arn, (action,), resource, lambda: context or {})


def assume_role(
    room: Access,
    role_arn: str,
    *,
    principal: str,
    external_id: str | None = None,
    session_name: str = "tailorbird",
    duration: int | None = None,
) -> Session:
    """A session of the role for the principal; Denied says what the trust policy lacks."""
    if not _SESSION_NAME.fullmatch(session_name):
        raise Invalid(
            f"roleSessionName {session_name!r} must have 2-64 letters, digits or _+=,.@-",
            code="ValidationError",
        )
    _check_trusted(room, role_arn, principal, external_id, session_name)
    role = _find(room, role_arn)
    if role is None:  # deleted in between
        raise _not_authorized(principal, role_arn, "the role does not exist")
    seconds = _session_seconds(duration, role.max_session_seconds, principal)
    arn = f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session_name}"
    return Session(create_session_key(room, role.account, arn, seconds), role.role_id, arn)


def _check_trusted(
    room: Access, role_arn: str, principal: str, external_id: str | None, session_name: str
) -> None:
    decision = trusts(room, role_arn, principal, external_id=external_id, session_name=session_name)
    if not decision.allowed:
        why = "; ".join(decision.trace)
        if decision.explicit_deny:
            raise _not_authorized(principal, role_arn, why)
        remedy = refusals.trust_command(room, role_arn, principal, external_id)
        raise _not_authorized(principal, role_arn, why, remedy)
    session = role_of_session(principal)
    if session is None:
        return
    held = rights.of_role(room, *session)
    own = rights.decide(room, held, principal, ("sts:AssumeRole",), role_arn)
    if own.explicit_deny:
        raise _not_authorized(principal, role_arn, f"role {held.name} denies it")
    # A trust policy that names this role, in its own account, is enough; else both must allow it.
    same_account = session[0] == _account(role_arn)
    if not own.allowed and not (same_account and names(decision.statement, principal)):
        why = f"role {held.name} does not allow it"
        remedy = refusals.allow_command(held, "sts:AssumeRole", role_arn)
        raise _not_authorized(principal, role_arn, why, remedy)


def names(statement: Mapping[str, Any] | None, principal: str) -> bool:
    """True when the statement names this very role or session, not its account or everybody."""
    listed = (statement or {}).get("Principal")
    entries = as_list(listed.get("AWS")) if isinstance(listed, Mapping) else []
    held = role_of_session(principal)
    return principal in entries or any(
        (found := _ARN.fullmatch(entry)) and (found["account"], found["name"]) == held
        for entry in entries
    )


def _session_seconds(duration: int | None, most: int, principal: str) -> int:
    if duration is None:
        return min(roles.SESSION_DEFAULT_SECONDS, most)
    if duration < SESSION_MIN_SECONDS:
        raise Invalid(
            f"DurationSeconds {duration} is less than {SESSION_MIN_SECONDS}", code="ValidationError"
        )
    if duration > most:
        raise Invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role "
            f"({duration} > {most})",
            code="ValidationError",
        )
    if role_of_session(principal) and duration > roles.SESSION_DEFAULT_SECONDS:
        raise Invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining",
            code="ValidationError",
        )
    return duration


def _find(room: Access, role_arn: str) -> Row[Any] | None:
    named = _named(role_arn)
    role = roles.find_role(room, named["account"], named["name"])
    return role if role is not None and roles.arn_of(role) == role_arn else None


def _named(role_arn: str) -> dict[str, str]:
    """Account, path and name of a role's ARN."""
    found = _ARN.fullmatch(role_arn)
    if found is None:
        raise Invalid(
            f"{role_arn} is invalid; arn:aws:iam::<account>:role/<name> is right",
            code="ValidationError",
        )
    return found.groupdict()


def _account(role_arn: str) -> str:
    return role_arn.split(":")[4]


def _not_authorized(principal: str, role_arn: str, reason: str, remedy: str = "") -> Denied:
    return Denied(
        f"User: {principal} is not authorized to perform: sts:AssumeRole on resource: {role_arn} "
        f"({reason})" + (f". To allow it: {remedy}" if remedy else ""),
        code="AccessDenied",
    )
