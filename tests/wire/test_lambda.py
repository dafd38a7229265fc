"""AWS Lambda over the wire: the real boto3 against a started server."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import aws
from tests.conftest import Server, wait_for

ACCOUNT = aws.ACCOUNT
PINPOINT = "pinpoint.us-east-1.amazonaws.com"


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client("lambda")


def refusal(call: Any, **members: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refused:
        call(**members)
    said = refused.value.response
    status = said["ResponseMetadata"]["HTTPStatusCode"]
    return status, said["Error"]["Code"], said["Error"]["Message"]


def test_a_function_lives_from_create_to_delete(server: Server, client: Any) -> None:
    made = client.create_function(
        FunctionName="life",
        Runtime="python3.12",
        Role=aws.LAMBDA_ROLE,
        Handler="main.handler",
        Code={"ZipFile": aws.zipped({"main.py": "def handler(e, c): return {'v': 1}"})},
        Environment={"Variables": {"stage": "test"}},
    )
    assert (made["ResponseMetadata"]["HTTPStatusCode"], made["State"]) == (201, "Pending")
    client.get_waiter("function_exists").wait(FunctionName="life")
    client.get_waiter("function_active_v2").wait(FunctionName="life")
    assert client.get_function(FunctionName="life")["Code"]["RepositoryType"] == "S3"
    code = aws.zipped({"main.py": "def handler(e, c): return {'v': 2}"})
    client.update_function_code(FunctionName="life", ZipFile=code)
    client.get_waiter("function_updated_v2").wait(FunctionName="life")
    client.update_function_configuration(FunctionName="life", Timeout=9)
    assert client.get_function_configuration(FunctionName="life")["Timeout"] == 9
    names = [f["FunctionName"] for f in client.list_functions()["Functions"]]
    assert "life" in names
    answer = client.invoke(FunctionName="life", LogType="Tail")
    assert json.loads(answer["Payload"].read()) == {"v": 2}
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert b"REPORT RequestId" in base64.b64decode(answer["LogResult"])
    client.delete_function(FunctionName="life")
    assert refusal(client.get_function, FunctionName="life")[:2] == (
        404,
        "ResourceNotFoundException",
    )


def test_code_comes_from_a_bucket(server: Server, client: Any) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="deploys")
    zipped = aws.zipped({"main.py": "def handler(e, c): return 'from s3'"})
    s3.put_object(Bucket="deploys", Key="code/hook.zip", Body=zipped)
    client.create_function(
        FunctionName="from-s3",
        Runtime="python3.12",
        Role=aws.LAMBDA_ROLE,
        Handler="main.handler",
        Code={"S3Bucket": "deploys", "S3Key": "code/hook.zip"},
    )
    assert client.invoke(FunctionName="from-s3")["Payload"].read() == b'"from s3"'


def test_a_function_error_is_a_200_with_its_header(server: Server, client: Any) -> None:
    aws.python_function(server, "thrower", "def handler(e, c): raise KeyError('k')")
    answer = client.invoke(FunctionName="thrower")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.loads(answer["Payload"].read())["errorType"] == "KeyError"


def test_a_dry_run_runs_nothing(server: Server, client: Any) -> None:
    aws.python_function(server, "dry", "def handler(e, c): raise SystemExit(9)")
    answer = client.invoke(FunctionName="dry", InvocationType="DryRun")
    assert (answer["StatusCode"], answer["Payload"].read()) == (204, b"")


def test_an_event_is_accepted_and_runs_later(server: Server, client: Any) -> None:
    source = """
import boto3, json
def handler(event, context):
    boto3.client("s3").put_object(Bucket="events", Key="seen", Body=json.dumps(event).encode())
"""
    server.client("s3").create_bucket(Bucket="events")
    aws.python_function(server, "later", source)
    answer = client.invoke(FunctionName="later", InvocationType="Event", Payload=b'{"n": 1}')
    assert answer["StatusCode"] == 202

    def seen() -> Any:
        listed = server.client("s3").list_objects_v2(Bucket="events")
        return listed.get("KeyCount")

    wait_for(seen)


REFUSALS: dict[str, tuple[str, dict[str, Any], tuple[int, str]]] = {
    "unknown function": ("invoke", {}, (404, "ResourceNotFoundException")),
    "no policy": ("get_policy", {}, (404, "ResourceNotFoundException")),
    "payload is not JSON": ("invoke", {"Payload": b"{"}, (400, "InvalidRequestContentException")),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_have_lambdas_codes(client: Any, case: str) -> None:
    operation, members, expected = REFUSALS[case]
    said = refusal(getattr(client, operation), FunctionName="nobody", **members)
    assert said[:2] == expected


def test_a_policy_is_built_read_and_taken_down_by_the_command_line(server: Server) -> None:
    aws.python_function(server, "guarded", "def handler(e, c): return 1")
    campaigns = f"arn:aws:mobiletargeting:us-east-1:{ACCOUNT}:apps/a1/campaigns/*"
    said = cli(
        server,
        *("add-permission", "--function-name", "guarded", "--statement-id", "sid"),
        *("--action", "lambda:InvokeFunction", "--principal", PINPOINT),
        *("--source-arn", campaigns),
    )
    assert json.loads(said["Statement"])["Condition"] == {"ArnLike": {"AWS:SourceArn": campaigns}}
    policy = json.loads(cli(server, "get-policy", "--function-name", "guarded")["Policy"])
    assert [s["Sid"] for s in policy["Statement"]] == ["sid"]
    cli(server, "remove-permission", "--function-name", "guarded", "--statement-id", "sid")
    client = server.client("lambda")
    assert refusal(client.get_policy, FunctionName="guarded")[0] == 404


def test_the_command_line_deploys_and_invokes(server: Server, tmp_path: Path) -> None:
    (tmp_path / "code.zip").write_bytes(
        aws.zipped({"index.js": "exports.handler = async (e) => e.n * 2;"})
    )
    cli(
        server,
        *("create-function", "--function-name", "cli", "--runtime", "nodejs12.x"),
        *("--handler", "index.handler", "--role", aws.LAMBDA_ROLE),
        *("--zip-file", f"fileb://{tmp_path / 'code.zip'}"),
    )
    cli(
        server,
        *("invoke", "--function-name", "cli", "--payload", '{"n": 21}'),
        str(tmp_path / "out.json"),
    )
    assert (tmp_path / "out.json").read_text() == "42"


def test_a_function_reaches_every_service_of_the_house(server: Server, client: Any) -> None:
    """boto3 inside a function, with nothing configured, speaks to this server as its role."""
    source = """
import boto3, urllib.request, os
def handler(event, context):
    health = urllib.request.urlopen(os.environ["TAILORBIRD_URL"] + "/_/health").status
    return [boto3.client("sts").get_caller_identity()["Account"], health]
"""
    aws.python_function(server, "reach", source)
    answer = client.invoke(FunctionName="reach")
    assert json.loads(answer["Payload"].read()) == [ACCOUNT, 200]


def test_what_is_not_built_says_so(client: Any) -> None:
    said = refusal(client.list_event_source_mappings)
    assert said[0] == 501


def cli(server: Server, *words: str) -> Any:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("aws")), "lambda", *words],
        env=server.cli_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def test_the_code_can_be_downloaded_where_get_function_says(server: Server, client: Any) -> None:
    code = aws.zipped({"main.py": "def handler(e, c): return 1"})
    aws.create_function(server, "download", code, "main.handler")
    location = client.get_function(FunctionName="download")["Code"]["Location"]
    with urllib.request.urlopen(location) as answer:
        assert answer.read() == code


def test_code_with_segments_and_amazons_addresses_written_into_it_works_as_written(
    server: Server, client: Any
) -> None:
    """As the Lambda of Segment's Personalize recipe does: no endpoint, no configuration."""
    source = """
import base64, json, os, urllib.request
os.environ.pop("AWS_ENDPOINT_URL", None)
import boto3

def handler(event, context):
    key = base64.b64encode((os.environ["connections_source_write_key"] + ":").encode()).decode()
    call = {"userId": "ana", "traits": {"recommended_products": ["1"]}, "type": "identify"}
    asked = urllib.request.Request("https://api.segment.io/v1/identify", json.dumps(call).encode(),
        {"Authorization": "Basic " + key, "Content-Type": "application/json"})
    said = json.load(urllib.request.urlopen(asked))
    groups = boto3.client("personalize").list_dataset_groups()["datasetGroups"]
    return [said, isinstance(groups, list)]
"""
    variables = {"connections_source_write_key": server.write_key}
    aws.python_function(server, "recipe", source, Environment={"Variables": variables}, Timeout=15)
    answer = client.invoke(FunctionName="recipe")
    assert json.loads(answer["Payload"].read()) == [{"success": True}, True]
