"""The role of a function: whether it must be there, and whose session its keys are."""

from __future__ import annotations

import json

import pytest

from tailorbird.access import roles
from tailorbird.errors import Denied, Invalid
from tailorbird.functions import Functions
from tailorbird.functions.credentials import Credentials, check_role
from tailorbird.functions.names import FunctionRef
from tests.unit.functions.conftest import ACCOUNT, ROLE

REF = FunctionRef(ACCOUNT, "us-east-1", "hook")
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/functions/hook"


def make(room: Functions, service: str = "lambda.amazonaws.com") -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    roles.create_role(room.access, ACCOUNT, "functions", trust)


def test_a_role_never_made_is_good_enough_unless_the_setting_says_otherwise(room: Functions):
    check_role(room, ROLE)
    room.access.settings = room.settings = room.settings.replace(functions_unknown_role="deny")
    with pytest.raises(Invalid, match="aws iam create-role --role-name functions"):
        check_role(room, ROLE)
    make(room)
    check_role(room, ROLE)


def test_a_role_that_was_deleted_is_not_good_enough(room: Functions):
    make(room)
    roles.delete_role(room.access, ACCOUNT, "functions")
    with pytest.raises(Invalid, match="cannot be assumed by Lambda"):
        check_role(room, ROLE)


def test_a_role_must_trust_lambda(room: Functions):
    make(room, "glue.amazonaws.com")
    with pytest.raises(Invalid, match=r"does not name lambda\.amazonaws\.com"):
        check_role(room, ROLE)
    with pytest.raises(Denied, match="hook gets no credentials"):
        Credentials(room).key(REF, ROLE)


@pytest.mark.parametrize("made", [True, False])
def test_a_functions_keys_are_a_session_of_its_role(room: Functions, made: bool):
    if made:
        make(room)
    key = Credentials(room).key(REF, ROLE)
    assert (key.principal, key.account) == (SESSION, ACCOUNT)
    assert key.session_token
