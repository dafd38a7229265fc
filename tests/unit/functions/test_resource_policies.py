"""Whole resource policies: written, read, taken away, and their Deny heeded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tailorbird.access import Caller
from tailorbird.errors import Conflict, Denied, Invalid, NotFound
from tailorbird.functions import Functions, ServiceCaller, permissions, resource_policies
from tailorbird.gateway.aws_lambda import OPERATIONS
from tests.unit.functions.conftest import ACCOUNT, OWNER
from tests.unit.functions.test_catalog import ARN, create
from tests.unit.functions.test_permissions import GRANT, PINPOINT, ask

ALLOW = {
    "Sid": "pinpoint",
    "Effect": "Allow",
    "Principal": {"Service": "pinpoint.us-east-1.amazonaws.com"},
    "Action": "lambda:InvokeFunction",
    "Resource": ARN,
}
DENY = {"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "lambda:*", "Resource": "*"}
SESSION = replace(OWNER, principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/functions/s")


def put(room: Functions, *statements: dict[str, Any], **members: Any) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Id": "mine", "Statement": list(statements)}
    request = {"ResourceArn": ARN, "Policy": json.dumps(document), **members}
    return resource_policies.put_resource_policy(room, OWNER, request)


def read(room: Functions, arn: str = ARN) -> dict[str, Any]:
    answer = resource_policies.get_resource_policy(room, OWNER, {"ResourceArn": arn})
    document: dict[str, Any] = json.loads(answer["Policy"])
    return document


def test_a_policy_is_written_whole_and_read_by_both_operations(room: Functions):
    create(room)
    made = put(room, ALLOW)
    expected = {"Version": "2012-10-17", "Id": "mine", "Statement": [ALLOW]}
    assert json.loads(made["Policy"]) == read(room) == expected
    older = permissions.get_policy(room, OWNER, {"FunctionName": "hook"})
    assert (json.loads(older["Policy"]), older["RevisionId"]) == (expected, made["RevisionId"])
    ask(room, PINPOINT)


def test_permissions_are_added_to_a_written_policy(room: Functions):
    create(room)
    put(room, {key: value for key, value in ALLOW.items() if key != "Sid"})
    permissions.add_permission(room, OWNER, GRANT)
    assert [each.get("Sid") for each in read(room)["Statement"]] == [None, "sid"]
    permissions.remove_permission(room, OWNER, {"FunctionName": "hook", "StatementId": "sid"})
    assert [each.get("Sid") for each in read(room)["Statement"]] == [None]


def test_a_policy_is_taken_away(room: Functions):
    create(room)
    put(room, ALLOW)
    resource_policies.delete_resource_policy(room, OWNER, {"ResourceArn": ARN})
    for call in (read, lambda r: resource_policies.delete_resource_policy(r, OWNER, GONE)):
        with pytest.raises(NotFound, match="The resource you requested does not exist"):
            call(room)
    with pytest.raises(Denied):
        ask(room, PINPOINT)


GONE = {"ResourceArn": ARN}


def test_its_revision_guards_it(room: Functions):
    create(room)
    made = put(room, ALLOW)
    stale = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(Conflict, match="Revision Id provided does not match") as refused:
        put(room, DENY, RevisionId=stale)
    assert refused.value.code == "PreconditionFailedException"
    with pytest.raises(Conflict):
        resource_policies.delete_resource_policy(room, OWNER, {**GONE, "RevisionId": stale})
    put(room, ALLOW, DENY, RevisionId=made["RevisionId"])


REFUSED = {
    "no JSON": ("{", "invalid Json"),
    "no principal": (
        {key: value for key, value in ALLOW.items() if key != "Principal"},
        "Principal",
    ),
    "a strange condition": ({**ALLOW, "Condition": {"Like": {"a": "b"}}}, "Invalid Condition type"),
    "another service's action": ({**ALLOW, "Action": "s3:GetObject"}, "not one of lambda:"),
    "a strange effect": ({**ALLOW, "Effect": "Perhaps"}, "Allow or Deny is right"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_policy_is_refused_and_the_old_one_stays(room: Functions, case: str):
    create(room)
    put(room, ALLOW)
    statement, text = REFUSED[case]
    with pytest.raises(Invalid, match=text) as refused:
        if isinstance(statement, str):
            put(room, Policy=statement)
        else:
            put(room, statement)
    assert refused.value.code == "InvalidParameterValueException"
    assert read(room)["Statement"] == [ALLOW]


def test_a_policy_has_at_most_20_kib(room: Functions):
    create(room)
    many = [{**ALLOW, "Sid": f"s{n}"} for n in range(140)]
    with pytest.raises(Invalid, match="bigger than the limit") as refused:
        put(room, *many)
    assert refused.value.code == "PolicyLengthExceededException"


def test_a_deny_of_invoking_counts_for_services_and_signed_callers(room: Functions):
    create(room)
    put(room, ALLOW, DENY)
    callers: list[Caller | ServiceCaller] = [PINPOINT, OWNER, SESSION]
    for caller in callers:
        with pytest.raises(Denied, match="denies it"):
            ask(room, caller)


def test_a_deny_counts_for_every_operation_on_the_function_and_for_nobody_else(room: Functions):
    create(room)
    create(room, FunctionName="other")
    put(room, {**DENY, "Action": ["lambda:GetFunction", "lambda:Update*"]})
    for operation in ("GetFunction", "UpdateFunctionConfiguration"):
        with pytest.raises(Denied, match="explicit deny in a resource-based policy") as refused:
            OPERATIONS[operation](room, OWNER, {"FunctionName": "hook", "Timeout": 5})
        assert refused.value.code == "AccessDeniedException"
    OPERATIONS["GetFunctionConfiguration"](room, OWNER, {"FunctionName": "hook"})
    OPERATIONS["GetFunction"](room, OWNER, {"FunctionName": "other"})


def test_the_account_can_always_take_its_policy_away(room: Functions):
    create(room)
    put(room, DENY)
    with pytest.raises(Denied):
        OPERATIONS["DeleteResourcePolicy"](room, SESSION, GONE)
    OPERATIONS["DeleteResourcePolicy"](room, OWNER, GONE)
    OPERATIONS["GetFunction"](room, OWNER, {"FunctionName": "hook"})
