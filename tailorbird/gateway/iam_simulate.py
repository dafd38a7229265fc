"""IAM's policy simulator: what policies would say, by the evaluation that every call goes through.

Source: IAM API reference, SimulatePrincipalPolicy and SimulateCustomPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from tailorbird import access
from tailorbird.access import Access, Caller, rights
from tailorbird.access import Request as Question
from tailorbird.access.aws_managed import PREFIX
from tailorbird.access.documents import check_document
from tailorbird.access.patterns import as_list
from tailorbird.access.policies import role_named
from tailorbird.errors import NotBuilt, NotFound

_NOT_BUILT = (
    "OrderedOrganizationPolicyInputList",
    "PermissionsBoundaryPolicyInputList",
    "PolicyExclusionList",
    "ResourceHandlingOption",
)
Request = dict[str, Any]
Answer = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A policy that takes part, and what IAM calls it and its kind."""

    name: str
    kind: str
    document: Mapping[str, Any]


def simulate_principal_policy(room: Access, caller: Caller, request: Request) -> Answer:
    """What a role may do, with further policies where given."""
    arn = request["PolicySourceArn"]
    named = role_named(arn)
    held = rights.of_role(room, *named) if named else None
    if held is None or held.found != "made":
        raise NotFound(f"There is no role {arn}; only roles are simulated", code="NoSuchEntity")
    sources = [
        Source(policy.name.rpartition("/")[2], _kind(policy.name), policy.document)
        for policy in held.policies
    ]
    context = rights.usual_context(room, held, arn)
    return _simulate(request, [*sources, *_given(request)], arn, context)


def simulate_custom_policy(room: Access, caller: Caller, request: Request) -> Answer:
    """What these policies would allow somebody who had them."""
    return _simulate(request, _given(request), request.get("CallerArn", caller.principal), {})


def _simulate(
    request: Request, sources: list[Source], principal: str, context: dict[str, Any]
) -> Answer:
    for member in _NOT_BUILT:
        if request.get(member):
            raise NotBuilt(f"Simulating with {member} is not built: it would change nothing")
    if text := request.get("ResourcePolicy"):
        document = check_document(text, "resource")
        sources = [*sources, Source("ResourcePolicy", "resource", document)]
    principal = request.get("CallerArn", principal)
    context = context | dict(_context(request))
    known = {key.lower() for key in context}
    missing = sorted({key for key in _keys(sources) if key.lower() not in known})
    pairs = product(request["ActionNames"], request.get("ResourceArns") or ["*"])
    results = [
        _result(sources, Question(principal, action, resource, context), missing)
        for action, resource in pairs
    ]
    return {"EvaluationResults": results, "IsTruncated": False}


def _result(sources: list[Source], asked: Question, missing: list[str]) -> Answer:
    found = [(source, access.evaluate([source.document], asked)) for source in sources]
    denying = [source for source, decision in found if decision.explicit_deny]
    allowing = [source for source, decision in found if decision.allowed]
    matched = denying or allowing
    return {
        "EvalActionName": asked.action,
        "EvalResourceName": asked.resource,
        "EvalDecision": "explicitDeny" if denying else "allowed" if allowing else "implicitDeny",
        "MatchedStatements": [
            {"SourcePolicyId": source.name, "SourcePolicyType": source.kind} for source in matched
        ],
        "MissingContextValues": missing,
    }


def _given(request: Request) -> list[Source]:
    """The policies that came with the request."""
    return [
        Source(f"PolicyInputList.{number}", "none", check_document(text, "identity"))
        for number, text in enumerate(request.get("PolicyInputList") or (), 1)
    ]


def _kind(name: str) -> str:
    if name.startswith(PREFIX):
        return "aws-managed"
    return "user-managed" if name.startswith("arn:") else "role"


def _context(request: Request) -> Iterator[tuple[str, Any]]:
    for entry in request.get("ContextEntries") or ():
        values = entry.get("ContextKeyValues") or []
        yield entry.get("ContextKeyName", ""), values[0] if len(values) == 1 else values


def _keys(sources: list[Source]) -> Iterator[str]:
    """The condition keys that these policies ask for."""
    for source in sources:
        for statement in as_list(source.document.get("Statement")):
            for asked in (statement.get("Condition") or {}).values():
                yield from asked


OPERATIONS = {
    "SimulateCustomPolicy": simulate_custom_policy,
    "SimulatePrincipalPolicy": simulate_principal_policy,
}
