"""Bad requests on a real port: each service refuses in its own words, none of them with a 500."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tailorbird import errors

from .conftest import Running

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TARGET = {"X-Amz-Target": "AmazonPersonalize.CreateSchema"}
FUNCTIONS = "/2015-03-31/functions"


@dataclass
class Heard:
    status: int
    headers: Any
    body: bytes

    @property
    def code(self) -> str:
        return str(self.headers["x-amzn-errortype"])

    @property
    def message(self) -> str:
        said = json.loads(self.body)
        return str(said.get("message") or said["Message"])

    def element(self, name: str) -> str:
        return self.body.decode().partition(f"<{name}>")[2].partition(f"</{name}>")[0]


def call(
    running: Running,
    service: str,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    secret: str | None = None,
    key_id: str | None = None,
    sign: bool = True,
) -> Heard:
    """One raw request, signed as told."""
    request = AWSRequest(method, running.url + path, data=body or None, headers=headers or {})
    if sign:
        keys = Credentials(key_id or running.key.id, secret or running.key.secret)
        kind = S3SigV4Auth if service == "s3" else SigV4Auth
        kind(keys, service, "us-east-1").add_auth(request)
    sent = urllib.request.Request(
        request.url, data=body or None, headers=dict(request.headers), method=method
    )
    try:
        with urllib.request.urlopen(sent) as answer:
            return Heard(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Heard(error.code, error.headers, error.read())


JSON_SERVICES = [
    ("mobiletargeting", "GET", "/v1/apps/a", {}),
    ("personalize", "POST", "/", TARGET),
    ("personalize", "POST", "/recommendations", {}),
    ("personalize", "POST", "/events", {}),
    ("lambda", "GET", FUNCTIONS, {}),
    ("logs", "POST", "/", {"X-Amz-Target": "Logs_20140328.FilterLogEvents"}),
]


@pytest.mark.parametrize(("service", "method", "path", "headers"), JSON_SERVICES)
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"sign": False}, "MissingAuthenticationTokenException"),
        ({"secret": "wrong"}, "InvalidSignatureException"),
        ({"key_id": "AKIAUNKNOWN"}, "UnrecognizedClientException"),
    ],
)
def test_who_is_not_known_hears_the_services_own_403(
    running: Running,
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    how: dict[str, Any],
    code: str,
) -> None:
    heard = call(running, service, method, path, b"{}", headers=headers, **how)
    assert (heard.status, heard.code) == (403, code)
    assert heard.message
    assert running.room.asked == []


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"sign": False}, "MissingAuthenticationToken"),
        ({"secret": "wrong"}, "SignatureDoesNotMatch"),
        ({"key_id": "AKIAUNKNOWN"}, "InvalidClientTokenId"),
    ],
)
def test_query_services_refuse_in_xml(running: Running, how: dict[str, Any], code: str) -> None:
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    heard = call(running, "sts", "POST", "/", body, headers=FORM, **how)
    assert (heard.status, heard.element("Code")) == (403, code)
    assert heard.element("Type") == "Sender"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"sign": False}, "AccessDenied"),
        ({"secret": "wrong"}, "SignatureDoesNotMatch"),
        ({"key_id": "AKIAUNKNOWN"}, "InvalidAccessKeyId"),
    ],
)
def test_s3_refuses_in_its_own_document(running: Running, how: dict[str, Any], code: str) -> None:
    heard = call(running, "s3", "GET", "/bucket/key", **how)
    assert (heard.status, heard.element("Code")) == (403, code)


NUL = b'{"Name": "a\\u0000b"}'
APP = "/v1/apps"
SCHEMA = b'{"name": "%s", "schema": "{}"}'
ROLE = "arn:aws:iam::123456789012:role/r"

# scope, method, path, headers, body, status, code, words of the message
BAD: list[Any] = [
    ("mobiletargeting", "POST", APP, {}, b'{"Name": ', 400, "BadRequestException", "position 9"),
    (
        "mobiletargeting",
        "POST",
        APP,
        {},
        b"[]",
        400,
        "BadRequestException",
        "an object, not a list",
    ),
    ("mobiletargeting", "POST", APP, {}, b'{"Name": 1}', 400, "BadRequestException", "Name"),
    ("mobiletargeting", "POST", APP, {}, b"", 400, "BadRequestException", "Name"),
    ("mobiletargeting", "POST", APP, {}, NUL, 400, "BadRequestException", "NUL"),
    ("mobiletargeting", "POST", APP, {}, b'{"Name": "\xff"}', 400, "BadRequestException", "json"),
    ("mobiletargeting", "GET", "/v1/apps/a%00", {}, b"", 400, "BadRequestException", "NUL"),
    ("mobiletargeting", "GET", "/v1/apps/%ff", {}, b"", 400, "BadRequestException", "UTF-8"),
    ("mobiletargeting", "GET", "/v1/nothing", {}, b"", 404, "NotFoundException", "/v1/nothing"),
    ("mobiletargeting", "PATCH", "/v1/apps/a", {}, b"", 404, "NotFoundException", "PATCH"),
    (
        "mobiletargeting",
        "PUT",
        "/v1/apps/a/endpoints",
        {},
        b'{"Item": [{"Id": "1"}, {"Id": "2", "Metrics": {"m": "x"}}]}',
        400,
        "BadRequestException",
        "'EndpointBatchRequest.Item.2.member.Metrics.m' must be a number, not a string",
    ),
    ("personalize", "POST", "/", TARGET, b"{", 400, "SerializationException", "position 1"),
    ("personalize", "POST", "/", TARGET, b"{}", 400, "InvalidInputException", "'name'"),
    (
        "personalize",
        "POST",
        "/",
        TARGET,
        SCHEMA % (b"n" * 64),
        400,
        "InvalidInputException",
        "Member must have length less than or equal to 63",
    ),
    (
        "personalize",
        "POST",
        "/",
        TARGET,
        SCHEMA % b"-name",
        400,
        "InvalidInputException",
        "1 validation error detected: Value '-name' at 'name' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern",
    ),
    (
        "personalize",
        "POST",
        "/",
        TARGET,
        SCHEMA % b"good\\n",
        400,
        "InvalidInputException",
        "regular expression pattern",
    ),
    (
        "personalize",
        "POST",
        "/",
        {"X-Amz-Target": "AmazonPersonalize.Nonsense"},
        b"{}",
        400,
        "UnknownOperationException",
        "AmazonPersonalize.Nonsense",
    ),
    (
        "personalize",
        "POST",
        "/recommendations",
        {},
        b'{"numResults": "ten"}',
        400,
        "InvalidInputException",
        "'numResults' must be a whole number, not a string",
    ),
    (
        "personalize",
        "POST",
        "/recommendations",
        {},
        b'{"numResults": -1}',
        400,
        "InvalidInputException",
        "Member must have value greater than or equal to 0",
    ),
    (
        "personalize",
        "POST",
        "/events",
        {},
        b'{"trackingId": "t", "sessionId": "s", "eventList": [{"eventType": "v"}]}',
        400,
        "InvalidInputException",
        "Value null at 'eventList.1.member.sentAt'",
    ),
    (
        "personalize",
        "POST",
        "/events",
        {},
        b'{"trackingId": "t", "sessionId": "s", "eventList": [%s]}'
        % b",".join([b'{"eventType": "v", "sentAt": 1}'] * 11),
        400,
        "InvalidInputException",
        "Member must have length less than or equal to 10",
    ),
    (
        "personalize",
        "POST",
        "/events",
        {},
        b'{"trackingId": "t", "sessionId": "s", "eventList": [{"eventType": "v", "sentAt": 1e99}]}',
        400,
        "InvalidInputException",
        "'eventList.1.member.sentAt' is no instant",
    ),
    (
        "lambda",
        "POST",
        FUNCTIONS,
        {},
        b'{"FunctionName": "f", "Role": "%s", "Code": {}, "Runtime": "cobol"}' % ROLE.encode(),
        400,
        "ValidationException",
        "1 validation error detected: Value 'cobol' at 'runtime' failed to satisfy constraint: "
        "Member must satisfy enum value set: [",
    ),
    (
        "lambda",
        "POST",
        FUNCTIONS,
        {},
        b'{"FunctionName": "f", "Role": "%s", "Code": {"ZipFile": "???"}}' % ROLE.encode(),
        400,
        "InvalidRequestContentException",
        "must be base64",
    ),
    ("lambda", "POST", FUNCTIONS, {}, b"{nonsense", 400, "InvalidRequestContentException", "json"),
    ("lambda", "GET", "/2015-03-31/nothing", {}, b"", 404, "UnknownOperationException", "nothing"),
    (
        "lambda",
        "GET",
        FUNCTIONS + "?MaxItems=many",
        {},
        b"",
        400,
        "InvalidRequestContentException",
        "'maxItems' must be a whole number",
    ),
]


@pytest.mark.parametrize(
    ("service", "method", "path", "headers", "body", "status", "code", "words"), BAD
)
def test_a_bad_request_is_refused_with_its_place(
    running: Running,
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    status: int,
    code: str,
    words: str,
) -> None:
    heard = call(running, service, method, path, body, headers=headers)
    assert (heard.status, heard.code) == (status, code)
    assert words in heard.message
    assert running.room.asked == []


BAD_XML: list[Any] = [
    (
        "sts",
        "POST",
        "/",
        FORM,
        b"Action=AssumeRole&Version=2011-06-15",
        "ValidationError",
        "roleArn",
    ),
    ("sts", "POST", "/", FORM, b"Action=Nonsense&Version=2011-06-15", "InvalidAction", "Nonsense"),
    (
        "iam",
        "POST",
        "/",
        FORM,
        b"Action=TagRole&RoleName=r&Tags.member.1.Key=a&Tags.member.1=b",
        "MalformedInput",
        "Tags.member.1",
    ),
    ("s3", "POST", "/bucket?delete", {}, b"<Delete>", "MalformedXML", "well-formed"),
    (
        "s3",
        "POST",
        "/bucket?delete",
        {},
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><Delete>&a;</Delete>",
        "MalformedXML",
        "document type",
    ),
]


@pytest.mark.parametrize(("service", "method", "path", "headers", "body", "code", "words"), BAD_XML)
def test_a_bad_request_is_refused_in_xml(
    running: Running,
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    code: str,
    words: str,
) -> None:
    heard = call(running, service, method, path, body, headers=headers)
    assert (heard.status, heard.element("Code")) == (400, code)
    assert words in heard.element("Message")


@pytest.mark.parametrize(
    ("service", "method", "path", "headers", "size", "code"),
    [
        ("mobiletargeting", "POST", APP, {}, 7_000_001, "PayloadTooLargeException"),
        ("personalize", "POST", "/", TARGET, 3 * 2**20, "RequestEntityTooLargeException"),
    ],
)
def test_a_body_over_the_limit_is_refused(
    running: Running,
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    size: int,
    code: str,
) -> None:
    heard = call(running, service, method, path, b" " * size, headers=headers)
    assert (heard.status, heard.code) == (413, code)


@pytest.mark.parametrize(
    ("service", "method", "given", "name"),
    [
        (
            "pinpoint",
            "get_journey",
            {"ApplicationId": "a", "JourneyId": "j"},
            "pinpoint.GetJourney",
        ),
        ("personalize", "list_filters", {}, "personalize.ListFilters"),
        ("lambda", "list_layers", {}, "lambda.ListLayers"),
        ("iam", "list_users", {}, "iam.ListUsers"),
        (
            "sts",
            "assume_role_with_web_identity",
            {"RoleArn": "r" * 20, "RoleSessionName": "me", "WebIdentityToken": "eyJh"},
            "sts.AssumeRoleWithWebIdentity",
        ),
        ("s3", "get_bucket_acl", {"Bucket": "bucket"}, "s3.GetBucketAcl"),
    ],
)
def test_what_is_not_built_says_so_by_name(
    running: Running, service: str, method: str, given: dict[str, Any], name: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(running.client(service), method)(**given)
    said = caught.value.response
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert said["Error"]["Code"] == "NotImplemented"
    assert f"Tailorbird does not build {name}" in said["Error"]["Message"]


# One service for each form of request: JSON 1.0 and 1.1, query, REST, and Smithy's RPC over CBOR.
@pytest.mark.parametrize(
    ("service", "method", "given", "scope"),
    [
        ("sqs", "list_queues", {}, "sqs"),
        ("ssm", "get_parameter", {"Name": "a"}, "ssm"),
        ("sns", "list_topics", {}, "sns"),
        ("sesv2", "list_email_identities", {}, "ses"),
        ("translate", "list_languages", {}, "translate"),
    ],
)
def test_a_service_that_is_not_served_says_so(
    running: Running, service: str, method: str, given: dict[str, Any], scope: str
) -> None:
    with pytest.raises(ClientError, match=f"does not serve '{scope}'") as caught:
        getattr(running.client(service), method)(**given)
    assert caught.value.response["Error"]["Code"] == "NotImplemented"


# service, method, arguments, error of the operation, the exception boto3 raises, its status
RAISED: list[Any] = [
    (
        "pinpoint",
        "get_app",
        {"ApplicationId": "a"},
        errors.NotFound("no a"),
        "NotFoundException",
        404,
    ),
    (
        "pinpoint",
        "get_app",
        {"ApplicationId": "a"},
        errors.AlreadyExists("a is there"),
        "BadRequestException",
        400,
    ),
    (
        "personalize",
        "describe_campaign",
        {"campaignArn": "arn:aws:personalize:us-east-1:1:campaign/c"},
        errors.NotFound("Resource Arn does not exist."),
        "ResourceNotFoundException",
        400,
    ),
    (
        "personalize-runtime",
        "get_recommendations",
        {"userId": "u"},
        errors.NotFound("no campaign"),
        "ResourceNotFoundException",
        404,
    ),
    (
        "lambda",
        "get_function",
        {"FunctionName": "f"},
        errors.NotFound("Function not found: f"),
        "ResourceNotFoundException",
        404,
    ),
    (
        "lambda",
        "get_function",
        {"FunctionName": "f"},
        errors.Invalid("stale", code="PreconditionFailedException"),
        "PreconditionFailedException",
        412,
    ),
    ("iam", "get_role", {"RoleName": "r"}, errors.NotFound("no r"), "NoSuchEntityException", 404),
    (
        "iam",
        "get_role",
        {"RoleName": "r"},
        errors.Invalid("bad", code="MalformedPolicyDocument"),
        "MalformedPolicyDocumentException",
        400,
    ),
    (
        "s3",
        "get_object",
        {"Bucket": "bucket", "Key": "k"},
        errors.NotFound("no k"),
        "NoSuchKey",
        404,
    ),
]


@pytest.mark.parametrize(("service", "method", "given", "error", "name", "status"), RAISED)
def test_a_refusal_becomes_the_exception_that_samples_catch(
    running: Running,
    service: str,
    method: str,
    given: dict[str, Any],
    error: errors.TailorbirdError,
    name: str,
    status: int,
) -> None:
    running.room.answer = error
    client = running.client(service)
    with pytest.raises(getattr(client.exceptions, name)) as caught:
        getattr(client, method)(**given)
    said = caught.value.response
    assert said["Error"]["Message"] == error.message
    assert said["ResponseMetadata"]["HTTPStatusCode"] == status
    assert said["ResponseMetadata"]["RequestId"] == running.caller().request_id


def test_a_refusal_carries_the_members_of_the_services_error(running: Running) -> None:
    reason = {"Reason": "ConcurrentInvocationLimitExceeded"}
    running.room.answer = errors.Throttled("Rate Exceeded.", members=reason)
    client = running.client("lambda")
    with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
        client.get_function(FunctionName="f")
    assert caught.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"


@pytest.mark.parametrize(
    ("service", "method", "given", "code"),
    [
        ("pinpoint", "get_app", {"ApplicationId": "a"}, "InternalServerErrorException"),
        ("lambda", "get_function", {"FunctionName": "f"}, "ServiceException"),
        ("personalize", "list_recipes", {}, "InternalFailure"),
        ("sts", "get_caller_identity", {}, "InternalFailure"),
    ],
)
def test_our_own_mistake_is_a_typed_500_and_a_traceback_in_the_log(
    running: Running,
    service: str,
    method: str,
    given: dict[str, Any],
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    running.room.answer = ZeroDivisionError("secret detail")
    with pytest.raises(ClientError) as caught:
        getattr(running.client(service), method)(**given)
    assert caught.value.response["Error"]["Code"] == code
    assert "secret" not in caught.value.response["Error"]["Message"]
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_of_the_wrong_type_is_our_mistake_and_named(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.room.answer = {"ApplicationResponse": {"Id": "1", "CreationDate": 17.5}}
    with pytest.raises(ClientError):
        running.client("pinpoint").get_app(ApplicationId="a")
    assert "CreationDate: a string is wanted, not 17.5" in caplog.text


def test_a_pinpoint_refusal_has_its_two_members(running: Running) -> None:
    heard = call(running, "mobiletargeting", "POST", APP, b"{")
    assert json.loads(heard.body).keys() == {"Message", "RequestID"}
    assert json.loads(heard.body)["RequestID"] == heard.headers["x-amzn-requestid"]


def test_a_lambda_refusal_names_the_user_as_its_type(running: Running) -> None:
    running.room.answer = errors.NotFound("Function not found: f")
    heard = call(running, "lambda", "GET", FUNCTIONS + "/f")
    assert json.loads(heard.body) == {"Type": "User", "Message": "Function not found: f"}
