"""Policy evaluation: may this principal do this action on this resource, and who says so.

One pure function for function, bucket and trust policies and for the policies of roles.
Source: IAM user guide, "Policy evaluation logic", "AWS JSON policy elements: Principal".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tailorbird.access import conditions
from tailorbird.access.patterns import as_list, expand, matches, same_account_root

Policy = Mapping[str, Any]
Statement = Mapping[str, Any]

_REGIONAL_SERVICE = re.compile(r"^(?P<name>[a-z0-9-]+)\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com$")
_ASSUMED_ROLE = re.compile(r"^arn:aws:sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+$")
_ROLE = re.compile(r"^arn:aws:iam::(?P<account>\d{12}):role/(?:.*/)?(?P<role>[^/]+)$")


@dataclass(frozen=True)
class Request:
    """What is asked; the principal is an ARN, an account id or `<service>.amazonaws.com`."""

    principal: str
    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """The verdict, the statement that gave it (None: nothing allows it), a line per statement."""

    allowed: bool
    explicit_deny: bool
    statement: Statement | None
    trace: list[str]


def evaluate(policies: Sequence[Policy], request: Request) -> Decision:
    """Deny if any statement denies, else allow if one allows, else deny because none does.

    A statement without a principal belongs to an identity's own policy: it speaks of its holder.
    """
    context = {key.lower(): value for key, value in request.context.items()}
    trace: list[str] = []
    allowing: Statement | None = None
    for number, statement, variables in _statements(policies):
        effect = statement.get("Effect")
        why_not = _mismatch(statement, request, context, variables)
        name = statement.get("Sid") or f"#{number}"
        trace.append(f"{effect} {name}: {why_not or 'applies'}")
        if why_not:
            continue
        if effect == "Deny":
            return Decision(False, True, statement, trace)
        if effect == "Allow" and allowing is None:
            allowing = statement
    return Decision(allowing is not None, False, allowing, trace)


def principal_matches(statement: Statement, principal: str) -> bool:
    """True when the statement's Principal (or NotPrincipal) covers this principal."""
    if "Principal" in statement:
        return _principal_in(statement["Principal"], principal)
    if "NotPrincipal" in statement:
        return not _principal_in(statement["NotPrincipal"], principal)
    return True


def role_of_session(principal: str) -> tuple[str, str] | None:
    """(account, role name) of an assumed-role session ARN, else None."""
    found = _ASSUMED_ROLE.match(principal)
    return (found["account"], found["role"]) if found else None


def role_named(arn: str) -> tuple[str, str] | None:
    """(account, role name) of a role's ARN or of a session's, else None."""
    found = _ROLE.match(arn) or _ASSUMED_ROLE.match(arn)
    return (found["account"], found["role"]) if found else None


def account_of(principal: str) -> str | None:
    """The account a principal belongs to; None for a service."""
    if principal.isdigit():
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) >= 6 and parts[0] == "arn" else None


def _statements(policies: Sequence[Policy]) -> Iterable[tuple[int, Statement, bool]]:
    number = 0
    for policy in policies:
        variables = policy.get("Version") == "2012-10-17"
        for statement in as_list(policy.get("Statement")):
            number += 1
            yield number, statement, variables


def _mismatch(
    statement: Statement, request: Request, context: Mapping[str, Any], variables: bool
) -> str | None:
    """Why the statement does not apply, or None when it does."""
    if not principal_matches(statement, request.principal):
        return f"principal {request.principal} is not the statement's"
    if not _action_matches(statement, request.action):
        return f"action {request.action} is not the statement's"
    scope = context if variables else None
    if not _resource_matches(statement, request.resource, scope):
        return f"resource {request.resource} is not the statement's"
    strict = statement.get("Effect") == "Deny"
    return conditions.failure(statement.get("Condition") or {}, context, variables, strict)


def _action_matches(statement: Statement, action: str) -> bool:
    wanted = action.lower()
    if "Action" in statement:
        return any(matches(p.lower(), wanted) for p in as_list(statement["Action"]))
    if "NotAction" in statement:
        return not any(matches(p.lower(), wanted) for p in as_list(statement["NotAction"]))
    return False


def _resource_matches(statement: Statement, resource: str, scope: Mapping[str, Any] | None) -> bool:
    if "Resource" in statement:
        return _any_resource(statement["Resource"], resource, scope)
    if "NotResource" in statement:
        return not _any_resource(statement["NotResource"], resource, scope)
    return True  # trust policies name no resource: the role is the resource


def _any_resource(patterns: Any, resource: str, scope: Mapping[str, Any] | None) -> bool:
    for pattern in as_list(patterns):
        expanded = expand(pattern, scope)
        if expanded is not None and matches(expanded, resource):
            return True
    return False


def _principal_in(listed: Any, principal: str) -> bool:
    if listed == "*":
        return True
    if not isinstance(listed, Mapping):
        return False
    return any(
        _one_principal(kind, entry, principal)
        for kind, entries in listed.items()
        for entry in as_list(entries)
    )


@lru_cache(maxsize=4096)
def _one_principal(kind: str, entry: str, principal: str) -> bool:
    if kind == "AWS":
        return entry == "*" or (not _is_service(principal) and _aws_principal(entry, principal))
    if kind == "Service":
        return entry == "*" or _service_principal(entry, principal)
    return kind in ("Federated", "CanonicalUser") and entry == principal


def _aws_principal(entry: str, principal: str) -> bool:
    """A whole account, one exact ARN, or a role for any session of it. Never a partial wildcard."""
    if entry == principal:
        return True
    account = account_of(principal)
    if account is not None and entry in (account, same_account_root(account)):
        return True
    session, role = _ASSUMED_ROLE.match(principal), _ROLE.match(entry)
    return bool(session and role and session.groupdict() == role.groupdict())


def _service_principal(entry: str, principal: str) -> bool:
    """A regional name is also covered by the service's global one, not by another region's."""
    if entry == principal:
        return True
    regional = _REGIONAL_SERVICE.match(principal)
    return bool(regional and entry == f"{regional['name']}.amazonaws.com")


def _is_service(principal: str) -> bool:
    return principal.endswith(".amazonaws.com") and not principal.startswith("arn:")
