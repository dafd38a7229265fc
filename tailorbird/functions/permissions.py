"""Resource policies of functions, and the one question of every invocation: may this caller?

Source: Lambda API reference, AddPermission; IAM user guide, "Policy evaluation logic".
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird import access, ids
from tailorbird.access import Caller, Decision, Request, refusals
from tailorbird.errors import Conflict, Denied, Invalid, NotFound
from tailorbird.functions import remedies, stored
from tailorbird.functions.callers import RoleCaller, ServiceCaller
from tailorbird.functions.names import LATEST, FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import functions_policies
from tailorbird.store import insert

POLICY_MAX_BYTES = 20_480
INVOKE = "lambda:InvokeFunction"
_ACCOUNT = re.compile(r"\d{12}")
_SERVICE = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazon\.com|alexa\.com)")
_PRINCIPAL_ARN = re.compile(r"arn:aws[a-z-]*:(iam|sts)::\d{12}:.+")
log = logging.getLogger("tailorbird.functions")
_STALE = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to"
    " retrieve the latest Revision Id"
)


def add_permission(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = stored.reference(caller, request)
    if ref.qualifier == LATEST:
        raise _invalid("We currently do not support adding policies for $LATEST.")
    statement = _statement(ref, request)
    with room.db.write() as conn:
        stored.lock(conn, ref)
        stored.version(conn, ref)
        policy = policy_of(conn, ref)
        check_revision(policy, request)
        statements = list(policy.statements) if policy else []
        if any(old.get("Sid") == statement["Sid"] for old in statements):
            raise Conflict(
                f"The statement id ({statement['Sid']}) provided already exists. Please provide a"
                " new statement id, or remove the existing statement.",
                code="ResourceConflictException",
            )
        statements.append(statement)
        check_size(document(statements, policy.head if policy else None))
        save(room, conn, ref, statements)
    room.forget(ref)
    return {"Statement": _compact(statement)}


def remove_permission(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = stored.reference(caller, request)
    sid = request["StatementId"]
    with room.db.write() as conn:
        stored.lock(conn, ref)
        stored.version(conn, ref)
        policy = policy_of(conn, ref)
        if policy is None:
            raise NotFound("No policy is associated with the given resource.")
        check_revision(policy, request)
        statements = [old for old in policy.statements if old.get("Sid") != sid]
        if len(statements) == len(policy.statements):
            raise NotFound(f"Statement {sid} is not found in resource policy.")
        save(room, conn, ref, statements)
    room.forget(ref)
    return {}


def get_policy(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    ref = stored.reference(caller, request)
    with room.db.read() as conn:
        stored.version(conn, ref)
        policy = policy_of(conn, ref)
    if policy is None or not policy.statements:
        raise NotFound("The resource you requested does not exist.")
    whole = document(policy.statements, policy.head)
    return {"Policy": _compact(whole), "RevisionId": policy.revision_id}


def document(
    statements: Sequence[Mapping[str, Any]], head: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The resource policy as one document; `head` is its version and id when somebody wrote it."""
    return {"Version": "2012-10-17", "Id": "default", **(head or {}), "Statement": [*statements]}


def check(
    room: Functions,
    ref: FunctionRef,
    policy: Mapping[str, Any],
    caller: Caller | ServiceCaller | RoleCaller,
) -> None:
    """Denied, with the command that would allow it, when the caller may not invoke the function."""
    if isinstance(caller, ServiceCaller):
        _check_service(room, ref, policy, caller)
    elif isinstance(caller, RoleCaller):
        _check_role(room, ref, policy, caller)
    else:
        _check_signed(room, ref, policy, caller)


def _check_service(
    room: Functions, ref: FunctionRef, policy: Mapping[str, Any], caller: ServiceCaller
) -> None:
    """A service has no policy of its own: only the function's decides.

    Pinpoint's guide requires a condition on aws:SourceArn; a statement without one is heeded with a
    warning, or not at all where the setting says so.
    """
    context = {"aws:SourceArn": caller.source_arn, "aws:SourceAccount": caller.source_account}
    given = {key: value for key, value in context.items() if value is not None}
    asked = Request(caller.service, INVOKE, ref.guarded_arn, given)
    decision = access.evaluate([policy], asked)
    if decision.allowed and not _names_source(decision.statement or {}):
        guarded = {**policy, "Statement": [s for s in policy["Statement"] if _names_source(s)]}
        if room.settings.functions_require_source_arn:
            decision = access.evaluate([guarded], asked)
        elif not access.evaluate([guarded], asked).allowed:
            _warn(ref.guarded_arn, caller.service)
    if decision.allowed:
        return
    on_behalf = f" for {caller.source_arn}" if caller.source_arn else ""
    raise Denied(
        f"{caller.service}{on_behalf} may not invoke {ref.guarded_arn}: {_why(decision)}."
        f" To allow it: {remedies.add_permission(ref, caller, policy, decision)}",
        code="AccessDeniedException",
    )


def _names_source(statement: Mapping[str, Any]) -> bool:
    """True for a Deny, and for an Allow that says for which resource the service may ask."""
    keys = [key.lower() for keys in (statement.get("Condition") or {}).values() for key in keys]
    return statement.get("Effect") == "Deny" or "aws:sourcearn" in keys


@lru_cache(maxsize=4096)
def _warn(arn: str, service: str) -> None:
    """Say it once for each function."""
    log.warning(
        "the policy of %s lets %s invoke it for anything: no statement has a condition on"
        " aws:SourceArn (setting functions_require_source_arn refuses such)",
        arn,
        service,
    )


def _check_role(
    room: Functions, ref: FunctionRef, policy: Mapping[str, Any], caller: RoleCaller
) -> None:
    """Trust policy with its external id first, then what the role itself allows."""
    trusted = access.trusts(
        room.access, caller.role_arn, caller.principal, external_id=caller.external_id
    )
    if not trusted.allowed:
        said = (
            f"{caller.principal} may not take on {caller.role_arn} with external id"
            f" {caller.external_id!r}: {_why(trusted)}."
        )
        if not trusted.explicit_deny:
            said += " To allow it: " + refusals.trust_command(
                room.access, caller.role_arn, caller.principal, caller.external_id
            )
        raise Denied(said, code="AccessDeniedException")
    by_policy = access.evaluate([policy], Request(caller.role_arn, INVOKE, ref.guarded_arn, {}))
    if by_policy.explicit_deny:
        raise _denied_by_policy(ref, caller.role_arn, by_policy)
    own = access.role_allows(room.access, caller.role_arn, INVOKE, ref.guarded_arn)
    if _combined(own, by_policy, caller.role_arn.split(":")[4] == ref.account):
        return
    account, name = caller.role_arn.split(":")[4], caller.role_arn.rpartition("/")[2]
    held = access.rights.of_role(room.access, account, name)
    raise Denied(
        f"{caller.role_arn} does not allow {INVOKE} on {ref.guarded_arn}: {_why(own)}."
        f" To allow it: {refusals.allow_command(held, INVOKE, ref.guarded_arn)}",
        code="AccessDeniedException",
    )


def _check_signed(
    room: Functions, ref: FunctionRef, policy: Mapping[str, Any], caller: Caller
) -> None:
    """The account's own keys may; a session may what its role may; others need the policy too.

    A Deny of the function's policy counts for everybody.
    """
    asked = Request(caller.principal, INVOKE, ref.guarded_arn, context_of(caller))
    by_policy = access.evaluate([policy], asked)
    if by_policy.explicit_deny:
        raise _denied_by_policy(ref, caller.principal, by_policy)
    own = access.may(room.access, caller, (INVOKE,), ref.guarded_arn, lambda: context_of(caller))
    if _combined(own, by_policy, caller.account == ref.account):
        return
    if not own.allowed:
        raise access.denied(
            room.access, caller, INVOKE, ref.guarded_arn, own, "AccessDeniedException"
        )
    raise Denied(
        f"User: {caller.principal} is not authorized to perform: {INVOKE} on resource:"
        f" {ref.guarded_arn} because no resource-based policy allows the {INVOKE} action."
        f" To allow it: {remedies.add_account(ref, caller, policy)}",
        code="AccessDeniedException",
    )


def _denied_by_policy(ref: FunctionRef, principal: str, decision: Decision) -> Denied:
    return Denied(
        f"User: {principal} is not authorized to perform: {INVOKE} on resource: {ref.guarded_arn}"
        f" with an explicit deny in a resource-based policy: {_why(decision)}."
        f" To take it away: {remedies.remove_permission(ref, decision)}",
        code="AccessDeniedException",
    )


def context_of(caller: Caller) -> dict[str, Any]:
    """Condition keys every signed caller brings."""
    return {"aws:PrincipalAccount": caller.account, "aws:RequestedRegion": caller.region}


def _combined(own: Decision, by_policy: Decision, same_account: bool) -> bool:
    """One Allow is enough inside an account, across accounts it takes both; a Deny always wins."""
    if own.explicit_deny or by_policy.explicit_deny:
        return False
    if same_account:
        return own.allowed or by_policy.allowed
    return own.allowed and by_policy.allowed


def _statement(ref: FunctionRef, request: Mapping[str, Any]) -> dict[str, Any]:
    condition: dict[str, dict[str, str]] = {}
    equals = {
        "AWS:SourceAccount": request.get("SourceAccount"),
        "aws:PrincipalOrgID": request.get("PrincipalOrgID"),
        "lambda:FunctionUrlAuthType": request.get("FunctionUrlAuthType"),
        "lambda:EventSourceToken": request.get("EventSourceToken"),
    }
    if given := {key: value for key, value in equals.items() if value is not None}:
        condition["StringEquals"] = given
    if request.get("InvokedViaFunctionUrl") is not None:
        via = str(request["InvokedViaFunctionUrl"]).lower()
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": via}
    if request.get("SourceArn"):
        condition["ArnLike"] = {"AWS:SourceArn": request["SourceArn"]}
    statement = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(request["Principal"]),
        "Action": request["Action"],
        "Resource": ref.qualified_arn,
    }
    return statement | ({"Condition": condition} if condition else {})


def _principal(text: str) -> str | dict[str, str]:
    if text == "*":
        return text
    if _ACCOUNT.fullmatch(text):
        return {"AWS": f"arn:aws:iam::{text}:root"}
    if _PRINCIPAL_ARN.fullmatch(text):
        return {"AWS": text}
    if _SERVICE.fullmatch(text):
        return {"Service": text}
    raise _invalid("The provided principal was invalid. Please check the principal and try again.")


def policy_of(conn: Connection, ref: FunctionRef) -> Row[Any] | None:
    """The policy of exactly this qualifier, or None."""
    return conn.execute(sa.select(functions_policies).where(*_is(ref))).first()


def _is(ref: FunctionRef) -> tuple[sa.ColumnElement[bool], ...]:
    c = functions_policies.c
    return (
        c.account == ref.account,
        c.region == ref.region,
        c.name == ref.name,
        c.qualifier == (ref.qualifier or LATEST),
    )


def save(
    room: Functions,
    conn: Connection,
    ref: FunctionRef,
    statements: list[dict[str, Any]],
    head: Mapping[str, Any] | None = None,
) -> str:
    """Write the policy of the qualifier; its new revision."""
    row = {
        "account": ref.account,
        "region": ref.region,
        "name": ref.name,
        "qualifier": ref.qualifier or LATEST,
    }
    values: dict[str, Any] = {"statements": statements, "revision_id": ids.uuid4()}
    changed = values if head is None else {**values, "head": head}
    statement = insert(room.db, functions_policies).values(**row, **{"head": {}, **changed})
    conn.execute(statement.on_conflict_do_update(index_elements=list(row), set_=changed))
    return str(values["revision_id"])


def check_revision(policy: Row[Any] | None, request: Mapping[str, Any]) -> None:
    """Conflict when the request was made for another state of the policy."""
    wanted = request.get("RevisionId")
    if wanted is not None and (policy is None or policy.revision_id != wanted):
        raise Conflict(_STALE, code="PreconditionFailedException")


def check_size(policy: Mapping[str, Any]) -> None:
    """Invalid when the policy is longer than Lambda keeps."""
    size = len(_compact(policy).encode())
    if size > POLICY_MAX_BYTES:
        raise Invalid(
            f"The final policy size ({size}) is bigger than the limit ({POLICY_MAX_BYTES}).",
            code="PolicyLengthExceededException",
        )


def _why(decision: Decision) -> str:
    if decision.explicit_deny and decision.statement is not None:
        return f"statement {decision.statement.get('Sid')!r} denies it"
    return "; ".join(decision.trace) or "it has no policy"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="InvalidParameterValueException")
