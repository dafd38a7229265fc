"""The sentence of a refusal, and the command that would have allowed it.

Source: IAM user guide, "Troubleshoot access denied error messages".
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from typing import Any

from tailorbird.access import rights, roles
from tailorbird.access.documents import parsed
from tailorbird.access.patterns import as_list
from tailorbird.access.policies import Decision, role_of_session
from tailorbird.access.room import Access, Caller, Held, Rights
from tailorbird.errors import Denied

POLICY_NAME_MAX_CHARS = 128
LAMBDA = "lambda.amazonaws.com"


def denied(
    room: Access,
    caller: Caller,
    action: str,
    resource: str,
    decision: Decision,
    code: str | None = None,
) -> Denied:
    """Who may not do what on which resource, why, and what would allow it."""
    start = (
        f"User: {caller.principal} is not authorized to perform: {action} on resource: {resource}"
    )
    session = role_of_session(caller.principal)
    if session is None:
        return Denied(f"{start} because no policy allows the {action} action", code=code)
    held = rights.of_role(room, *session)
    if held.found != "made":
        create = create_role_command(held.name)
        allow = allow_command(held, action, resource)
        why = f"because no identity-based policy allows the {action} action"
        return Denied(
            f"{start} {why}: {decision.trace[0]}. To allow it: {create} && {allow}", code=code
        )
    if decision.explicit_deny:
        return Denied(
            f"{start} with an explicit deny in an identity-based policy: "
            + _denying(held, decision),
            code=code,
        )
    return Denied(
        f"{start} because no identity-based policy allows the {action} action. To allow it: "
        + allow_command(held, action, resource),
        code=code,
    )


def allow_command(held: Rights, action: str, resource: str) -> str:
    """The command that adds the missing statement as a policy of its own."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":")
    )
    taken = [policy.name for policy in held.policies]
    words = ["aws", "iam", "put-role-policy", "--role-name", held.name]
    words += ["--policy-name", _free_name(action, taken), "--policy-document", document]
    return shlex.join(words)


def create_role_command(name: str, service: str = LAMBDA) -> str:
    """The command that makes a role which the service may take on."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    words = ["aws", "iam", "create-role", "--role-name", name, "--assume-role-policy-document"]
    return shlex.join([*words, trust])


def trust_command(room: Access, role_arn: str, principal: str, external_id: str | None) -> str:
    """The command that lets the principal take the role on: whom it trusts already, it still does.

    A role that is not there is made by it.
    """
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"AWS": _trusted(room, principal)},
        "Action": "sts:AssumeRole",
    }
    if external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    account, _, path_and_name = role_arn.split(":", 4)[4].partition(":role")
    path, _, name = path_and_name.rpartition("/")
    role = roles.find_role(room, account, name)
    words = ["aws", "iam", "create-role", "--role-name", name]
    words += ["--path", f"{path}/"] if path else []
    option, old = "--assume-role-policy-document", []
    if role is not None:
        words = ["aws", "iam", "update-assume-role-policy", "--role-name", name]
        option, old = "--policy-document", as_list(parsed(role.trust)["Statement"])
    trust = {"Version": "2012-10-17", "Statement": [*old, statement]}
    return shlex.join([*words, option, json.dumps(trust, separators=(",", ":"))])


def _trusted(room: Access, principal: str) -> str:
    """A session is trusted by its role, so that the next one is too."""
    session = role_of_session(principal)
    role = roles.find_role(room, *session) if session else None
    return roles.arn_of(role) if role is not None else principal


def _denying(held: Rights, decision: Decision) -> str:
    """Which statement denies, and how to take its policy away."""
    policy = rights.holder_of(held, decision)
    if policy is None or decision.statement is None:
        return f"a policy of role {held.name}"
    sid = decision.statement.get("Sid")
    which = f"statement {sid}" if sid else "a statement"
    return f"{which} of policy {policy.name}. To take it away: {_remove_command(held, policy)}"


def _remove_command(held: Rights, policy: Held) -> str:
    words = ["aws", "iam", "delete-role-policy", "--role-name", held.name, "--policy-name"]
    if policy.attached:
        words = ["aws", "iam", "detach-role-policy", "--role-name", held.name, "--policy-arn"]
    return shlex.join([*words, policy.name])


def _free_name(action: str, taken: Sequence[str]) -> str:
    """A policy name after the action that would not overwrite a policy the role has."""
    name = "allow-" + re.sub(r"[^\w+=,.@-]+", "-", action)[: POLICY_NAME_MAX_CHARS - 10]
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
