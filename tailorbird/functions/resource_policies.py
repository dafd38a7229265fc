"""Whole resource policies: written as JSON, with Deny, and what a Deny means for every operation.

Source: Lambda API reference, PutResourcePolicy; IAM user guide, "Policy evaluation logic".
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from tailorbird import access
from tailorbird.access import Caller, Request
from tailorbird.access.patterns import as_list
from tailorbird.errors import Denied, Invalid, NotFound
from tailorbird.functions import permissions, stored
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import functions_policies

HEAD = ("Version", "Id")
# The account itself can always take a policy away that shuts everybody out.
ALWAYS_THE_ACCOUNTS = ("GetResourcePolicy", "PutResourcePolicy", "DeleteResourcePolicy")


def get_resource_policy(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = _reference(caller, request)
    with room.db.read() as conn:
        stored.version(conn, ref)
        policy = permissions.policy_of(conn, ref)
    if policy is None or not policy.statements:
        raise NotFound("The resource you requested does not exist.")
    text = json.dumps(permissions.document(policy.statements, policy.head), separators=(",", ":"))
    return {"Policy": text, "RevisionId": policy.revision_id}


def put_resource_policy(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Replace the whole policy of the function, version or alias."""
    ref = _reference(caller, request)
    document = _parsed(request["Policy"])
    head: dict[str, Any] = {name: document[name] for name in HEAD if name in document}
    whole = permissions.document(as_list(document["Statement"]), head)
    permissions.check_size(whole)
    with room.db.write() as conn:
        stored.lock(conn, ref)
        stored.version(conn, ref)
        permissions.check_revision(permissions.policy_of(conn, ref), request)
        revision = permissions.save(room, conn, ref, whole["Statement"], head)
    room.forget(ref)
    return {"Policy": json.dumps(whole, separators=(",", ":")), "RevisionId": revision}


def delete_resource_policy(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = _reference(caller, request)
    t = functions_policies
    with room.db.write() as conn:
        stored.lock(conn, ref)
        stored.version(conn, ref)
        policy = permissions.policy_of(conn, ref)
        if policy is None:
            raise NotFound("The resource you requested does not exist.")
        permissions.check_revision(policy, request)
        own = (*stored.same(t, ref), t.c.qualifier == policy.qualifier)
        conn.execute(sa.delete(t).where(*own))
    room.forget(ref)
    return {}


def check_deny(room: Functions, caller: Caller, operation: str, ref: FunctionRef) -> None:
    """Denied when the function's policy denies the caller this operation, whatever else allows."""
    if operation in ALWAYS_THE_ACCOUNTS and caller.principal.endswith(":root"):
        return
    with room.db.read() as conn:
        policy = permissions.policy_of(conn, ref)
    if policy is None:
        return
    action = f"lambda:{operation}"
    asked = Request(caller.principal, action, ref.guarded_arn, permissions.context_of(caller))
    document = permissions.document(policy.statements, policy.head)
    decision = access.evaluate([document], asked)
    if decision.explicit_deny:
        sid = (decision.statement or {}).get("Sid")
        raise Denied(
            f"User: {caller.principal} is not authorized to perform: {action} on resource:"
            f" {ref.guarded_arn} with an explicit deny in a resource-based policy: statement"
            f" {sid!r}. To take it away: aws lambda delete-resource-policy --resource-arn"
            f" {ref.guarded_arn}",
            code="AccessDeniedException",
        )


def _parsed(text: str) -> dict[str, Any]:
    try:
        document = access.check_document(text, "resource")
    except Invalid as refused:
        raise Invalid(refused.message, code="InvalidParameterValueException") from None
    for statement in as_list(document["Statement"]):
        for action in as_list(statement.get("Action", statement.get("NotAction"))):
            if action != "*" and not action.lower().startswith("lambda:"):
                raise Invalid(
                    f"Action {action!r} is not one of lambda: in the policy of a function",
                    code="InvalidParameterValueException",
                )
    return document


def _reference(caller: Caller, request: dict[str, Any]) -> FunctionRef:
    return stored.reference(caller, {"FunctionName": request["ResourceArn"]})
