"""Lambda's documented limits over the wire: the largest that passes, and what one more is told."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import aws
from tests.conftest import Server

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    """boto3 that sends what it is told, so that the server's own words are heard."""
    made = server.client("lambda", parameter_validation=False)
    source = "def handler(event, context): return len(event)"
    aws.python_function(server, "limits", source, Timeout=20)
    return made


def said(call: Any, **members: Any) -> tuple[int, str, str] | None:
    """Status, code and message of the refusal; None when the call was answered."""
    try:
        call(**{"FunctionName": "limits", **members})
    except ClientError as error:
        answer = error.response
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        return status, answer["Error"]["Code"], answer["Error"]["Message"]
    return None


def bounds() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any], str]]:
    """(what, member's path in words, passes, does not pass, what is said)."""

    def change(**members: Any) -> dict[str, Any]:
        return members

    yield "timeout least", "timeout", change(Timeout=1), change(Timeout=0), "equal to 1"
    yield "timeout most", "timeout", change(Timeout=900), change(Timeout=901), "equal to 900"
    yield "memory least", "memorySize", change(MemorySize=128), change(MemorySize=127), "to 128"
    yield (
        *("memory most", "memorySize"),
        *(change(MemorySize=10_240), change(MemorySize=10_241), "to 10240"),
    )
    for least_or_most, fits, not_fits in (("least", 512, 511), ("most", 10_240, 10_241)):
        yield (
            f"/tmp {least_or_most}",
            "ephemeralStorage.size",
            change(EphemeralStorage={"Size": fits}),
            change(EphemeralStorage={"Size": not_fits}),
            f"equal to {fits}",
        )
    yield (
        *("description", "description"),
        *(change(Description="d" * 256), change(Description="d" * 257), "equal to 256"),
    )
    yield (
        *("handler", "handler"),
        *(change(Handler="main." + "h" * 123), change(Handler="main." + "h" * 124), "to 128"),
    )
    yield (
        *("variable's name", "environment.variables"),
        change(Environment={"Variables": {"a_1": "x"}}),
        change(Environment={"Variables": {"_a": "x"}}),
        "[a-zA-Z]([a-zA-Z0-9_])+",
    )


CASES = {what: rest for what, *rest in bounds()}


@pytest.mark.parametrize("what", CASES)
def test_members_have_lambdas_bounds(client: Any, what: str) -> None:
    where, fits, not_fits, words = CASES[what]
    assert said(client.update_function_configuration, **fits) is None
    refused = said(client.update_function_configuration, **not_fits)
    assert refused is not None
    assert refused[:2] == (400, "ValidationException")
    assert f"at '{where}" in refused[2]
    assert words in refused[2]
    restored = {"Handler": "main.handler", "Timeout": 20, "MemorySize": 128}
    client.update_function_configuration(FunctionName="limits", **restored)


def test_variables_hold_4_kb_as_json(client: Any) -> None:
    fits = {"key": "v" * (4096 - len('{"key":""}'))}
    assert said(client.update_function_configuration, Environment={"Variables": fits}) is None
    more = {"Variables": {"key": fits["key"] + "v"}}
    status, code, text = said(client.update_function_configuration, Environment=more) or (0, "", "")
    assert (status, code) == (400, "InvalidParameterValueException")
    assert text.startswith("Lambda was unable to configure your environment variables because the")
    assert 'exceeded the 4KB limit. String measured: {"key":"vv' in text


def test_six_layers_are_one_too_many(client: Any) -> None:
    arns = [f"arn:aws:lambda:us-east-1:{aws.ACCOUNT}:layer:l{n}:1" for n in range(6)]
    assert said(client.update_function_configuration, Layers=arns) == (
        400,
        "InvalidParameterValueException",
        "Cannot reference more than 5 layers.",
    )


def test_a_policy_holds_20_kib(client: Any) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pinpoint.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": f"arn:aws:lambda:us-east-1:{aws.ACCOUNT}:function:limits",
    }
    arn = statement["Resource"]
    document = {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
    room = 20_480 - len(json.dumps(document, separators=(",", ":"))) - len(',"Sid":""')
    document["Statement"] = [{**statement, "Sid": "s" * room}]
    whole = json.dumps(document, separators=(",", ":"))
    assert len(whole) == 20_480
    client.put_resource_policy(ResourceArn=arn, Policy=whole)
    with pytest.raises(ClientError, match="20480"):
        client.put_resource_policy(ResourceArn=arn, Policy=whole.replace('"Sid":"s', '"Sid":"ss'))
    client.delete_resource_policy(ResourceArn=arn)


def test_a_zip_in_the_request_has_50_mb(client: Any) -> None:
    assert said(client.update_function_code, ZipFile=os.urandom(50 * MIB + 1)) == (
        413,
        "RequestEntityTooLargeException",
        "Zipped size must be smaller than 52428800 bytes",
    )


def test_a_request_has_70167211_bytes(client: Any) -> None:
    refused = said(client.update_function_code, ZipFile=b"\0" * (70_167_211 * 3 // 4 + 1))
    assert refused is not None
    assert refused[:2] == (413, "RequestEntityTooLargeException")


PAYLOADS = {
    "RequestResponse": 6 * MIB,
    "Event": MIB,
}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_payloads_are_bounded(client: Any, kind: str) -> None:
    fits = b'"' + b"x" * (PAYLOADS[kind] - 2) + b'"'
    assert said(client.invoke, InvocationType=kind, Payload=fits) is None
    refused = said(client.invoke, InvocationType=kind, Payload=fits[:-1] + b'x"')
    assert refused is not None
    assert refused[:2] == (413, "RequestTooLargeException")


def test_a_client_context_has_3583_bytes(client: Any) -> None:
    def context(size: int) -> str:
        """Base64 of a JSON object, padded to the size (a multiple of four, and one more)."""
        empty = len(json.dumps({"custom": ""}))
        text = json.dumps({"custom": "c" * (size * 3 // 4 - empty)})
        return base64.b64encode(text.encode()).decode()

    fits, not_fits = context(3580), context(3584)
    assert (len(fits), len(not_fits)) == (3580, 3584)
    assert said(client.invoke, ClientContext=fits) is None
    refused = said(client.invoke, ClientContext=not_fits)
    assert refused is not None
    assert refused[:2] == (400, "InvalidRequestContentException")


def test_a_layer_names_15_runtimes(server: Server) -> None:
    made = server.client("lambda", parameter_validation=False)
    names = [f"python3.{minor}" for minor in range(8, 16)] + ["nodejs20.x"] * 7
    content = {"ZipFile": aws.zipped({"x": ""})}
    publish = {"LayerName": "many", "Content": content, "CompatibleRuntimes": names}
    assert made.publish_layer_version(**publish)["Version"] == 1
    with pytest.raises(ClientError, match="less than or equal to 15"):
        made.publish_layer_version(**{**publish, "CompatibleRuntimes": [*names, "nodejs22.x"]})


REFUSED_NAMES = ["a b", "x" * 141, "arn:aws:s3:::bucket", "hook:", "f/1"]


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_what_is_no_name_of_a_function(client: Any, name: str) -> None:
    refused = said(
        client.create_function,
        FunctionName=name,
        Runtime="python3.12",
        Role=aws.LAMBDA_ROLE,
        Handler="main.handler",
        Code={"ZipFile": aws.zipped({"main.py": ""})},
    )
    assert refused is not None
    assert refused[:2] == (400, "ValidationException")
