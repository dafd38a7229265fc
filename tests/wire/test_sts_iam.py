"""Roles and sessions with the real boto3, as the seed's set-up of a destination makes them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
SEGMENT = {"AWS": "arn:aws:iam::595280932656:root"}


def trust(principal: Any, external_id: Any = None) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if external_id:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow(action: str, resource: str = "*") -> str:
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def iam(server: Any) -> Any:
    return server.client("iam")


@pytest.fixture
def sts(server: Any) -> Any:
    return server.client("sts")


@pytest.fixture
def name() -> str:
    return f"role-{uuid.uuid4().hex[:8]}"


def test_a_role_is_made_read_and_listed(iam: Any, name: str) -> None:
    made = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=trust(SEGMENT, ["one", "two"]),
        Description="Segment calls our function",
        Tags=[{"Key": "team", "Value": "shop"}],
    )["Role"]
    role = iam.get_role(RoleName=name)["Role"]
    assert role == made
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/{name}"
    assert role["AssumeRolePolicyDocument"] == json.loads(trust(SEGMENT, ["one", "two"]))
    assert (role["MaxSessionDuration"], role["Path"]) == (3600, "/")
    assert name in [r["RoleName"] for r in iam.list_roles()["Roles"]]
    assert iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "team", "Value": "shop"}]


def test_inline_policies_of_a_role(iam: Any, name: str) -> None:
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(SEGMENT))
    document = allow("lambda:InvokeFunction")
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["p"]
    read = iam.get_role_policy(RoleName=name, PolicyName="p")["PolicyDocument"]
    assert read == json.loads(document)
    assert code_of(lambda: iam.delete_role(RoleName=name)) == "DeleteConflict"
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)
    assert code_of(lambda: iam.get_role(RoleName=name)) == "NoSuchEntity"


def test_managed_policies_of_a_role(iam: Any, name: str) -> None:
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(SEGMENT))
    policy = iam.create_policy(PolicyName=name, PolicyDocument=allow("s3:*"))["Policy"]
    aws = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    for arn in (policy["Arn"], aws):
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert {p["PolicyArn"] for p in attached} == {policy["Arn"], aws}
    assert iam.get_policy(PolicyArn=policy["Arn"])["Policy"]["AttachmentCount"] == 1
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId="v1")["PolicyVersion"]
    assert version["Document"] == json.loads(allow("s3:*"))
    assert code_of(lambda: iam.delete_policy(PolicyArn=policy["Arn"])) == "DeleteConflict"
    for arn in (policy["Arn"], aws):
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    iam.delete_policy(PolicyArn=policy["Arn"])
    assert code_of(lambda: iam.get_policy(PolicyArn=policy["Arn"])) == "NoSuchEntity"


def test_no_role_is_an_instances(iam: Any, name: str) -> None:
    """Terraform asks before it deletes a role."""
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(SEGMENT))
    assert iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.list_instance_profiles_for_role(RoleName="nobody")


def test_lists_come_in_pages(iam: Any) -> None:
    prefix = f"/{uuid.uuid4().hex[:8]}/"
    for number in range(5):
        iam.create_role(
            Path=prefix,
            RoleName=f"{prefix.strip('/')}-{number}",
            AssumeRolePolicyDocument=trust(SEGMENT),
        )
    pages = iam.get_paginator("list_roles").paginate(
        PathPrefix=prefix, PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Roles"]) for page in pages] == [2, 2, 1]


@pytest.mark.parametrize(
    ("operation", "request_", "code"),
    [
        ("create_role", {"AssumeRolePolicyDocument": "{"}, "MalformedPolicyDocument"),
        ("create_role", {"AssumeRolePolicyDocument": allow("s3:*")}, "MalformedPolicyDocument"),
        (
            "create_role",
            {"AssumeRolePolicyDocument": trust(ROOT), "MaxSessionDuration": 43201},
            "ValidationError",
        ),
        ("get_role", {}, "NoSuchEntity"),
        ("get_role_policy", {"PolicyName": "p"}, "NoSuchEntity"),
        (
            "put_role_policy",
            {"PolicyName": "p", "PolicyDocument": allow("s3:*")},
            "NoSuchEntity",
        ),
        (
            "attach_role_policy",
            {"PolicyArn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"},
            "NoSuchEntity",
        ),
    ],
)
def test_what_is_wrong_has_its_code(
    iam: Any, name: str, operation: str, request_: dict[str, Any], code: str
) -> None:
    assert code_of(lambda: getattr(iam, operation)(RoleName=name, **request_)) == code


def test_a_role_made_twice_is_refused(iam: Any, name: str) -> None:
    make = lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(ROOT))  # noqa: E731
    make()
    assert code_of(make) == "EntityAlreadyExists"


def test_the_first_key_is_the_root_of_its_account(sts: Any) -> None:
    said = sts.get_caller_identity()
    assert (said["Account"], said["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")


def test_a_session_acts_under_its_role(server: Any, iam: Any, sts: Any, name: str) -> None:
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(ROOT, "source-1"))["Role"]
    denied = lambda: sts.assume_role(RoleArn=role["Arn"], RoleSessionName="night")  # noqa: E731
    assert code_of(denied) == "AccessDenied"
    given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="night", ExternalId="source-1")
    session = boto3.Session(
        given["Credentials"]["AccessKeyId"],
        given["Credentials"]["SecretAccessKey"],
        given["Credentials"]["SessionToken"],
        region_name="us-east-1",
    )
    said = session.client("sts", endpoint_url=server.url).get_caller_identity()
    assert said["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/night"
    assert said["UserId"] == given["AssumedRoleUser"]["AssumedRoleId"]
    assert given["AssumedRoleUser"]["Arn"] == said["Arn"]


def test_a_session_may_do_in_s3_what_its_role_allows(
    server: Any, iam: Any, sts: Any, name: str
) -> None:
    bucket = f"b-{uuid.uuid4().hex[:12]}"
    server.client("s3").create_bucket(Bucket=bucket)
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(ROOT))["Role"]
    document = allow("s3:PutObject", f"arn:aws:s3:::{bucket}/transformed/*")
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="etl")["Credentials"]
    s3 = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    s3.put_object(Bucket=bucket, Key="transformed/a.csv", Body=b"x")
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="transformed/a.csv")) == "AccessDenied"
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="raw/a", Body=b"x")) == "AccessDenied"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/none"}, "AccessDenied"),
        ({"RoleArn": "arn:aws:iam::12:role/none/x"}, "ValidationError"),
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/none", "Policy": "{}"}, "NotImplemented"),
    ],
)
def test_sessions_that_cannot_be(sts: Any, request_: dict[str, Any], code: str) -> None:
    assert code_of(lambda: sts.assume_role(RoleSessionName="night", **request_)) == code


def test_a_wrong_key_is_refused(server: Any) -> None:
    sts = server.client("sts", access_key="AKIAUNKNOWN")
    assert code_of(sts.get_caller_identity) == "InvalidClientTokenId"


SIMULATED: list[tuple[list[str], list[dict[str, Any]], list[str]]] = [
    (["s3:GetObject"], [], ["allowed"]),
    (["s3:PutObject", "s3:DeleteObject"], [], ["implicitDeny", "explicitDeny"]),
    (["lambda:InvokeFunction"], [], ["implicitDeny"]),
    (
        ["lambda:InvokeFunction"],
        [
            {
                "ContextKeyName": "aws:RequestedRegion",
                "ContextKeyValues": ["us-east-1"],
                "ContextKeyType": "string",
            }
        ],
        ["allowed"],
    ),
]


@pytest.mark.parametrize(("actions", "context", "decisions"), SIMULATED)
def test_the_policy_simulator_says_what_a_call_would_hear(
    iam: Any, name: str, actions: list[str], context: list[dict[str, Any]], decisions: list[str]
) -> None:
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(ROOT))["Role"]["Arn"]
    statements = [
        {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": "lambda:*",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
        },
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    answers = [
        iam.simulate_principal_policy(
            PolicySourceArn=role, ActionNames=actions, ContextEntries=context
        ),
        iam.simulate_custom_policy(
            PolicyInputList=[document], ActionNames=actions, ContextEntries=context
        ),
    ]
    for answer, policy in zip(answers, ("own", "PolicyInputList.1"), strict=True):
        results = answer["EvaluationResults"]
        assert [r["EvalDecision"] for r in results] == decisions
        matched = {s["SourcePolicyId"] for r in results for s in r["MatchedStatements"]}
        assert matched <= {policy}
        assert results[0]["MissingContextValues"] == ([] if context else ["aws:RequestedRegion"])


def test_the_policy_simulator_knows_only_roles(iam: Any) -> None:
    call = lambda: iam.simulate_principal_policy(  # noqa: E731
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/none", ActionNames=["s3:GetObject"]
    )
    assert code_of(call) == "NoSuchEntity"
