"""The control plane of AWS Lambda over the wire: every operation by the real boto3, statuses,
shapes, waiters and the refusals' own words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tailorbird.gateway.aws_lambda import OPERATIONS
from tests import aws
from tests.conftest import ROOT, Server, wait_for

ACCOUNT = aws.ACCOUNT
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:"
LAYER = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:"
CODE = aws.zipped({"main.py": "def handler(event, context): return context.function_version"})
MUST = (
    "CreateFunction",
    "GetFunction",
    "GetFunctionConfiguration",
    "ListFunctions",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
    "DeleteFunction",
    "Invoke",
    "AddPermission",
    "RemovePermission",
    "GetPolicy",
    "PublishLayerVersion",
    "GetLayerVersion",
    "GetLayerVersionByArn",
    "ListLayers",
    "ListLayerVersions",
    "DeleteLayerVersion",
    "PublishVersion",
    "ListVersionsByFunction",
    "CreateAlias",
    "GetAlias",
    "ListAliases",
    "UpdateAlias",
    "DeleteAlias",
    "PutFunctionConcurrency",
    "GetFunctionConcurrency",
    "DeleteFunctionConcurrency",
    "TagResource",
    "UntagResource",
    "ListTags",
    "GetAccountSettings",
    "PutFunctionEventInvokeConfig",
    "GetFunctionEventInvokeConfig",
)
EXPECTED = (
    "UpdateFunctionEventInvokeConfig",
    "DeleteFunctionEventInvokeConfig",
    "ListFunctionEventInvokeConfigs",
    "InvokeAsync",
    "AddLayerVersionPermission",
    "RemoveLayerVersionPermission",
    "GetLayerVersionPolicy",
    "GetResourcePolicy",
    "PutResourcePolicy",
    "DeleteResourcePolicy",
    "GetRuntimeManagementConfig",
    "PutRuntimeManagementConfig",
    "GetFunctionRecursionConfig",
)


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client("lambda")


@pytest.fixture(scope="module")
def hook(client: Any) -> str:
    """A function with version 1 and the alias `live` on it."""
    return make(client, "control")


def make(client: Any, name: str) -> str:
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=aws.LAMBDA_ROLE,
        Handler="main.handler",
        Code={"ZipFile": CODE},
        Publish=True,
    )
    client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="1")
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name


def status(answer: dict[str, Any]) -> int:
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def refusal(call: Callable[..., Any], **members: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refused:
        call(**members)
    said = refused.value.response
    return status(said), said["Error"]["Code"], said["Error"]["Message"]


def test_the_46_operations_are_served() -> None:
    assert (len(MUST), len(EXPECTED)) == (33, 13)
    assert {*MUST, *EXPECTED} <= set(OPERATIONS)


def test_versions_and_aliases(client: Any, hook: str) -> None:
    published = client.publish_version(FunctionName=hook)
    assert (status(published), published["Version"]) == (201, "1")
    listed = client.list_versions_by_function(FunctionName=hook)
    assert [v["FunctionArn"] for v in listed["Versions"]] == [
        f"{FUNCTION}{hook}:$LATEST",
        f"{FUNCTION}{hook}:1",
    ]
    made = client.create_alias(
        FunctionName=hook, Name="test", FunctionVersion="$LATEST", Description="trial"
    )
    assert (status(made), made["AliasArn"]) == (201, f"{FUNCTION}{hook}:test")
    assert client.get_alias(FunctionName=hook, Name="test")["Description"] == "trial"
    changed = client.update_alias(
        FunctionName=hook, Name="test", FunctionVersion="1", RevisionId=made["RevisionId"]
    )
    assert changed["FunctionVersion"] == "1"
    names = [a["Name"] for a in client.list_aliases(FunctionName=hook)["Aliases"]]
    assert names == ["live", "test"]
    assert status(client.delete_alias(FunctionName=hook, Name="test")) == 204


def test_paginators_walk_through_every_page(client: Any, hook: str) -> None:
    for number in range(3):
        code = aws.zipped({"main.py": f"def handler(event, context): return {number}"})
        make_version = {"FunctionName": "pages", "ZipFile": code, "Publish": True}
        if number == 0:
            make(client, "pages")
        client.update_function_code(**make_version)
    pages = client.get_paginator("list_versions_by_function").paginate(
        FunctionName="pages", PaginationConfig={"PageSize": 2}
    )
    found = [[v["Version"] for v in page["Versions"]] for page in pages]
    assert found == [["$LATEST", "1"], ["2", "3"], ["4"]]


@pytest.mark.parametrize("qualifier", ["1", "live", "$LATEST"])
def test_a_qualifier_is_invoked_and_the_executed_version_said(
    client: Any, hook: str, qualifier: str
) -> None:
    expected = "$LATEST" if qualifier == "$LATEST" else "1"
    for members in (
        {"FunctionName": hook, "Qualifier": qualifier},
        {"FunctionName": f"{hook}:{qualifier}"},
        {"FunctionName": f"{ACCOUNT}:function:{hook}:{qualifier}"},
        {"FunctionName": f"{FUNCTION}{hook}:{qualifier}"},
    ):
        answer = client.invoke(**members)
        assert answer["ExecutedVersion"] == expected
        assert json.loads(answer["Payload"].read()) == expected


def test_layers(client: Any) -> None:
    content = aws.zipped({"python/shared.py": "VALUE = 'from the layer'"})
    made = client.publish_layer_version(
        LayerName="shared",
        Content={"ZipFile": content},
        CompatibleRuntimes=["python3.12"],
        LicenseInfo="MIT",
    )
    assert (status(made), made["LayerVersionArn"]) == (201, f"{LAYER}shared:1")
    arn = made["LayerVersionArn"]
    assert client.get_layer_version(LayerName="shared", VersionNumber=1)["LicenseInfo"] == "MIT"
    assert client.get_layer_version_by_arn(Arn=arn)["Content"]["CodeSize"] == len(content)
    assert "shared" in [each["LayerName"] for each in client.list_layers()["Layers"]]
    versions = client.list_layer_versions(LayerName="shared")["LayerVersions"]
    assert [each["Version"] for each in versions] == [1]
    granted = client.add_layer_version_permission(
        LayerName="shared",
        VersionNumber=1,
        StatementId="all",
        Action="lambda:GetLayerVersion",
        Principal="*",
    )
    assert (status(granted), json.loads(granted["Statement"])["Resource"]) == (201, arn)
    policy = client.get_layer_version_policy(LayerName="shared", VersionNumber=1)
    assert [s["Sid"] for s in json.loads(policy["Policy"])["Statement"]] == ["all"]
    gone = client.remove_layer_version_permission(
        LayerName="shared", VersionNumber=1, StatementId="all"
    )
    assert status(gone) == 204
    source = "import shared\ndef handler(event, context): return shared.VALUE"
    client.create_function(
        FunctionName="layered",
        Runtime="python3.12",
        Role=aws.LAMBDA_ROLE,
        Handler="main.handler",
        Code={"ZipFile": aws.zipped({"main.py": source})},
        Layers=[arn],
    )
    assert client.invoke(FunctionName="layered")["Payload"].read() == b'"from the layer"'
    assert status(client.delete_layer_version(LayerName="shared", VersionNumber=1)) == 204
    assert client.invoke(FunctionName="layered")["Payload"].read() == b'"from the layer"'


def test_reserved_concurrency(client: Any) -> None:
    name = make(client, "reserved")
    put = client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert put["ReservedConcurrentExecutions"] == 0
    held = client.get_function(FunctionName=name)["Concurrency"]
    assert held == {"ReservedConcurrentExecutions": 0}
    with pytest.raises(client.exceptions.TooManyRequestsException) as refused:
        client.invoke(FunctionName=name)
    said = refused.value.response
    assert (status(said), said["Error"]["Message"], said["Reason"]) == (
        429,
        "Rate Exceeded.",
        "ReservedFunctionConcurrentInvocationLimitExceeded",
    )
    assert status(client.delete_function_concurrency(FunctionName=name)) == 204
    assert client.invoke(FunctionName=name)["StatusCode"] == 200
    held = client.get_function_concurrency(FunctionName=name)
    assert "ReservedConcurrentExecutions" not in held


def test_event_invoke_configs(client: Any, hook: str) -> None:
    put = client.put_function_event_invoke_config(FunctionName=hook, MaximumRetryAttempts=0)
    assert put["FunctionArn"] == f"{FUNCTION}{hook}:$LATEST"
    assert put["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    client.update_function_event_invoke_config(FunctionName=hook, MaximumEventAgeInSeconds=60)
    read = client.get_function_event_invoke_config(FunctionName=hook)
    assert (read["MaximumRetryAttempts"], read["MaximumEventAgeInSeconds"]) == (0, 60)
    assert read["LastModified"].year >= 2026
    listed = client.list_function_event_invoke_configs(FunctionName=hook)
    assert len(listed["FunctionEventInvokeConfigs"]) == 1
    assert status(client.delete_function_event_invoke_config(FunctionName=hook)) == 204


def test_a_failed_event_ends_in_the_bucket_that_was_named(server: Server, client: Any) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="failed-events")
    aws.python_function(server, "failing", "def handler(event, context): raise ValueError('no')")
    bucket = {"OnFailure": {"Destination": "arn:aws:s3:::failed-events"}}
    client.put_function_event_invoke_config(
        FunctionName="failing", MaximumRetryAttempts=0, DestinationConfig=bucket
    )
    client.invoke(FunctionName="failing", InvocationType="Event", Payload=b'{"n": 1}')

    def written() -> Any:
        return s3.list_objects_v2(Bucket="failed-events").get("Contents")

    [item] = wait_for(written)
    assert item["Key"].startswith("aws/lambda/async/failing/")
    record = json.loads(s3.get_object(Bucket="failed-events", Key=item["Key"])["Body"].read())
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestPayload"] == {"n": 1}
    assert record["responsePayload"]["errorMessage"] == "no"


def test_tags(client: Any, hook: str) -> None:
    arn = FUNCTION + hook
    assert status(client.tag_resource(Resource=arn, Tags={"team": "shop", "a": "b"})) == 204
    assert status(client.untag_resource(Resource=arn, TagKeys=["a"])) == 204
    assert client.list_tags(Resource=arn)["Tags"] == {"team": "shop"}


def test_whole_policies_and_their_deny(client: Any, hook: str) -> None:
    arn = f"{FUNCTION}{hook}:live"
    deny = {
        "Sid": "no",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "lambda:InvokeFunction",
        "Resource": arn,
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    made = client.put_resource_policy(ResourceArn=arn, Policy=document)
    read = client.get_resource_policy(ResourceArn=arn)
    assert (read["RevisionId"], json.loads(read["Policy"])["Statement"]) == (
        made["RevisionId"],
        [deny],
    )
    said = refusal(client.invoke, FunctionName=arn)
    assert said[:2] == (403, "AccessDeniedException")
    assert "explicit deny in a resource-based policy" in said[2]
    assert client.invoke(FunctionName=hook)["StatusCode"] == 200
    assert status(client.delete_resource_policy(ResourceArn=arn)) == 204
    assert client.invoke(FunctionName=arn)["StatusCode"] == 200


def test_runtime_management_recursion_and_account(client: Any, hook: str) -> None:
    put = client.put_runtime_management_config(FunctionName=hook, UpdateRuntimeOn="FunctionUpdate")
    assert (status(put), put["FunctionArn"]) == (200, f"{FUNCTION}{hook}:$LATEST")
    read = client.get_runtime_management_config(FunctionName=hook)
    assert read["UpdateRuntimeOn"] == "FunctionUpdate"
    assert client.get_function_recursion_config(FunctionName=hook)["RecursiveLoop"] == "Terminate"
    settings = client.get_account_settings()
    assert settings["AccountLimit"]["ConcurrentExecutions"] == 1000
    assert settings["AccountUsage"]["FunctionCount"] >= 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nothing_is_replicated_from_another_region(client: Any, hook: str) -> None:
    assert client.list_functions(MasterRegion="us-east-1", FunctionVersion="ALL")["Functions"] == []


def test_tenants_and_durable_executions_are_refused_by_name(client: Any, hook: str) -> None:
    assert refusal(client.invoke, FunctionName=hook, TenantId="ana")[:2] == (501, "NotImplemented")
    refused = refusal(client.invoke, FunctionName=hook, DurableExecutionName="d")
    assert "DurableExecutionName" in refused[2]


def test_no_function_has_code_signing(client: Any, hook: str) -> None:
    """Terraform asks it of every function it has made."""
    assert client.get_function_code_signing_config(FunctionName=hook)["FunctionName"] == hook
    refused = refusal(client.get_function_code_signing_config, FunctionName="nobody")
    assert refused[:2] == (404, "ResourceNotFoundException")


def test_the_older_asynchronous_invocation(client: Any, hook: str) -> None:
    for event in (b"{}", b""):
        answer = client.invoke_async(FunctionName=hook, InvokeArgs=event)
        assert (status(answer), answer["Status"]) == (202, 202)


def test_a_version_is_deleted_alone(client: Any) -> None:
    name = make(client, "parts")
    said = refusal(client.delete_function, FunctionName=name, Qualifier="1")
    assert said[:2] == (409, "ResourceConflictException")
    client.delete_alias(FunctionName=name, Name="live")
    client.delete_function(FunctionName=name, Qualifier="1")
    assert refusal(client.get_function, FunctionName=name, Qualifier="1") == (
        404,
        "ResourceNotFoundException",
        f"Function not found: {FUNCTION}{name}:1",
    )


GONE = "The resource you requested does not exist."
REFUSALS: dict[str, tuple[str, dict[str, Any], tuple[int, str, str]]] = {
    "an unknown alias": (
        "get_alias",
        {"Name": "none"},
        (404, "ResourceNotFoundException", f"Cannot find alias arn: {FUNCTION}control:none"),
    ),
    "an alias of a version that is not there": (
        "create_alias",
        {"Name": "new", "FunctionVersion": "99"},
        (404, "ResourceNotFoundException", f"Function not found: {FUNCTION}control:99"),
    ),
    "an alias twice": (
        "create_alias",
        {"Name": "live", "FunctionVersion": "1"},
        (409, "ResourceConflictException", f"Alias already exists: {FUNCTION}control:live"),
    ),
    "an alias of digits": (
        "create_alias",
        {"Name": "7", "FunctionVersion": "1"},
        (400, "ValidationException", "Value '7' at 'name' failed to satisfy constraint"),
    ),
    "a weight over one": (
        "create_alias",
        {
            "Name": "new",
            "FunctionVersion": "1",
            "RoutingConfig": {"AdditionalVersionWeights": {"1": 1.5}},
        },
        (400, "ValidationException", "less than or equal to 1"),
    ),
    "a stale revision": (
        "publish_version",
        {"RevisionId": "old"},
        (412, "PreconditionFailedException", "Call the GetFunction/GetAlias API"),
    ),
    "another digest": (
        "publish_version",
        {"CodeSha256": "other"},
        (400, "InvalidParameterValueException", "is different from current CodeSHA256 in $LATEST"),
    ),
    "three retries": (
        "put_function_event_invoke_config",
        {"MaximumRetryAttempts": 3},
        (400, "ValidationException", "less than or equal to 2"),
    ),
    "an age of 59 s": (
        "put_function_event_invoke_config",
        {"MaximumEventAgeInSeconds": 59},
        (400, "ValidationException", "greater than or equal to 60"),
    ),
    "an age over six hours": (
        "put_function_event_invoke_config",
        {"MaximumEventAgeInSeconds": 21_601},
        (400, "ValidationException", "less than or equal to 21600"),
    ),
    "no rules": (
        "get_function_event_invoke_config",
        {"Qualifier": "live"},
        (404, "ResourceNotFoundException", "doesn't have an EventInvokeConfig"),
    ),
    "a queue as destination": (
        "put_function_event_invoke_config",
        {
            "DestinationConfig": {
                "OnFailure": {"Destination": f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"}
            }
        },
        (501, "NotImplemented", "OnFailure to sqs"),
    ),
    "less than 100 left": (
        "put_function_concurrency",
        {"ReservedConcurrentExecutions": 901},
        (400, "InvalidParameterValueException", "below its minimum value of [100]"),
    ),
    "reserved below zero": (
        "put_function_concurrency",
        {"ReservedConcurrentExecutions": -1},
        (400, "ValidationException", "greater than or equal to 0"),
    ),
    "a policy on $LATEST": (
        "add_permission",
        {
            "StatementId": "s",
            "Action": "lambda:InvokeFunction",
            "Principal": "*",
            "Qualifier": "$LATEST",
        },
        (
            400,
            "InvalidParameterValueException",
            "We currently do not support adding policies for $LATEST.",
        ),
    ),
    "no policy": ("get_policy", {"Qualifier": "1"}, (404, "ResourceNotFoundException", GONE)),
    "a description of 257": (
        "update_function_configuration",
        {"Description": "d" * 257},
        (400, "ValidationException", "length less than or equal to 256"),
    ),
    "a handler of 129": (
        "update_function_configuration",
        {"Handler": "h" * 129},
        (400, "ValidationException", "length less than or equal to 128"),
    ),
    "a handler with a space": (
        "update_function_configuration",
        {"Handler": "my handler"},
        (400, "ValidationException", "Value 'my handler' at 'handler' failed to satisfy"),
    ),
    "a variable that begins with a digit": (
        "update_function_configuration",
        {"Environment": {"Variables": {"1st": "x"}}},
        (400, "ValidationException", "failed to satisfy constraint"),
    ),
    "a role that is no role": (
        "update_function_configuration",
        {"Role": "arn:aws:iam::1:user/ana"},
        (400, "ValidationException", "failed to satisfy constraint"),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_in_lambdas_words(server: Server, hook: str, case: str) -> None:
    operation, members, expected = REFUSALS[case]
    unchecked = server.client("lambda", parameter_validation=False)
    said = refusal(getattr(unchecked, operation), FunctionName=hook, **members)
    assert said[:2] == expected[:2]
    assert expected[2] in said[2]


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("get_layer_version", {"LayerName": "none", "VersionNumber": 1}),
        ("get_layer_version_by_arn", {"Arn": f"{LAYER}none:1"}),
        ("get_layer_version_policy", {"LayerName": "none", "VersionNumber": 1}),
    ],
)
def test_a_layer_version_that_is_not_there(client: Any, operation: str, members: dict) -> None:
    assert refusal(getattr(client, operation), **members) == (
        404,
        "ResourceNotFoundException",
        GONE,
    )


def test_the_command_line_publishes_and_points(server: Server, client: Any, hook: str) -> None:
    def cli(*words: str) -> Any:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("aws")), "lambda", *words],
            env=server.cli_environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    made = cli(
        *("create-alias", "--function-name", hook, "--name", "cli", "--function-version", "1"),
        *("--routing-config", "AdditionalVersionWeights={}"),
    )
    assert made["AliasArn"] == f"{FUNCTION}{hook}:cli"
    cli("wait", "published-version-active", "--function-name", hook, "--qualifier", "1")
    cli("delete-alias", "--function-name", hook, "--name", "cli")
    settings = cli("get-account-settings")
    assert settings["AccountLimit"]["CodeSizeZipped"] == 52_428_800


def test_the_commands_of_the_page_on_versions_and_layers_work_as_written(
    server: Server, client: Any, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "functions.md").read_text()
    section = page.partition("## Versions, aliases, layers")[2].partition("\n## ")[0]
    lines = [line for line in section.replace("\\\n", " ").splitlines() if line.startswith("    ")]
    assert len(lines) == 7
    first = aws.zipped({"main.py": "def handler(event, context): return 1"})
    aws.create_function(server, "credit-score", first, "main.handler")
    (tmp_path / "code.zip").write_bytes(CODE)
    (tmp_path / "tools.zip").write_bytes(aws.zipped({"python/tools.py": ""}))
    folder = str(Path(sys.executable).parent)
    environment = server.cli_environment()
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    for line in lines:
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (line, done.stderr)
    assert (tmp_path / "out.json").read_text() == "1"
    alias = client.get_alias(FunctionName="credit-score", Name="live")
    assert alias["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.1}}
    settled = client.get_function_configuration(FunctionName="credit-score")
    assert [layer["Arn"] for layer in settled["Layers"]] == [f"{LAYER}tools:1"]
