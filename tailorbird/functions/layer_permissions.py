"""Who besides its owner may use a version of a layer.

Source: Lambda API reference, AddLayerVersionPermission.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Row

from tailorbird import access
from tailorbird.access import Caller, Request
from tailorbird.errors import Conflict, Denied, Invalid, NotFound
from tailorbird.functions import stored_layers
from tailorbird.functions.room import Functions

GET = "lambda:GetLayerVersion"
POLICY_MAX_BYTES = 20_480
_STALE = (
    "The Revision Id provided does not match the latest Revision Id. Call the"
    " GetLayerVersionPolicy API to retrieve the latest Revision Id"
)


def add_layer_version_permission(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref = _own(caller, request)
    statement = _statement(ref.version_arn, request)
    with room.db.write() as conn:
        row = stored_layers.require(conn, ref, lock=True)
        _check_revision(row, request)
        if any(old["Sid"] == statement["Sid"] for old in row.statements):
            raise Conflict(
                f"The statement id ({statement['Sid']}) provided already exists. Please provide a"
                " new statement id, or remove the existing statement.",
                code="ResourceConflictException",
            )
        statements = [*row.statements, statement]
        if (size := len(_compact(document(statements)).encode())) > POLICY_MAX_BYTES:
            raise Invalid(
                f"The final policy size ({size}) is bigger than the limit ({POLICY_MAX_BYTES}).",
                code="PolicyLengthExceededException",
            )
        revision = stored_layers.save_policy(conn, ref, statements)
    return {"Statement": _compact(statement), "RevisionId": revision}


def remove_layer_version_permission(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    ref, sid = _own(caller, request), request["StatementId"]
    with room.db.write() as conn:
        row = stored_layers.require(conn, ref, lock=True)
        _check_revision(row, request)
        statements = [old for old in row.statements if old["Sid"] != sid]
        if len(statements) == len(row.statements):
            raise NotFound(f"Statement {sid} is not found in resource policy.")
        stored_layers.save_policy(conn, ref, statements)
    return {}


def get_layer_version_policy(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    with room.db.read() as conn:
        row = stored_layers.require(conn, _own(caller, request))
    if not row.statements:
        raise NotFound("No policy is associated with the given resource.")
    return {"Policy": _compact(document(row.statements)), "RevisionId": row.revision_id}


def check(
    caller: Caller, version_arn: str, owner: str, statements: Sequence[Mapping[str, Any]]
) -> None:
    """Denied when the layer is another account's and its policy does not let the caller have it."""
    if caller.account == owner:
        return
    asked = Request(caller.principal, GET, version_arn, {"aws:PrincipalAccount": caller.account})
    if not access.evaluate([document(statements)], asked).allowed:
        raise Denied(
            f"User: {caller.principal} is not authorized to perform: {GET} on resource:"
            f" {version_arn} because no resource-based policy allows the {GET} action",
            code="AccessDeniedException",
        )


def document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The layer version's policy as one document."""
    return {"Version": "2012-10-17", "Id": "default", "Statement": list(statements)}


def _own(caller: Caller, request: Mapping[str, Any]) -> stored_layers.LayerRef:
    ref = stored_layers.numbered(caller, request)
    stored_layers.check_owner(caller, ref)
    return ref


def _statement(version_arn: str, request: Mapping[str, Any]) -> dict[str, Any]:
    principal = request["Principal"]
    organization = request.get("OrganizationId")
    if organization and principal != "*":
        raise Invalid(
            "OrganizationId is only supported with the principal '*'",
            code="InvalidParameterValueException",
        )
    if principal.isdigit():
        principal = f"arn:aws:iam::{principal}:root"
    statement = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": principal if principal == "*" else {"AWS": principal},
        "Action": request["Action"],
        "Resource": version_arn,
    }
    if organization:
        statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": organization}}
    return statement


def _check_revision(row: Row[Any], request: Mapping[str, Any]) -> None:
    if request.get("RevisionId") not in (None, row.revision_id):
        raise Conflict(_STALE, code="PreconditionFailedException")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
