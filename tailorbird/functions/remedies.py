"""The commands that let a refused caller invoke a function, ready to be run as they are printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from tailorbird.access import Caller, Decision
from tailorbird.functions.callers import ServiceCaller
from tailorbird.functions.names import LATEST, FunctionRef

ACTION = "lambda:InvokeFunction"
STATEMENT_ID_CHARS = 100


def add_permission(
    ref: FunctionRef, caller: ServiceCaller, policy: Mapping[str, Any], decision: Decision
) -> str:
    """Adds the statement that lets a service in, after the one that shuts it out is gone."""
    words = [*_adding(ref, policy, _statement_id(caller)), "--principal", caller.service]
    if caller.source_arn:
        words += ["--source-arn", caller.source_arn]
    if caller.source_account:
        words += ["--source-account", caller.source_account]
    command = shlex.join(words)
    if decision.explicit_deny and decision.statement is not None:
        return f"{remove_permission(ref, decision)} && {command}"
    return command


def add_account(ref: FunctionRef, caller: Caller, policy: Mapping[str, Any]) -> str:
    """Adds the statement that lets another account in."""
    words = _adding(ref, policy, f"account-{caller.account}")
    return shlex.join([*words, "--principal", caller.account])


def remove_permission(ref: FunctionRef, decision: Decision) -> str:
    """What takes the deciding statement, or without a name the policy, away from the function."""
    sid = (decision.statement or {}).get("Sid")
    if sid is None:
        words = ["aws", "lambda", "delete-resource-policy", "--resource-arn", ref.guarded_arn]
        return shlex.join(words)
    words = ["aws", "lambda", "remove-permission", *_function(ref)]
    return shlex.join([*words, "--statement-id", str(sid)])


def _adding(ref: FunctionRef, policy: Mapping[str, Any], name: str) -> list[str]:
    words = ["aws", "lambda", "add-permission", *_function(ref)]
    return [*words, "--statement-id", _free(name, policy), "--action", ACTION]


def _function(ref: FunctionRef) -> list[str]:
    qualified = ref.qualifier and ref.qualifier != LATEST
    return [
        "--function-name",
        ref.name,
        *(["--qualifier", str(ref.qualifier)] if qualified else []),
    ]


def _free(name: str, policy: Mapping[str, Any]) -> str:
    """A statement id that the policy does not have."""
    taken = {statement.get("Sid") for statement in policy.get("Statement", ())}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: STATEMENT_ID_CHARS - 4]}-{number}"
    return free


def _statement_id(caller: ServiceCaller) -> str:
    """A statement id that says who it lets in: the service and its resource."""
    tail = (caller.source_arn or "").split(":", 5)[-1]
    parts = [caller.service.split(".")[0], tail]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", "-".join(filter(None, parts)))
    return name.strip("-")[:STATEMENT_ID_CHARS]
