"""What a signed caller may do: the account everything, a session what its role's policies say."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tailorbird import access
from tailorbird.access import Access, Caller, managed, rights, roles
from tailorbird.clock import TestClock
from tailorbird.errors import Denied
from tailorbird.settings import Settings
from tailorbird.store import Database

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/night"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"},
        ],
    }
)
CAMPAIGN = f"arn:aws:personalize:us-east-1:{ACCOUNT}:campaign/shop"
RECOMMEND = "personalize:GetRecommendations"


@pytest.fixture
def room(db: Database, settings: Settings) -> Access:
    return Access(db, TestClock(1_800_000_000.0), settings)


def caller(principal: str = SESSION) -> Caller:
    return Caller(ACCOUNT, "us-east-1", principal, "ASIA", "request")


def statement(action: Any = RECOMMEND, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def make(room: Access, *statements: dict[str, Any]) -> None:
    roles.create_role(room, ACCOUNT, "worker", TRUST)
    if statements:
        roles.put_role_policy(room, ACCOUNT, "worker", "own", document(*statements))


def may(room: Access, *actions: str, resource: str = CAMPAIGN, **context: Any) -> bool:
    given = {key.replace("__", ":"): value for key, value in context.items()}
    return access.may(room, caller(), actions or (RECOMMEND,), resource, lambda: given).allowed


def test_the_accounts_own_key_may_everything(room: Access) -> None:
    assert access.may(room, caller(ROOT), ("personalize:DeleteCampaign",), CAMPAIGN).allowed


@pytest.mark.parametrize(
    "principal",
    [
        f"arn:aws:sts::{ACCOUNT}:assumed-role//night",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/worker",
        "arn:aws:sts::12:assumed-role/worker/night",
    ],
)
def test_a_session_of_no_role_may_nothing(room: Access, principal: str) -> None:
    make(room, statement("*"))
    decision = access.may(room, caller(principal), (RECOMMEND,), CAMPAIGN)
    assert not decision.allowed
    said = access.denied(room, caller(principal), RECOMMEND, CAMPAIGN, decision)
    assert said.message.startswith(f"User: {principal} is not authorized")


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([], False),
        ([statement()], True),
        ([statement("personalize:Get*", CAMPAIGN)], True),
        ([statement(resource=CAMPAIGN + "2")], False),
        ([statement("personalize:PutEvents")], False),
        ([statement(), statement(Effect="Deny", Sid="no")], False),
        ([statement("*"), statement("personalize:GetR*", Effect="Deny")], False),
        ([statement(), statement(Effect="Deny", resource=CAMPAIGN + "2")], True),
    ],
)
def test_a_session_may_what_its_role_allows_and_a_deny_wins(
    room: Access, statements: list[dict[str, Any]], allowed: bool
) -> None:
    make(room, *statements)
    assert may(room) is allowed
    assert may(room) is allowed  # from memory


def conditioned(**condition: Any) -> dict[str, Any]:
    return statement(Condition=condition)


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, {"r": "us-east-1"}, True),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, {"r": "eu-west-1"}, False),
        ({"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/worker"}}, {}, True),
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, {}, True),
        ({"StringEquals": {"aws:PrincipalType": "AssumedRole"}}, {}, True),
        ({"StringLike": {"aws:userid": "AROA*:night"}}, {}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2027-01-15T08:00:01Z"}}, {}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2027-01-15T08:00:01Z"}}, {}, False),
    ],
)
def test_conditions_are_asked_at_every_call(
    room: Access, condition: dict[str, Any], context: dict[str, str], allowed: bool
) -> None:
    make(room, conditioned(**condition))
    given = {"aws__RequestedRegion": context["r"]} if context else {}
    for _ in range(2):
        assert may(room, **given) is allowed


def test_a_condition_is_not_answered_from_memory(room: Access) -> None:
    make(room, conditioned(StringEquals={"aws:RequestedRegion": "us-east-1"}))
    assert may(room, aws__RequestedRegion="us-east-1")
    assert not may(room, aws__RequestedRegion="eu-west-1")


def test_a_condition_in_other_letters_is_a_condition(room: Access) -> None:
    """JSON lets any letter be written by its number."""
    make(room, statement())
    text = document(
        statement(Effect="Deny", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}})
    )
    hidden = text.replace("Condition", "\\u0043ondition")
    roles.put_role_policy(room, ACCOUNT, "worker", "no", hidden)
    assert may(room, aws__RequestedRegion="us-east-1")
    assert not may(room, aws__RequestedRegion="eu-west-1")


def test_variables_are_filled_in_at_every_call(room: Access) -> None:
    make(room, statement(resource="arn:aws:s3:::${aws:RequestedRegion}/*"))
    for region in ("us-east-1", "eu-west-1"):
        assert may(room, resource=f"arn:aws:s3:::{region}/k", aws__RequestedRegion=region)
    assert not may(room, resource="arn:aws:s3:::us-east-1/k", aws__RequestedRegion="eu-west-1")


def test_an_action_may_have_an_older_name(room: Access) -> None:
    make(room, statement("personalize:Record"))
    assert may(room, "personalize:PutEvents", "personalize:Record", resource="*")
    assert not may(room, "personalize:PutEvents", resource="arn:aws:other:::x")


def test_a_deny_of_the_older_name_denies(room: Access) -> None:
    make(room, statement("*"), statement("personalize:Record", Effect="Deny"))
    assert not may(room, "personalize:PutEvents", "personalize:Record", resource="*")


def _attach(room: Access) -> None:
    policy = managed.create_policy(room, ACCOUNT, "shared", document(statement()))
    roles.attach(room, ACCOUNT, "worker", policy.arn)


def _new_version(room: Access) -> None:
    policy = managed.create_policy(room, ACCOUNT, "shared", document(statement("s3:*")))
    roles.attach(room, ACCOUNT, "worker", policy.arn)
    assert not may(room)
    managed.create_version(room, policy.arn, document(statement()), set_default=True)


CHANGES: dict[str, Callable[[Access], None]] = {
    "an inline policy": lambda room: roles.put_role_policy(
        room, ACCOUNT, "worker", "own", document(statement())
    ),
    "an attached policy": _attach,
    "an AWS-managed policy": lambda room: roles.attach(
        room, ACCOUNT, "worker", "arn:aws:iam::aws:policy/AmazonPersonalizeFullAccess"
    ),
    "another default version": _new_version,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_counts_at_once(room: Access, change: str) -> None:
    make(room)
    assert not may(room)
    CHANGES[change](room)
    assert may(room)


def test_a_change_counts_at_once_while_others_ask(room: Access) -> None:
    make(room)
    stopped = threading.Event()

    def ask() -> None:
        while not stopped.is_set():
            may(room)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(25):
            roles.put_role_policy(room, ACCOUNT, "worker", "own", document(statement()))
            assert may(room)
            roles.delete_role_policy(room, ACCOUNT, "worker", "own")
            assert not may(room)
    finally:
        stopped.set()
        for asker in askers:
            asker.join()


def test_what_another_process_changes_counts_within_a_second(room: Access) -> None:
    make(room)
    assert not may(room)
    other = Access(room.db, room.clock, room.settings)
    roles.put_role_policy(other, ACCOUNT, "worker", "own", document(statement()))
    assert not may(room)
    assert isinstance(room.clock, TestClock)
    room.clock.advance(rights.KNOWN_SECONDS)
    assert may(room)


@pytest.mark.parametrize(("setting", "allowed"), [("allow", True), ("deny", False)])
def test_a_role_never_made_here_is_the_settings_affair(
    room: Access, setting: str, allowed: bool
) -> None:
    room.settings = room.settings.replace(functions_unknown_role=setting)
    assert may(room) is allowed


def test_a_role_made_later_is_enforced(room: Access) -> None:
    assert may(room)
    make(room)
    assert not may(room)


def test_a_session_does_not_gain_by_the_end_of_its_role(room: Access) -> None:
    make(room, statement())
    assert may(room)
    roles.delete_role_policy(room, ACCOUNT, "worker", "own")
    roles.delete_role(room, ACCOUNT, "WORKER")
    assert not may(room)


def refusal(room: Access) -> Denied:
    decision = access.may(room, caller(), (RECOMMEND,), CAMPAIGN)
    return access.denied(room, caller(), RECOMMEND, CAMPAIGN, decision)


def test_the_refusal_is_awss_sentence_and_the_command_that_allows_it(room: Access) -> None:
    make(room)
    sentence, _, command = refusal(room).message.partition(". To allow it: ")
    assert sentence == (
        f"User: {SESSION} is not authorized to perform: {RECOMMEND} on resource: {CAMPAIGN} "
        f"because no identity-based policy allows the {RECOMMEND} action"
    )
    words = shlex.split(command)
    assert words[:3] == ["aws", "iam", "put-role-policy"]
    given = dict(zip(words[3::2], words[4::2], strict=True))
    roles.put_role_policy(
        room, ACCOUNT, given["--role-name"], given["--policy-name"], given["--policy-document"]
    )
    assert may(room)
    assert not may(room, resource=CAMPAIGN + "2")


def test_the_command_overwrites_no_policy_of_the_role(room: Access) -> None:
    make(room)
    for number, name in enumerate(("allow-personalize-GetRecommendations", "another"), 1):
        command = refusal(room).message
        assert ("GetRecommendations-2 " in command) is (number == 2)
        roles.put_role_policy(room, ACCOUNT, "worker", name, document(statement("s3:*")))


def test_the_refusal_names_the_statement_that_denies(room: Access) -> None:
    make(room, statement(), statement(Effect="Deny", Sid="Never"))
    said = refusal(room).message
    assert (
        "with an explicit deny in an identity-based policy: statement Never of policy own" in said
    )
    assert said.endswith("aws iam delete-role-policy --role-name worker --policy-name own")


def test_the_refusal_of_a_missing_role_makes_it_first(room: Access) -> None:
    room.settings = room.settings.replace(functions_unknown_role="deny")
    said = refusal(room).message
    assert "role worker was never made here" in said
    assert "aws iam create-role --role-name worker" in said
    assert "aws iam put-role-policy --role-name worker" in said
