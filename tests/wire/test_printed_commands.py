"""A refusal prints a command: run as it is printed, it lets the next call pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tailorbird import settings as settings_module
from tailorbird.access import Access
from tailorbird.errors import Denied
from tailorbird.functions import Functions, names, permissions, resolve
from tailorbird.functions.callers import RoleCaller, ServiceCaller
from tailorbird.store import Database
from tests import aws
from tests.conftest import Server
from tests.unit.functions.conftest import open_workshop

ACCOUNT, REGION = aws.ACCOUNT, "us-east-1"
CAMPAIGN = f"arn:aws:mobiletargeting:{REGION}:{ACCOUNT}:apps/a1/campaigns/c1"
CALLERS = {
    "Pinpoint of the region": ServiceCaller("pinpoint.us-east-1.amazonaws.com", CAMPAIGN, ACCOUNT),
    "Pinpoint of all regions": ServiceCaller("pinpoint.amazonaws.com", CAMPAIGN),
    "a service without a resource": ServiceCaller("s3.amazonaws.com"),
    "Segment with an external id": RoleCaller(f"arn:aws:iam::{ACCOUNT}:role/s-NEW", "it's $5 ok"),
    "Segment without one": RoleCaller(f"arn:aws:iam::{ACCOUNT}:role/s-NEW"),
    "a role with a path": RoleCaller(f"arn:aws:iam::{ACCOUNT}:role/of/segment/s-NEW", "ws"),
}


@pytest.fixture(scope="module")
def house(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Functions]:
    """The server's own database, seen by another process of the house."""
    folder = tmp_path_factory.mktemp("seen")
    settings = settings_module.load({"data": server.data}, environment={}, folder=folder)
    db = Database(settings.database())
    yield open_workshop(db, settings)
    db.close()


@pytest.fixture
def name(server: Server) -> str:
    made = f"f-{uuid.uuid4().hex[:8]}"
    aws.python_function(server, made, "def handler(event, context): return 1")
    client = server.client("lambda")
    client.publish_version(FunctionName=made)
    client.create_alias(FunctionName=made, Name="live", FunctionVersion="1")
    return made


def run(server: Server, command: str) -> None:
    environment = server.cli_environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["/bin/sh", "-ec", command], env=environment, check=True, capture_output=True)


def allow_by_what_is_printed(server: Server, room: Functions, name: str, caller: Any) -> int:
    """Ask, and run what the refusal says, until there is none; how many commands that took."""
    ref = names.parse(name, ACCOUNT, REGION)
    for count in range(4):
        room.known.clear()
        room.access = Access(room.db, room.clock, room.settings)  # it remembers for a second
        _, policy = resolve.resolve(room, ref)
        try:
            permissions.check(room, ref, policy, caller)
        except Denied as refused:
            said, _, command = refused.message.partition("To allow it: ")
            assert command, said
            run(server, command)
            continue
        return count
    raise AssertionError("the printed commands do not allow it")


@pytest.mark.parametrize("qualifier", ["", ":live"])
@pytest.mark.parametrize("case", CALLERS)
def test_the_printed_commands_let_the_next_call_pass(
    server: Server, house: Functions, name: str, case: str, qualifier: str
) -> None:
    caller = CALLERS[case]
    if isinstance(caller, RoleCaller):
        fresh = caller.role_arn.replace("NEW", uuid.uuid4().hex[:6])
        caller = RoleCaller(fresh, caller.external_id, caller.principal)
    commands = allow_by_what_is_printed(server, house, name + qualifier, caller)
    assert commands == (2 if isinstance(caller, RoleCaller) else 1)


def test_a_second_statement_of_the_same_service_has_a_name_of_its_own(
    server: Server, house: Functions, name: str
) -> None:
    first = ServiceCaller("pinpoint.us-east-1.amazonaws.com", CAMPAIGN, ACCOUNT)
    allow_by_what_is_printed(server, house, name, first)
    second = ServiceCaller("pinpoint.eu-west-1.amazonaws.com", CAMPAIGN, ACCOUNT)
    assert allow_by_what_is_printed(server, house, name, second) == 1


def test_whom_a_role_trusts_already_it_trusts_afterwards(
    server: Server, house: Functions, name: str
) -> None:
    iam, role = server.client("iam"), f"r-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
             "Action": "sts:AssumeRole"}  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)
    caller = RoleCaller(f"arn:aws:iam::{ACCOUNT}:role/{role}", "ws")
    assert allow_by_what_is_printed(server, house, name, caller) == 2
    now = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust in now and len(now) == 2


def test_assume_role_prints_who_must_be_trusted(server: Server) -> None:
    iam, sts, role = server.client("iam"), server.client("sts"), f"r-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"},
             "Action": "sts:AssumeRole"}  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    asked = {"RoleArn": arn, "RoleSessionName": "ana", "ExternalId": "e1"}
    with pytest.raises(ClientError) as refused:
        sts.assume_role(**asked)
    said = refused.value.response["Error"]["Message"]
    run(server, said.partition("To allow it: ")[2])
    assert sts.assume_role(**asked)["Credentials"]["SessionToken"]
