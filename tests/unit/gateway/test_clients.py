"""The real boto3 against the gateway on a port: what it sends arrives, what it gets it can read."""

from __future__ import annotations

import io
import json
import urllib.request
from typing import Any

import pytest

from .conftest import Running

ARN = "arn:aws:mobiletargeting:us-east-1:123456789012:apps/app1/campaigns/c/1"

# service, method, arguments, what the operation answers, what boto3 shows
CALLS: list[Any] = [
    (
        "pinpoint",
        "create_app",
        {"CreateApplicationRequest": {"Name": "shop", "tags": {"team": "a b"}}},
        {"ApplicationResponse": {"Id": "a1", "Arn": ARN, "Name": "shop", "tags": {}}},
    ),
    (
        "pinpoint",
        "update_endpoints_batch",
        {
            "ApplicationId": "a/1+ü",
            "EndpointBatchRequest": {
                "Item": [{"Id": "1", "Attributes": {"I": ["x"]}, "Metrics": {"m": 1.5}}]
            },
        },
        {"MessageBody": {"Message": "Accepted", "RequestID": "r"}},
    ),
    ("pinpoint", "untag_resource", {"ResourceArn": ARN, "TagKeys": ["a", "b&c"]}, {}),
    ("pinpoint", "list_tags_for_resource", {"ResourceArn": ARN}, {"TagsModel": {"tags": {}}}),
    (
        "personalize",
        "create_schema",
        {"name": "s", "schema": "{}"},
        {"schemaArn": "arn:aws:personalize:us-east-1:123456789012:schema/s"},
    ),
    (
        "personalize-runtime",
        "get_recommendations",
        {"campaignArn": "arn:aws:personalize:us-east-1:1:campaign/c", "userId": "ü", "context": {}},
        {"itemList": [{"itemId": "1", "score": 0.5}], "recommendationId": "RID-1"},
    ),
    (
        "lambda",
        "create_function",
        {
            "FunctionName": "f",
            "Role": "arn:aws:iam::123456789012:role/r",
            "Code": {"ZipFile": b"PK\x00\x01"},
            "Runtime": "python3.12",
            "Handler": "index.handler",
        },
        {"FunctionName": "f", "State": "Pending", "Timeout": 3},
    ),
    (
        "sts",
        "get_caller_identity",
        {},
        {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:root", "UserId": "1"},
    ),
    ("iam", "tag_role", {"RoleName": "r", "Tags": [{"Key": "k", "Value": "ü +=@"}]}, {}),
    (
        "logs",
        "filter_log_events",
        {"logGroupName": "/aws/lambda/f", "limit": 5},
        {"events": [{"timestamp": 1, "message": "START"}]},
    ),
    ("s3", "create_bucket", {"Bucket": "bucket"}, {"Location": "/bucket"}),
    (
        "s3",
        "list_objects_v2",
        {"Bucket": "bucket", "Prefix": "a/ü", "MaxKeys": 5},
        {"Name": "bucket", "KeyCount": 1, "Contents": [{"Key": "a/ü <1>", "Size": 2}]},
    ),
    (
        "s3",
        "complete_multipart_upload",
        {
            "Bucket": "bucket",
            "Key": "a/b",
            "UploadId": "u",
            "MultipartUpload": {"Parts": [{"ETag": '"e"', "PartNumber": 1}]},
        },
        {"Bucket": "bucket", "Key": "a/b", "ETag": '"e-1"'},
    ),
]


@pytest.mark.parametrize(
    ("service", "method", "given", "answer"), CALLS, ids=[f"{c[0]}.{c[1]}" for c in CALLS]
)
def test_a_call_goes_in_and_comes_back(
    running: Running, service: str, method: str, given: dict[str, Any], answer: dict[str, Any]
) -> None:
    running.room.answer = answer
    shown = getattr(running.client(service), method)(**given)
    metadata = shown.pop("ResponseMetadata")
    assert {name: running.asked()[name] for name in given} == given
    assert shown == answer
    assert metadata["RequestId"] == running.caller().request_id


def test_region_comes_from_the_scope_and_account_from_the_key(running: Running) -> None:
    running.room.answer = {}
    running.client("personalize", region="eu-west-1").list_recipes()
    caller = running.caller()
    assert (caller.region, caller.account) == ("eu-west-1", "123456789012")


def test_one_scope_serves_three_services(running: Running) -> None:
    events = {"trackingId": "t", "sessionId": "s", "eventList": [{"eventType": "v", "sentAt": 1.5}]}
    running.room.answer = {}
    running.client("personalize-events").put_events(**events)
    assert running.asked()["eventList"][0]["sentAt"] == 1.5
    running.client("personalize-runtime").get_recommendations(userId="u")
    assert running.asked() == {"userId": "u"}


@pytest.mark.parametrize(
    ("method", "status"), [("CREATE", 201), ("BATCH", 202), ("TAG", 204), ("GET", 200)]
)
def test_the_status_is_the_models(running: Running, method: str, status: int) -> None:
    pinpoint = running.client("pinpoint")
    calls = {
        "CREATE": lambda: pinpoint.create_app(CreateApplicationRequest={"Name": "n"}),
        "BATCH": lambda: pinpoint.update_endpoints_batch(
            ApplicationId="a", EndpointBatchRequest={"Item": []}
        ),
        "TAG": lambda: pinpoint.tag_resource(ResourceArn=ARN, TagsModel={"tags": {"a": "b"}}),
        "GET": lambda: pinpoint.get_app(ApplicationId="a"),
    }
    running.room.answer = {
        "ApplicationResponse": {"Id": "1"},
        "MessageBody": {"Message": "Accepted"},
    }
    assert calls[method]()["ResponseMetadata"]["HTTPStatusCode"] == status


def test_invoke_streams_its_payload_both_ways(running: Running) -> None:
    running.room.answer = {"StatusCode": 200, "Payload": b'"\xff ok"', "FunctionError": "Unhandled"}
    answer = running.client("lambda").invoke(
        FunctionName="f", Payload=b"\x00 any bytes", LogType="Tail", ClientContext="e30="
    )
    assert running.asked()["Payload"] == b"\x00 any bytes"
    assert running.asked()["LogType"] == "Tail"
    assert answer["Payload"].read() == b'"\xff ok"'
    assert answer["FunctionError"] == "Unhandled"


@pytest.mark.parametrize(("kind", "status"), [("Event", 202), ("DryRun", 204)])
def test_invoke_chooses_its_status(running: Running, kind: str, status: int) -> None:
    running.room.answer = {"StatusCode": status}
    answer = running.client("lambda").invoke(FunctionName="f", InvocationType=kind)
    assert answer["StatusCode"] == status


def test_a_function_is_named_by_its_arn(running: Running) -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:f:live"
    running.room.answer = {}
    running.client("lambda").invoke(FunctionName=arn)
    assert running.asked()["FunctionName"] == arn


def test_an_object_keeps_key_bytes_and_metadata(running: Running) -> None:
    running.room.answer = {"ETag": '"e"'}
    body = io.BytesIO(b"\x00abc")
    running.client("s3").put_object(Bucket="b1", Key="a//b ü/", Body=body, Metadata={"x": "1"})
    asked = running.asked()
    assert (asked["Bucket"], asked["Key"]) == ("b1", "a//b ü/")
    assert (asked["Body"], asked["Metadata"]) == (b"\x00abc", {"x": "1"})


def test_an_object_is_streamed_from_chunks(running: Running) -> None:
    running.room.answer = {"Body": (b"x" * 1000 for _ in range(50)), "ContentLength": 50_000}
    got = running.client("s3").get_object(Bucket="bucket", Key="k")
    assert got["Body"].read() == b"x" * 50_000


def test_a_head_request_has_headers_and_no_body(running: Running) -> None:
    running.room.answer = {"ContentLength": 5, "ETag": '"e"', "LastModified": 1_700_000_000.0}
    head = running.client("s3").head_object(Bucket="bucket", Key="k")
    assert head["ContentLength"] == 5
    assert head["LastModified"].timestamp() == 1_700_000_000


def test_a_buckets_region_is_the_root_element(running: Running) -> None:
    running.room.answer = {"LocationConstraint": "eu-west-1"}
    where = running.client("s3").get_bucket_location(Bucket="bucket")
    assert where["LocationConstraint"] == "eu-west-1"


def test_a_presigned_address_needs_no_headers(running: Running) -> None:
    running.room.answer = {"Body": b"hello"}
    url = running.client("s3", signature_version="s3v4").generate_presigned_url(
        "get_object", {"Bucket": "bucket", "Key": "a b+c"}
    )
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hello"
    assert running.asked()["Key"] == "a b+c"


def test_a_presigned_function_call_works_too(running: Running) -> None:
    running.room.answer = {"Account": "1", "Arn": "a", "UserId": "u"}
    url = running.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(url) as answer:
        assert b"<Account>1</Account>" in answer.read()


def test_many_calls_at_once_are_all_answered(running: Running) -> None:
    from concurrent.futures import ThreadPoolExecutor

    running.room.answer = {"recommendationId": "RID"}
    client = running.client("personalize-runtime")
    with ThreadPoolExecutor(16) as pool:
        users = [f"u{n}" for n in range(200)]
        list(pool.map(lambda user: client.get_recommendations(userId=user), users))
    assert sorted(request["userId"] for _, request in running.room.asked) == sorted(users)


def test_json_is_what_a_program_without_boto3_sends(running: Running) -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    body = json.dumps({"userId": "u", "unknownMember": {"a": [None]}, "numResults": None}).encode()
    signed = AWSRequest("POST", f"{running.url}/recommendations", data=body)
    SigV4Auth(Credentials(running.key.id, running.key.secret), "personalize", "us-east-1").add_auth(
        signed
    )
    running.room.answer = {}
    request = urllib.request.Request(signed.url, data=body, headers=dict(signed.headers))
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == b"{}"
    assert running.asked() == {"userId": "u"}
