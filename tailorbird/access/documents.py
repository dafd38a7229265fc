"""Policy documents as people write them: read, checked, refused with the statement that is wrong.

Source: IAM user guide, "Grammar of the IAM JSON policy language", "IAM and STS quotas".
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from tailorbird.access import conditions
from tailorbird.access.patterns import as_list
from tailorbird.errors import Invalid

Use = Literal["identity", "resource", "trust"]

VERSIONS = ("2012-10-17", "2008-10-17")
_TOP = {"Version", "Id", "Statement"}
_MEMBERS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_ACCOUNT = re.compile(r"\d{12}")
_PRINCIPAL_KINDS = {"AWS", "Service", "Federated", "CanonicalUser"}


def check_document(text: str, use: Use, *, max_chars: int | None = None) -> dict[str, Any]:
    """The parsed policy; Invalid (MalformedPolicyDocument) names the statement and the field."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _malformed(f"This policy contains invalid Json: {error}") from None
    if not isinstance(document, dict):
        raise _malformed("A policy is a JSON object")
    if max_chars is not None and (size := size_of(text)) > max_chars:
        raise Invalid(
            f"The policy has {size} characters without white space; {max_chars} are allowed",
            code="LimitExceeded",
        )
    _check_top(document)
    for number, statement in enumerate(as_list(document["Statement"]), 1):
        _check_statement(statement, f"Statement {number}", use)
    return document


def size_of(text: str) -> int:
    """Characters of a policy as its quotas count them: white space is free."""
    return len("".join(text.split()))


@lru_cache(maxsize=1024)
def parsed(text: str) -> dict[str, Any]:
    """A stored (so already checked) policy; callers do not change it."""
    document: dict[str, Any] = json.loads(text)
    return document


def _check_top(document: Mapping[str, Any]) -> None:
    if strange := set(document) - _TOP:
        raise _malformed(f"Syntax errors in policy: unknown element {sorted(strange)[0]}")
    version = document.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        raise _malformed(f"Version is {version!r}; {' or '.join(VERSIONS)} is right")
    if not as_list(document.get("Statement")):
        raise _malformed("Syntax errors in policy: Statement is missing or empty")
    names = [s["Sid"] for s in as_list(document["Statement"]) if isinstance(s, dict) and "Sid" in s]
    if twice := [name for name in names if names.count(name) > 1]:
        raise _malformed(f"Statement IDs (SID) in a single policy must be unique: {twice[0]}")


def _check_statement(statement: Any, where: str, use: Use) -> None:
    if not isinstance(statement, dict):
        raise _malformed(f"{where} is not an object")
    if strange := set(statement) - _MEMBERS:
        raise _malformed(f"{where}: unknown element {sorted(strange)[0]}")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise _malformed(f"{where}: Effect is {statement.get('Effect')!r}; Allow or Deny is right")
    _check_principal(statement, where, use)
    _check_actions(statement, where)
    _check_resources(statement, where, use)
    _check_conditions(statement.get("Condition", {}), where)


def _check_principal(statement: Mapping[str, Any], where: str, use: Use) -> None:
    named = [name for name in ("Principal", "NotPrincipal") if name in statement]
    if use == "identity":
        if named:
            raise _malformed(f"{where}: Policy document should not specify a principal.")
        return
    if len(named) != 1:
        raise _malformed(f"{where}: exactly one of Principal and NotPrincipal is needed")
    principal = statement[named[0]]
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal:
        raise _malformed(f'{where}: Principal is "*" or an object such as {{"AWS": "<ARN>"}}')
    for kind, entries in principal.items():
        if kind not in _PRINCIPAL_KINDS:
            raise _malformed(f"{where}: Invalid principal in policy: unknown kind {kind!r}")
        for entry in as_list(entries):
            if not _principal_fits(kind, entry):
                raise _malformed(f'{where}: Invalid principal in policy: "{kind}":"{entry}"')


def _principal_fits(kind: str, entry: Any) -> bool:
    if not isinstance(entry, str) or not entry:
        return False
    if kind != "AWS" or entry == "*":
        return True
    is_arn = entry.startswith(("arn:aws:iam::", "arn:aws:sts::")) and "*" not in entry
    return is_arn or _ACCOUNT.fullmatch(entry) is not None


def _check_actions(statement: Mapping[str, Any], where: str) -> None:
    for action in _one_of(statement, "Action", "NotAction", where, "actions"):
        if not isinstance(action, str) or not _ACTION.fullmatch(action):
            raise _malformed(
                f"{where}: action {action!r} must be prefaced by a vendor: lambda:InvokeFunction"
            )


def _check_resources(statement: Mapping[str, Any], where: str, use: Use) -> None:
    if use == "trust":
        if "Resource" in statement or "NotResource" in statement:
            raise _malformed(f"{where}: Has prohibited field Resource")
        return
    for resource in _one_of(statement, "Resource", "NotResource", where, "resources"):
        is_arn = isinstance(resource, str) and len(resource.split(":", 5)) == 6
        if resource != "*" and not (is_arn and resource.startswith("arn:")):
            raise _malformed(f'{where}: Resource {resource} must be in ARN format or "*".')


def _check_conditions(block: Any, where: str) -> None:
    if not isinstance(block, dict):
        raise _malformed(f"{where}: Condition is an object of operators")
    for operator, keys in block.items():
        if not conditions.known(operator):
            raise _malformed(f"{where}: Invalid Condition type : {operator}.")
        if not isinstance(keys, dict) or not keys:
            raise _malformed(f"{where}: Condition {operator} is an object of keys and values")


def _one_of(
    statement: Mapping[str, Any], name: str, other: str, where: str, what: str
) -> list[Any]:
    if (name in statement) == (other in statement):
        raise _malformed(f"{where}: Policy statement must contain {what}.")
    entries = as_list(statement.get(name, statement.get(other)))
    if not entries:
        raise _malformed(f"{where}: Policy statement must contain {what}.")
    return entries


def _malformed(message: str) -> Invalid:
    return Invalid(message, code="MalformedPolicyDocument")
