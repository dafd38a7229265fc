"""Why a principal may or may not: every policy that speaks of it, statement by statement.

The same evaluation as at every call. Source: IAM user guide, "Policy evaluation logic".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tailorbird import access
from tailorbird.access import Access, Decision, Request, buckets, refusals, rights, roles, sessions
from tailorbird.access.documents import parsed
from tailorbird.access.policies import account_of, role_named
from tailorbird.access.room import Rights
from tailorbird.errors import Denied, Invalid, NotFound
from tailorbird.functions import Functions, ServiceCaller, names, permissions
from tailorbird.functions.resolve import resolve
from tailorbird.gateway import actions

ASSUME_ROLE = "sts:AssumeRole"
SERVICE_SUFFIX = ".amazonaws.com"

Answer = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """What one policy says."""

    policy: str
    decision: Decision

    def lines(self) -> list[str]:
        return [f"{self.policy}: {line}" for line in self.decision.trace] or [
            f"{self.policy}: has no statement"
        ]


@dataclass(frozen=True)
class Question:
    principal: str
    action: str
    resource: str
    context: dict[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The action under each of its names."""
        wanted = self.action.lower()
        return next((n for n in actions.NAMES.values() if n[0].lower() == wanted), (self.action,))


def explain(keys: Access, workshop: Functions, body: Mapping[str, Any]) -> Answer:
    """Decision, the statement that gave it, and a line for every statement that was looked at."""
    asked = _question(keys, body)
    identity, held = _identity(keys, asked)
    resource = _resource(keys, workshop, asked)
    parts = [*identity, *resource]
    denying = [part for part in parts if part.decision.explicit_deny]
    allowed = not denying and _together(asked, identity, resource)
    deciding = denying or ([part for part in parts if part.decision.allowed] if allowed else [])
    answer: Answer = {
        "decision": "explicitDeny" if denying else "allowed" if allowed else "implicitDeny",
        "allowed": allowed,
        "policy": deciding[0].policy if deciding else None,
        "statement": deciding[0].decision.statement if deciding else None,
        "trace": [line for part in parts for line in part.lines()],
    }
    if not allowed and not denying and (command := _remedy(workshop, asked, held)):
        answer["toAllow"] = command
    return answer


def _question(keys: Access, body: Mapping[str, Any]) -> Question:
    given = {name: body.get(name) for name in ("as", "action", "resource")}
    for name, value in given.items():
        if not isinstance(value, str) or not value:
            raise Invalid(f"{name} is needed, as a text")
    context = body.get("context") or {}
    if not isinstance(context, dict):
        raise Invalid('context is an object, for example {"aws:SourceArn": "arn:aws:..."}')
    principal = str(given["as"])
    if ":" not in principal and not principal.endswith(SERVICE_SUFFIX) and not principal.isdigit():
        principal = rights.of_role(keys, keys.settings.account, principal).arn
    return Question(principal, str(given["action"]), str(given["resource"]), context)


def _identity(keys: Access, asked: Question) -> tuple[list[Part], Rights | None]:
    """What the principal's own policies say; a service and somebody outside have none here."""
    if asked.principal.endswith(SERVICE_SUFFIX):
        return [], None
    named = role_named(asked.principal)
    if named is None:
        own = account_of(asked.principal) == keys.settings.account
        line = f"{asked.principal} is the account's own key"
        return ([Part("account", Decision(True, False, None, [line]))] if own else []), None
    if named[0] in (access.SEGMENT_ACCOUNT,):
        return [], None
    held = rights.of_role(keys, *named)
    name = f"role {held.name}"
    if held.found != "made":
        decision = rights.decide(keys, held, asked.principal, asked.names, asked.resource)
        return [Part(name, decision)], held
    context = rights.usual_context(keys, held, asked.principal) | asked.context
    found = [
        Part(f"{name}, policy {policy.name}", _evaluate(policy.document, asked, context))
        for policy in held.policies
    ]
    return found or [Part(f"{name}, no policy", Decision(False, False, None, []))], held


def _resource(keys: Access, workshop: Functions, asked: Question) -> list[Part]:
    """What the policy of the resource says, where it can have one."""
    document: Mapping[str, Any] | None = None
    what = asked.resource
    if asked.action.lower() == ASSUME_ROLE.lower():
        named = role_named(what)
        role = roles.find_role(keys, *named) if named else None
        document, what = (parsed(role.trust) if role else None), f"trust policy of {what}"
    elif ":function:" in what:
        document, what = _function_policy(workshop, what), f"policy of function {what}"
    elif what.startswith("arn:aws:s3:::"):
        bucket = what.removeprefix("arn:aws:s3:::").partition("/")[0]
        document, what = buckets.policy_of(keys, bucket), f"policy of bucket {bucket}"
    if document is None:
        return []
    return [Part(what, _evaluate(document, asked, asked.context))]


def _function_policy(workshop: Functions, arn: str) -> Mapping[str, Any] | None:
    try:
        return resolve(workshop, names.parse(arn, "", ""))[1]
    except NotFound:
        return None


def _evaluate(document: Mapping[str, Any], asked: Question, context: dict[str, Any]) -> Decision:
    decisions = [
        access.evaluate([document], Request(asked.principal, name, asked.resource, context))
        for name in asked.names
    ]
    first = next((d for d in decisions if d.explicit_deny), None)
    return first or next((d for d in decisions if d.allowed), decisions[0])


def _together(asked: Question, identity: list[Part], resource: list[Part]) -> bool:
    """One Allow is enough in one account; across accounts, and to take a role on, it takes both."""
    own = any(part.decision.allowed for part in identity)
    by_resource = any(part.decision.allowed for part in resource)
    if asked.action.lower() == ASSUME_ROLE.lower():
        named = any(sessions.names(p.decision.statement, asked.principal) for p in resource)
        return by_resource and (own or named or not identity)
    if not identity:
        return by_resource
    theirs = asked.resource.split(":")[4] if asked.resource.count(":") >= 5 else ""
    if resource and theirs and theirs != account_of(asked.principal):
        return own and by_resource
    return own or by_resource


def _remedy(workshop: Functions, asked: Question, held: Rights | None) -> str | None:
    if held is not None and asked.action.lower() != ASSUME_ROLE.lower():
        allow = refusals.allow_command(held, asked.action, asked.resource)
        missing = held.found != "made"
        return f"{refusals.create_role_command(held.name)} && {allow}" if missing else allow
    if asked.principal.endswith(SERVICE_SUFFIX) and ":function:" in asked.resource:
        caller = ServiceCaller(
            asked.principal,
            asked.context.get("aws:SourceArn"),
            asked.context.get("aws:SourceAccount"),
        )
        try:
            ref = names.parse(asked.resource, "", "")
            permissions.check(workshop, ref, {}, caller)
        except Denied as refused:
            return refused.message.partition("To allow it: ")[2] or None
    return None
