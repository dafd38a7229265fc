"""Temporary keys may what their role may, in every service, and are told what is missing."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests import aws
from tests.conftest import Server, wait_for

ROOT = f"arn:aws:iam::{aws.ACCOUNT}:root"
APP = "0123456789abcdef0123456789abcdef"
PERSONALIZE = f"arn:aws:personalize:us-east-1:{aws.ACCOUNT}:"


def trust(**principal: str) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Role:
    """A role of the test, and boto3 as a session of it."""

    def __init__(self, server: Server) -> None:
        self.server, self.name = server, f"role-{uuid.uuid4().hex[:8]}"
        self.iam = server.client("iam")
        made = self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=trust(AWS=ROOT))
        self.arn = made["Role"]["Arn"]
        keys = server.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="night")
        self.keys = keys["Credentials"]
        self.principal = keys["AssumedRoleUser"]["Arn"]

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.server.url,
            region_name="us-east-1",
            aws_access_key_id=self.keys["AccessKeyId"],
            aws_secret_access_key=self.keys["SecretAccessKey"],
            aws_session_token=self.keys["SessionToken"],
        )

    def allow(self, action: str, resource: str = "*", effect: str = "Allow") -> None:
        statement = {"Effect": effect, "Action": action, "Resource": resource}
        self.iam.put_role_policy(
            RoleName=self.name,
            PolicyName=uuid.uuid4().hex,
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )


@pytest.fixture
def role(server: Server) -> Role:
    return Role(server)


def refused(call: Callable[[], Any]) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as raised:
        call()
    said = raised.value.response
    return (
        said["Error"]["Code"],
        said["ResponseMetadata"]["HTTPStatusCode"],
        said["Error"]["Message"],
    )


# service, operation, request, code and status of the refusal, action, resource
REFUSALS: list[tuple[str, str, dict[str, Any], str, int, str, str]] = [
    (
        "pinpoint",
        "get_app",
        {"ApplicationId": APP},
        "AccessDeniedException",
        403,
        "mobiletargeting:GetApp",
        f"arn:aws:mobiletargeting:us-east-1:{aws.ACCOUNT}:apps/{APP}",
    ),
    (
        "personalize",
        "list_schemas",
        {},
        "AccessDeniedException",
        400,
        "personalize:ListSchemas",
        "*",
    ),
    (
        "personalize-runtime",
        "get_recommendations",
        {"campaignArn": PERSONALIZE + "campaign/c", "userId": "u"},
        "AccessDeniedException",
        403,
        "personalize:GetRecommendations",
        PERSONALIZE + "campaign/c",
    ),
    (
        "personalize-events",
        "put_events",
        {
            "trackingId": "t",
            "sessionId": "s",
            "eventList": [{"eventType": "e", "sentAt": 1}],
        },
        "AccessDeniedException",
        403,
        "personalize:PutEvents",
        "*",
    ),
    (
        "lambda",
        "list_functions",
        {},
        "AccessDeniedException",
        403,
        "lambda:ListFunctions",
        "*",
    ),
    (
        "lambda",
        "get_function",
        {"FunctionName": "f"},
        "AccessDeniedException",
        403,
        "lambda:GetFunction",
        f"arn:aws:lambda:us-east-1:{aws.ACCOUNT}:function:f",
    ),
    (
        "logs",
        "describe_log_groups",
        {},
        "AccessDeniedException",
        400,
        "logs:DescribeLogGroups",
        f"arn:aws:logs:us-east-1:{aws.ACCOUNT}:log-group::log-stream:",
    ),
    (
        "iam",
        "get_role",
        {"RoleName": "other"},
        "AccessDenied",
        403,
        "iam:GetRole",
        f"arn:aws:iam::{aws.ACCOUNT}:role/other",
    ),
    (
        "sts",
        "get_access_key_info",
        {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"},
        "AccessDenied",
        403,
        "sts:GetAccessKeyInfo",
        "*",
    ),
    (
        "s3",
        "get_object",
        {"Bucket": "shop", "Key": "k"},
        "AccessDenied",
        403,
        "s3:GetObject",
        "arn:aws:s3:::shop/k",
    ),
]


@pytest.mark.parametrize(
    ("service", "operation", "request_", "code", "status", "action", "resource"), REFUSALS
)
def test_without_a_policy_every_service_refuses_in_its_own_words(
    role: Role,
    service: str,
    operation: str,
    request_: dict[str, Any],
    code: str,
    status: int,
    action: str,
    resource: str,
) -> None:
    call = getattr(role.client(service), operation)
    said = refused(lambda: call(**request_))
    assert said[:2] == (code, status)
    assert said[2].startswith(
        f"User: {role.principal} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action. To allow it: "
    )


def test_the_command_of_the_refusal_allows_it(role: Role, server: Server) -> None:
    bucket = f"b-{uuid.uuid4().hex[:8]}"
    server.client("s3").create_bucket(Bucket=bucket)
    pinpoint = role.client("pinpoint")
    command = refused(lambda: pinpoint.get_apps())[2].partition("To allow it: ")[2]
    words = [str(Path(sys.executable).with_name("aws")), *shlex.split(command)[1:]]
    subprocess.run(words, env=server.cli_environment(), check=True)
    assert "Item" in pinpoint.get_apps()["ApplicationsResponse"]
    assert refused(lambda: role.client("s3").list_objects_v2(Bucket=bucket))[0] == "AccessDenied"


def test_an_explicit_deny_wins(role: Role) -> None:
    role.allow("*")
    logs = role.client("logs")
    logs.describe_log_groups()
    role.allow("logs:Describe*", effect="Deny")
    code, _, message = refused(lambda: logs.describe_log_groups())
    assert code == "AccessDeniedException"
    assert "with an explicit deny in an identity-based policy" in message
    assert "aws iam delete-role-policy" in message


def test_everybody_may_ask_who_they_are(role: Role) -> None:
    assert role.client("sts").get_caller_identity()["Arn"] == role.principal


def test_a_session_takes_on_another_role_when_its_own_allows_it(role: Role) -> None:
    name = f"{role.name}-2"
    other = role.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(AWS=ROOT))["Role"]
    take = lambda: role.client("sts").assume_role(  # noqa: E731
        RoleArn=other["Arn"], RoleSessionName="deeper"
    )
    assert refused(take)[0] == "AccessDenied"
    role.allow("sts:AssumeRole", other["Arn"])
    assert take()["AssumedRoleUser"]["Arn"].endswith(f"assumed-role/{name}/deeper")


SOURCE = """
import boto3
from botocore.exceptions import ClientError
def handler(event, context):
    who = boto3.client("sts").get_caller_identity()["Arn"]
    try:
        boto3.client("pinpoint").get_apps()
    except ClientError as error:
        return [who, error.response["Error"]["Code"]]
    return [who, "ok"]
"""


def test_a_function_may_what_its_role_may(server: Server) -> None:
    """Its role: never made (the account's rights), then made, allowed, and deleted."""
    name = f"f-{uuid.uuid4().hex[:8]}"
    iam, client = server.client("iam"), server.client("lambda")
    arn = f"arn:aws:iam::{aws.ACCOUNT}:role/{name}"
    aws.python_function(server, name, SOURCE, Role=arn)

    def seen() -> str:
        who, found = json.loads(client.invoke(FunctionName=name)["Payload"].read())
        assert who == f"arn:aws:sts::{aws.ACCOUNT}:assumed-role/{name}/{name}"
        return str(found)

    assert seen() == "ok"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(Service="lambda.amazonaws.com"))
    assert seen() == "AccessDeniedException"
    iam.attach_role_policy(
        RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonPinpointFullAccess"
    )
    assert seen() == "ok"
    iam.detach_role_policy(
        RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonPinpointFullAccess"
    )
    iam.delete_role(RoleName=name)
    assert wait_for(lambda: seen() == "AccessDeniedException", 5)
