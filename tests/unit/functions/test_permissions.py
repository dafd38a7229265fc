"""Who may invoke: what AddPermission writes, and what every kind of caller is told."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from tailorbird.access import Caller, roles
from tailorbird.errors import Conflict, Denied, Invalid, NotFound
from tailorbird.functions import Functions, RoleCaller, ServiceCaller, names, permissions
from tailorbird.functions.resolve import resolve
from tests.unit.functions.conftest import ACCOUNT, OWNER
from tests.unit.functions.test_catalog import ARN, create

CAMPAIGN = f"arn:aws:mobiletargeting:us-east-1:{ACCOUNT}:apps/a1/campaigns/c1"
PINPOINT = ServiceCaller("pinpoint.us-east-1.amazonaws.com", CAMPAIGN, ACCOUNT)
GRANT = {
    "FunctionName": "hook",
    "StatementId": "sid",
    "Action": "lambda:InvokeFunction",
    "Principal": "pinpoint.us-east-1.amazonaws.com",
    "SourceArn": CAMPAIGN,
}


def add(room: Functions, **members: Any) -> dict[str, Any]:
    answer = permissions.add_permission(room, OWNER, GRANT | members)
    statement: dict[str, Any] = json.loads(answer["Statement"])
    return statement


def ask(room: Functions, caller: Caller | ServiceCaller | RoleCaller, name: str = "hook") -> None:
    ref = names.parse(name, ACCOUNT, "us-east-1")
    permissions.check(room, ref, resolve(room, ref)[1], caller)


def test_the_seeds_command_writes_the_seeds_statement(room: Functions):
    create(room)
    assert add(room) == {
        "Sid": "sid",
        "Effect": "Allow",
        "Principal": {"Service": "pinpoint.us-east-1.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": ARN,
        "Condition": {"ArnLike": {"AWS:SourceArn": CAMPAIGN}},
    }


def test_the_policy_is_one_document_with_a_revision(room: Functions):
    create(room)
    statement = add(room, SourceAccount=ACCOUNT)
    answer = permissions.get_policy(room, OWNER, {"FunctionName": "hook"})
    assert json.loads(answer["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "default",
        "Statement": [statement],
    }
    assert answer["RevisionId"]
    assert statement["Condition"]["StringEquals"] == {"AWS:SourceAccount": ACCOUNT}


PRINCIPALS = {
    "pinpoint.amazonaws.com": {"Service": "pinpoint.amazonaws.com"},
    "111122223333": {"AWS": "arn:aws:iam::111122223333:root"},
    "arn:aws:iam::111122223333:role/r": {"AWS": "arn:aws:iam::111122223333:role/r"},
    "*": "*",
}


@pytest.mark.parametrize("given", PRINCIPALS)
def test_principals_are_written_as_lambda_writes_them(room: Functions, given: str):
    create(room)
    assert add(room, Principal=given)["Principal"] == PRINCIPALS[given]


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a strange principal": ({"Principal": "me!"}, Invalid, "The provided principal was invalid"),
    "$LATEST": (
        {"Qualifier": "$LATEST"},
        Invalid,
        "do not support adding policies for \\$LATEST",
    ),
    "no such function": ({"FunctionName": "nope"}, NotFound, "Function not found"),
    "a stale revision": ({"RevisionId": "old"}, Conflict, "Call the GetPolicy API"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_add_permission_refuses(room: Functions, case: str):
    create(room)
    members, kind, text = REFUSED[case]
    with pytest.raises(kind, match=text):
        add(room, **members)


def test_a_statement_id_is_given_once(room: Functions):
    create(room)
    add(room)
    with pytest.raises(Conflict, match=r"The statement id \(sid\) provided already exists"):
        add(room)


def test_a_policy_has_at_most_20_kib(room: Functions):
    create(room)
    with pytest.raises(Invalid, match="bigger than the limit") as refused:
        for number in range(100):
            add(room, StatementId=f"s{number}", SourceArn=CAMPAIGN + "x" * 400)
    assert refused.value.code == "PolicyLengthExceededException"


def test_without_a_policy_there_is_none_to_get_or_change(room: Functions):
    create(room)
    with pytest.raises(NotFound, match="The resource you requested does not exist"):
        permissions.get_policy(room, OWNER, {"FunctionName": "hook"})
    add(room)
    with pytest.raises(NotFound, match="Statement other is not found in resource policy"):
        permissions.remove_permission(room, OWNER, {"FunctionName": "hook", "StatementId": "other"})
    permissions.remove_permission(room, OWNER, {"FunctionName": "hook", "StatementId": "sid"})
    with pytest.raises(NotFound):
        permissions.get_policy(room, OWNER, {"FunctionName": "hook"})


ALLOWING = {
    "the campaign": {},
    "any campaign of the application": {"SourceArn": CAMPAIGN.replace("c1", "*")},
    "the global principal": {"Principal": "pinpoint.amazonaws.com"},
    "the account too": {"SourceAccount": ACCOUNT},
    "everything of the account": {"SourceArn": f"arn:aws:mobiletargeting:us-east-1:{ACCOUNT}:*"},
}
NOT_ALLOWING = {
    "another campaign": {"SourceArn": CAMPAIGN.replace("c1", "c2")},
    "another account": {"SourceAccount": "9" * 12},
    "another service": {"Principal": "sns.amazonaws.com"},
    "another action": {"Action": "lambda:GetFunction"},
}


@pytest.mark.parametrize("case", ALLOWING)
def test_a_service_may_with_a_statement_that_covers_it(room: Functions, case: str):
    create(room)
    with pytest.raises(Denied):
        ask(room, PINPOINT)
    add(room, **ALLOWING[case])
    ask(room, PINPOINT)  # raises nothing
    ask(room, PINPOINT, "hook:$LATEST")


@pytest.mark.parametrize("case", NOT_ALLOWING)
def test_a_service_may_not_with_one_that_does_not(room: Functions, case: str):
    create(room)
    add(room, **NOT_ALLOWING[case])
    with pytest.raises(Denied):
        ask(room, PINPOINT)


def test_running_the_command_of_a_refusal_is_the_remedy(room: Functions):
    create(room)
    with pytest.raises(Denied) as refused:
        ask(room, PINPOINT)
    words = shlex.split(refused.value.message.partition("To allow it: ")[2])
    assert words[:3] == ["aws", "lambda", "add-permission"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    add(
        room,
        FunctionName=options["--function-name"],
        StatementId=options["--statement-id"],
        Action=options["--action"],
        Principal=options["--principal"],
        SourceArn=options["--source-arn"],
        SourceAccount=options["--source-account"],
    )
    ask(room, PINPOINT)


SEGMENT = RoleCaller(f"arn:aws:iam::{ACCOUNT}:role/segment", "workspace")


def make_role(room: Functions, *, external_id: Any = "workspace", resource: str = ARN) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": SEGMENT.principal},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }
    own = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": resource}
    roles.create_role(room.access, ACCOUNT, "segment", policy(trust))
    roles.put_role_policy(room.access, ACCOUNT, "segment", "invoke", policy(own))


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("external_id", ["workspace", ["other", "workspace"]])
def test_segment_may_by_a_role_with_its_external_id(room: Functions, external_id: Any):
    create(room)
    with pytest.raises(Denied):
        ask(room, SEGMENT)
    make_role(room, external_id=external_id)
    ask(room, SEGMENT)  # raises nothing


def test_segment_may_not_with_another_external_id(room: Functions):
    create(room)
    make_role(room)
    with pytest.raises(Denied, match="aws iam update-assume-role-policy --role-name segment"):
        ask(room, replace(SEGMENT, external_id="theirs"))


def test_segment_may_not_when_the_role_allows_something_else(room: Functions):
    create(room)
    make_role(room, resource=ARN + "-other")
    with pytest.raises(Denied, match="aws iam put-role-policy --role-name segment"):
        ask(room, SEGMENT)


def test_the_accounts_own_keys_may_and_another_accounts_may_not(room: Functions):
    create(room)
    ask(room, OWNER)
    stranger = replace(OWNER, account="9" * 12, principal=f"arn:aws:iam::{'9' * 12}:root")
    with pytest.raises(Denied, match="--principal 999999999999"):
        ask(room, stranger)
    add(room, Principal="9" * 12, SourceArn=None)
    ask(room, stranger)


def test_a_session_may_what_its_role_may(room: Functions):
    create(room)
    make_role(room)
    session = replace(OWNER, principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/segment/s")
    ask(room, session)
    roles.delete_role_policy(room.access, ACCOUNT, "segment", "invoke")
    with pytest.raises(Denied, match="put-role-policy"):
        ask(room, session)


def test_segment_is_told_how_to_make_the_role_that_is_not_there(room: Functions):
    create(room)
    with pytest.raises(Denied, match="aws iam create-role --role-name segment"):
        ask(room, SEGMENT)


def test_a_session_of_a_role_that_is_gone_may_nothing(room: Functions):
    create(room)
    make_role(room)
    roles.delete_role_policy(room.access, ACCOUNT, "segment", "invoke")
    roles.delete_role(room.access, ACCOUNT, "segment")
    with pytest.raises(Denied, match="role segment was deleted"):
        ask(room, replace(OWNER, principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/segment/s"))


@pytest.mark.parametrize(
    ("sid", "remedy"),
    [
        ({"Sid": "no"}, "aws lambda remove-permission --function-name hook --statement-id no"),
        ({}, f"aws lambda delete-resource-policy --resource-arn {ARN}"),
    ],
)
def test_a_deny_in_the_functions_policy_counts_for_everybody(
    room: Functions, sid: dict[str, str], remedy: str
):
    create(room)
    make_role(room)
    session = replace(OWNER, principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/segment/s")
    add(room)
    deny = {"Effect": "Deny", "Principal": "*", "Resource": "*", "Action": "lambda:*"}
    closed = permissions.document([sid | deny])
    for caller in (OWNER, session, SEGMENT):
        with pytest.raises(Denied) as refused:
            permissions.check(room, names.parse("hook", ACCOUNT, "us-east-1"), closed, caller)
        assert refused.value.message.endswith(f"To take it away: {remedy}")


@pytest.mark.parametrize(
    ("members", "warned", "allowed"),
    [
        ({}, False, True),
        ({"SourceArn": None}, True, False),
        ({"SourceArn": None, "SourceAccount": ACCOUNT}, True, False),
        ({"Principal": "*", "SourceArn": None}, True, False),
    ],
)
def test_a_statement_for_any_campaign_is_warned_of_or_refused_as_the_setting_says(
    room: Functions,
    caplog: pytest.LogCaptureFixture,
    members: dict[str, Any],
    warned: bool,
    allowed: bool,
):
    """Pinpoint's guide: the policy requires a condition with AWS:SourceArn."""
    permissions._warn.cache_clear()
    create(room)
    add(room, **members)
    for _ in range(2):
        ask(room, PINPOINT)
    said = [record for record in caplog.records if "aws:SourceArn" in record.message]
    assert len(said) == int(warned)
    room.settings = room.settings.replace(functions_require_source_arn=True)
    if allowed:
        ask(room, PINPOINT)
    else:
        with pytest.raises(Denied, match=f"--source-arn {CAMPAIGN}"):
            ask(room, PINPOINT)
