"""Roles: who may take them on, and what they may do then."""

import json
from typing import Any

import pytest

from tailorbird import access
from tailorbird.access import SEGMENT_LAMBDA, SEGMENT_PERSONALIZE, Access, managed, roles
from tailorbird.clock import TestClock
from tailorbird.errors import AlreadyExists, Denied, InUse, Invalid, LimitExceeded, NotFound
from tailorbird.settings import Settings
from tailorbird.store import Database

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/segment"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:recommend"
SEGMENT_ROOT = "arn:aws:iam::595280932656:root"


@pytest.fixture
def room(db: Database, settings: Settings) -> Access:
    return Access(db, TestClock(1_800_000_000.0), settings)


def trust(principal: Any, external_id: Any = None) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow(action: str, resource: str = "*") -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


@pytest.mark.parametrize(
    ("listed", "external_id", "principal", "given", "trusted"),
    [
        ({"AWS": SEGMENT_ROOT}, "src", SEGMENT_LAMBDA, "src", True),
        ({"AWS": SEGMENT_ROOT}, "src", SEGMENT_PERSONALIZE, "src", True),
        ({"AWS": SEGMENT_ROOT}, ["one", "src", "two"], SEGMENT_LAMBDA, "src", True),
        ({"AWS": SEGMENT_ROOT}, "src", SEGMENT_LAMBDA, "other", False),
        ({"AWS": SEGMENT_ROOT}, "src", SEGMENT_LAMBDA, None, False),
        ({"AWS": SEGMENT_ROOT}, None, SEGMENT_LAMBDA, None, True),
        ({"AWS": SEGMENT_LAMBDA}, "src", SEGMENT_LAMBDA, "src", True),
        ({"AWS": SEGMENT_LAMBDA}, "src", SEGMENT_PERSONALIZE, "src", False),
        ({"AWS": ACCOUNT}, None, SEGMENT_LAMBDA, None, False),
        ({"Service": "lambda.amazonaws.com"}, None, "lambda.amazonaws.com", None, True),
        ({"Service": "lambda.amazonaws.com"}, None, "personalize.amazonaws.com", None, False),
    ],
)
def test_the_trust_policy_decides_who_takes_the_role_on(
    room: Access, listed: Any, external_id: Any, principal: str, given: str | None, trusted: bool
) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust(listed, external_id))
    assert access.trusts(room, ROLE, principal, external_id=given).allowed is trusted


def test_a_role_allows_what_its_inline_policies_allow(room: Access) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))
    assert not access.role_allows(room, ROLE, "lambda:InvokeFunction", FUNCTION).allowed
    roles.put_role_policy(room, ACCOUNT, "segment", "p", allow("lambda:InvokeFunction", FUNCTION))
    assert access.role_allows(room, ROLE, "lambda:InvokeFunction", FUNCTION).allowed
    assert not access.role_allows(room, ROLE, "lambda:InvokeFunction", FUNCTION + "2").allowed


@pytest.mark.parametrize(
    ("policy_arn", "action", "allowed"),
    [
        ("arn:aws:iam::aws:policy/service-role/AWSLambdaRole", "lambda:InvokeFunction", True),
        ("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "s3:GetObject", True),
        ("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "s3:PutObject", False),
    ],
)
def test_a_role_allows_what_aws_managed_policies_allow(
    room: Access, policy_arn: str, action: str, allowed: bool
) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))
    roles.attach(room, ACCOUNT, "segment", policy_arn)
    assert access.role_allows(room, ROLE, action, FUNCTION).allowed is allowed


def test_the_default_version_of_an_attached_policy_decides(room: Access) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))
    policy = managed.create_policy(room, ACCOUNT, "own", allow("s3:*"))
    roles.attach(room, ACCOUNT, "segment", policy.arn)
    managed.create_version(room, policy.arn, allow("lambda:*"), set_default=True)
    assert access.role_allows(room, ROLE, "lambda:InvokeFunction", FUNCTION).allowed
    assert not access.role_allows(room, ROLE, "s3:GetObject", FUNCTION).allowed


def test_a_session_holds_a_key_that_ends(room: Access) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}, "src"))
    session = access.assume_role(
        room,
        ROLE,
        principal=SEGMENT_LAMBDA,
        external_id="src",
        session_name="deliver",
        duration=900,
    )
    assert session.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/segment/deliver"
    assert access.secret_for(room, session.key.id) == session.key
    assert session.key.expires == room.clock.now() + 900


@pytest.mark.parametrize(
    ("role_arn", "says"),
    [
        (ROLE, "condition StringEquals sts:ExternalId='src' does not hold"),
        (ROLE + "2", "does not exist"),
    ],
)
def test_who_is_not_trusted_hears_why(room: Access, role_arn: str, says: str) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}, "src"))
    with pytest.raises(Denied, match=says) as refused:
        access.assume_role(room, role_arn, principal=SEGMENT_LAMBDA, external_id="wrong")
    assert refused.value.code == "AccessDenied"
    assert "is not authorized to perform: sts:AssumeRole" in refused.value.message


@pytest.mark.parametrize(
    ("duration", "says"),
    [(899, "less than 900"), (3601, "exceeds the MaxSessionDuration")],
)
def test_a_session_lasts_between_its_bounds(room: Access, duration: int, says: str) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))
    with pytest.raises(Invalid, match=says):
        access.assume_role(room, ROLE, principal=SEGMENT_LAMBDA, duration=duration)


def test_a_role_trusting_the_whole_account_needs_the_other_roles_permission(room: Access) -> None:
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    roles.create_role(room, ACCOUNT, "segment", trust(root))
    roles.create_role(room, ACCOUNT, "worker", trust(root))
    worker = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/w"
    with pytest.raises(Denied, match="role worker does not allow it"):
        access.assume_role(room, ROLE, principal=worker)
    roles.put_role_policy(room, ACCOUNT, "worker", "p", allow("sts:AssumeRole", ROLE))
    assert access.assume_role(room, ROLE, principal=worker)


def test_a_role_trusting_another_role_by_name_needs_no_more(room: Access) -> None:
    named = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/worker"}
    roles.create_role(room, ACCOUNT, "segment", trust(named))
    worker = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/w"
    assert access.assume_role(room, ROLE, principal=worker)


def test_a_role_is_made_once(room: Access) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))
    with pytest.raises(AlreadyExists):
        roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))


def test_a_role_goes_when_nothing_hangs_on_it(room: Access) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))
    roles.put_role_policy(room, ACCOUNT, "segment", "p", allow("s3:*"))
    with pytest.raises(InUse):
        roles.delete_role(room, ACCOUNT, "segment")
    roles.delete_role_policy(room, ACCOUNT, "segment", "p")
    roles.attach(room, ACCOUNT, "segment", "arn:aws:iam::aws:policy/AmazonS3FullAccess")
    with pytest.raises(InUse):
        roles.delete_role(room, ACCOUNT, "segment")
    roles.detach(room, ACCOUNT, "segment", "arn:aws:iam::aws:policy/AmazonS3FullAccess")
    roles.delete_role(room, ACCOUNT, "segment")
    with pytest.raises(NotFound):
        roles.get_role(room, ACCOUNT, "segment")


def test_accounts_keep_their_roles_apart(room: Access) -> None:
    roles.create_role(room, "999999999999", "segment", trust({"AWS": SEGMENT_ROOT}))
    assert roles.list_roles(room, ACCOUNT) == []


@pytest.mark.parametrize("policy_arn", ["arn:aws:iam::aws:policy/NoSuch", f"{ROLE}:policy/x"])
def test_an_unknown_policy_cannot_be_attached(room: Access, policy_arn: str) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))
    with pytest.raises(NotFound):
        roles.attach(room, ACCOUNT, "segment", policy_arn)


def test_a_policy_holds_five_versions(room: Access) -> None:
    arn = managed.create_policy(room, ACCOUNT, "own", allow("s3:*")).arn
    for _ in range(4):
        managed.create_version(room, arn, allow("s3:*"), set_default=False)
    with pytest.raises(LimitExceeded):
        managed.create_version(room, arn, allow("s3:*"), set_default=False)
    managed.delete_version(room, arn, 2)
    assert managed.create_version(room, arn, allow("s3:*"), set_default=False) == 6


def test_a_policy_in_use_stays(room: Access) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))
    arn = managed.create_policy(room, ACCOUNT, "own", allow("s3:*")).arn
    roles.attach(room, ACCOUNT, "segment", arn)
    with pytest.raises(InUse, match="role segment has"):
        managed.delete_policy(room, arn)


def test_inline_policies_share_one_quota(room: Access) -> None:
    roles.create_role(room, ACCOUNT, "segment", trust({"AWS": SEGMENT_ROOT}))
    roles.put_role_policy(
        room, ACCOUNT, "segment", "a", allow("s3:*", "arn:aws:s3:::" + "a" * 6000)
    )
    with pytest.raises(LimitExceeded, match="10240"):
        roles.put_role_policy(
            room, ACCOUNT, "segment", "b", allow("s3:*", "arn:aws:s3:::" + "a" * 6000)
        )


def test_a_policy_is_made_once(room: Access) -> None:
    managed.create_policy(room, ACCOUNT, "own", allow("s3:*"))
    with pytest.raises(AlreadyExists):
        managed.create_policy(room, ACCOUNT, "own", allow("s3:*"))
