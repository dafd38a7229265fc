"""What a signed caller may do by its own policies.

An account's own keys may do everything; a session of a role what the role's policies allow. They
are read once a second at most, and every change made in this process counts at once.
Source: IAM user guide, "Policy evaluation logic".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tailorbird.access import roles
from tailorbird.access.documents import parsed
from tailorbird.access.patterns import as_list
from tailorbird.access.policies import Decision, Request, evaluate, role_of_session
from tailorbird.access.room import Access, Caller, Held, Rights

KNOWN_SECONDS = 1.0  # how long another process may take to see a change
DECIDED_MAX = 4096  # decisions remembered of one role
ROLES_MAX = 1024  # roles remembered
SESSIONS = "arn:aws:sts::"
UNKNOWN_ROLE_ALLOW, UNKNOWN_ROLE_DENY = "allow", "deny"  # setting functions_unknown_role

Context = Callable[[], Mapping[str, Any]]


def may(
    room: Access,
    caller: Caller,
    actions: Sequence[str],
    resource: str,
    context: Context | None = None,
) -> Decision:
    """Whether the caller's own policies allow the action; `actions` are its names, new one first.

    `context` is asked only when a policy has conditions or variables.
    """
    if is_own_key(caller.principal):
        return Decision(True, False, None, [f"{caller.principal} is the account's own key"])
    session = role_of_session(caller.principal)
    if session is None:
        return Decision(False, False, None, [f"{caller.principal} is a session of no role"])
    return decide(room, of_role(room, *session), caller.principal, actions, resource, context)


def is_own_key(principal: str) -> bool:
    """True for the account's permanent keys: whatever is not a session."""
    return not principal.startswith(SESSIONS)


def decide(
    room: Access,
    rights: Rights,
    principal: str,
    actions: Sequence[str],
    resource: str,
    context: Context | None = None,
) -> Decision:
    """What these rights say of the action under any of its names: a Deny of one name is enough."""
    if rights.found != "made":
        return _without_policies(room, rights)
    if rights.plain:
        asked = (actions[0], resource)
        known = rights.decided.get(asked)
        if known is None:
            known = _evaluate(rights, principal, actions, resource, {})
            if len(rights.decided) >= DECIDED_MAX:
                rights.decided.clear()
            rights.decided[asked] = known
        return known
    given = usual_context(room, rights, principal) | (dict(context()) if context else {})
    return _evaluate(rights, principal, actions, resource, given)


def of_role(room: Access, account: str, name: str) -> Rights:
    """The role's policies, parsed; read anew when they are older than a second."""
    key = (account, name.lower())
    held = room.rights.get(key)
    now = room.clock.now()
    if held is not None and 0 <= now - held.read_at < KNOWN_SECONDS:
        return held
    changes = room.changes
    found = _read(room, account, name, now)
    if held is not None and _same(held, found):
        held.read_at = now
        found = held
    if room.changes == changes:
        if len(room.rights) >= ROLES_MAX:
            room.rights.clear()
        room.rights[key] = found
    return found


def is_known(room: Access, principal: str) -> bool:
    """True when a decision about the principal needs no look into the database."""
    session = role_of_session(principal)
    if session is None:
        return True
    held = room.rights.get((session[0], session[1].lower()))
    return held is not None and 0 <= room.clock.now() - held.read_at < KNOWN_SECONDS


def holder_of(rights: Rights, decision: Decision) -> Held | None:
    """The policy that holds the statement which decided."""
    for held in rights.policies:
        if any(s is decision.statement for s in as_list(held.document.get("Statement"))):
            return held
    return None


def _evaluate(
    rights: Rights,
    principal: str,
    actions: Sequence[str],
    resource: str,
    context: Mapping[str, Any],
) -> Decision:
    documents = [held.document for held in rights.policies]
    decisions = [evaluate(documents, Request(principal, a, resource, context)) for a in actions]
    for decision in decisions:
        if decision.explicit_deny:
            return decision
    return next((d for d in decisions if d.allowed), decisions[0])


def _without_policies(room: Access, rights: Rights) -> Decision:
    """A role that was never made here (a function may name one) runs as the setting says."""
    if rights.found == "deleted":
        return Decision(False, False, None, [f"role {rights.name} was deleted"])
    allowed = room.settings.functions_unknown_role == UNKNOWN_ROLE_ALLOW
    said = "runs with the account's rights" if allowed else "has no rights"
    line = f"role {rights.name} was never made here and {said} (setting functions_unknown_role)"
    return Decision(allowed, False, None, [line])


def usual_context(room: Access, rights: Rights, principal: str) -> dict[str, Any]:
    """The keys that every request has.

    Source: IAM user guide, "AWS global condition context keys".
    """
    now = room.clock.now()
    return {
        "aws:PrincipalArn": rights.arn,
        "aws:PrincipalAccount": rights.account,
        "aws:PrincipalType": "AssumedRole",
        "aws:userid": f"{rights.role_id}:{principal.rpartition('/')[2]}",
        "aws:CurrentTime": now,
        "aws:EpochTime": now,
    }


def _read(room: Access, account: str, name: str, now: float) -> Rights:
    role = roles.find_role(room, account, name)
    if role is None:
        arn = f"arn:aws:iam::{account}:role/{name}"
        if roles.was_deleted(room, account, name):
            return Rights(account, name, arn, "", "deleted", now)
        return Rights(account, name, arn, "", "never made", now)
    texts = roles.policy_texts(room, role)
    policies = [
        Held(policy, text, parsed(text), policy.startswith("arn:")) for policy, text in texts
    ]
    plain = all(_is_plain(policy.document) for policy in policies)
    arn = roles.arn_of(role)
    held = tuple(policies)
    return Rights(account, role.name, arn, role.role_id, "made", now, held, plain, role.trust)


def _is_plain(document: Mapping[str, Any]) -> bool:
    """True when what the policy says depends on nothing but action and resource."""
    return not any(
        statement.get("Condition") or any("${" in text for text in _resources(statement))
        for statement in as_list(document.get("Statement"))
    )


def _resources(statement: Mapping[str, Any]) -> list[Any]:
    return as_list(statement.get("Resource", statement.get("NotResource")))


def _same(held: Rights, found: Rights) -> bool:
    """True when nothing changed since: what was decided still holds."""
    return (held.arn, held.role_id, held.found, held.policies, held.trust) == (
        found.arn,
        found.role_id,
        found.found,
        found.policies,
        found.trust,
    )
