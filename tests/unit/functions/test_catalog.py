"""The control plane: Lambda's defaults, limits, refusals and shapes, on both databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tailorbird import settings as settings_module
from tailorbird.access import roles
from tailorbird.errors import Conflict, Invalid, NotBuilt, NotFound, TailorbirdError
from tailorbird.functions import Functions, catalog
from tailorbird.store import Database
from tests.unit.functions.conftest import ACCOUNT, OWNER, ROLE, open_workshop, zipped

CODE = zipped({"app.py": "def handler(event, context): return 1"})
ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:hook"


def create(room: Functions, **members: Any) -> dict[str, Any]:
    request = {
        "FunctionName": "hook",
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": CODE},
    }
    return catalog.create_function(room, OWNER, request | members)


def get(room: Functions, name: str = "hook") -> dict[str, Any]:
    return catalog.get_function_configuration(room, OWNER, {"FunctionName": name})


def test_a_new_function_has_lambdas_defaults(room: Functions):
    made = create(room)
    expected = {
        "FunctionName": "hook",
        "FunctionArn": ARN,
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "CodeSize": len(CODE),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/hook"},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
    }
    assert {key: made.get(key) for key in expected} == expected
    assert made["LastModified"].endswith("+0000")
    assert made["RuntimeVersionConfig"]["RuntimeVersionArn"].startswith(
        "arn:aws:lambda:us-east-1::runtime:python3."
    )


def test_the_next_read_finds_it_active(room: Functions):
    create(room)
    read = get(room)
    assert (read["State"], read["LastUpdateStatus"]) == ("Active", "Successful")


def test_get_function_adds_where_the_code_is_and_the_tags(room: Functions):
    create(room, Tags={"team": "shop"})
    read = catalog.get_function(room, OWNER, {"FunctionName": "hook"})
    assert read["Code"]["RepositoryType"] == "S3"
    assert read["Tags"] == {"team": "shop"}


def test_the_only_version_of_an_object_may_be_named(room: Functions):
    room.objects.put("s3://code/hook.zip", zipped({"app.py": "x = 1"}))
    code = {"S3Bucket": "code", "S3Key": "hook.zip"}
    create(room, Code={**code, "S3ObjectVersion": "null"})
    with pytest.raises(NotBuilt, match="S3ObjectVersion"):
        create(room, FunctionName="other", Code={**code, "S3ObjectVersion": "3sL4kqtJlcpXro"})


def test_code_can_come_from_a_bucket(room: Functions):
    room.objects.put("s3://deploys/hook.zip", CODE)
    made = create(room, Code={"S3Bucket": "deploys", "S3Key": "hook.zip"})
    assert made["CodeSize"] == len(CODE)


REFUSED: dict[str, tuple[dict[str, Any], type[TailorbirdError], str, str]] = {
    "unknown runtime": (
        {"Runtime": "cobol"},
        Invalid,
        "InvalidParameterValueException",
        "Value cobol at 'runtime' failed to satisfy constraint: Member must satisfy enum value set",
    ),
    "no handler": (
        {"Handler": None},
        Invalid,
        "InvalidParameterValueException",
        "Runtime and Handler are mandatory parameters",
    ),
    "timeout 0": ({"Timeout": 0}, Invalid, "ValidationException", "greater than or equal to 1"),
    "timeout 901": ({"Timeout": 901}, Invalid, "ValidationException", "less than or equal to 900"),
    "memory 127": ({"MemorySize": 127}, Invalid, "ValidationException", "or equal to 128"),
    "memory 10241": ({"MemorySize": 10_241}, Invalid, "ValidationException", "or equal to 10240"),
    "storage 511": (
        {"EphemeralStorage": {"Size": 511}},
        Invalid,
        "ValidationException",
        "or equal to 512",
    ),
    "variables over 4 KB": (
        {"Environment": {"Variables": {"k": "v" * 4096}}},
        Invalid,
        "InvalidParameterValueException",
        "exceeded the 4KB limit. String measured: {",
    ),
    "a reserved variable": (
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        Invalid,
        "InvalidParameterValueException",
        "Reserved keys used in this request: AWS_REGION",
    ),
    "six layers": (
        {"Layers": [f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:l{n}:1" for n in range(6)]},
        Invalid,
        "InvalidParameterValueException",
        "Cannot reference more than 5 layers.",
    ),
    "no zip": (
        {"Code": {"ZipFile": b"text"}},
        Invalid,
        "InvalidParameterValueException",
        "Could not unzip uploaded file",
    ),
    "no code": (
        {"Code": {}},
        Invalid,
        "InvalidParameterValueException",
        "source for function code",
    ),
    "no such bucket": (
        {"Code": {"S3Bucket": "nobodys", "S3Key": "hook.zip"}},
        Invalid,
        "InvalidParameterValueException",
        "S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
    ),
    "no such object": (
        {"Code": {"S3Bucket": "deploys", "S3Key": "nope.zip"}},
        Invalid,
        "InvalidParameterValueException",
        "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
    ),
    "an image": ({"PackageType": "Image"}, NotBuilt, "", "Image"),
    "a network": ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, NotBuilt, "", "VpcConfig"),
    "a layer that is not there": (
        {"Layers": [f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:none:1"]},
        Invalid,
        "InvalidParameterValueException",
        f"Layer version arn:aws:lambda:us-east-1:{ACCOUNT}:layer:none:1 does not exist.",
    ),
    "a version of an object": (
        {"Code": {"S3Bucket": "deploys", "S3Key": "hook.zip", "S3ObjectVersion": "3"}},
        NotBuilt,
        "",
        "S3ObjectVersion",
    ),
    "code by reference": (
        {"Code": {"S3Bucket": "deploys", "S3Key": "k", "S3ObjectStorageMode": "REFERENCE"}},
        NotBuilt,
        "",
        "S3ObjectStorageMode REFERENCE",
    ),
    "encrypted code": (
        {"Code": {"ZipFile": CODE, "SourceKMSKeyArn": "arn:aws:kms:us-east-1:1:key/k"}},
        NotBuilt,
        "",
        "SourceKMSKeyArn",
    ),
    "a dead letter queue": (
        {"DeadLetterConfig": {"TargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"}},
        NotBuilt,
        "",
        "DeadLetterConfig",
    ),
    "a snapshot": ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, NotBuilt, "", "SnapStart"),
    "51 tags": (
        {"Tags": {f"k{n}": "v" for n in range(51)}},
        Invalid,
        "InvalidParameterValueException",
        "Number of tags exceeds resource tag limit",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_lambda_refuses_is_refused_and_leaves_nothing(room: Functions, case: str):
    members, kind, code, text = REFUSED[case]
    room.objects.create_bucket("deploys")
    with pytest.raises(kind) as refused:
        create(room, **members)
    assert text in refused.value.message
    assert (refused.value.code or "") == code
    assert catalog.list_functions(room, OWNER, {})["Functions"] == []


def test_variables_of_exactly_4_kb_pass(room: Functions):
    value = "v" * (4096 - len('{"key":""}'))
    create(room, Environment={"Variables": {"key": value}})
    with pytest.raises(Invalid):
        create(room, FunctionName="other", Environment={"Variables": {"key": value + "v"}})


def test_a_name_is_given_once(room: Functions):
    create(room)
    with pytest.raises(Conflict) as refused:
        create(room)
    assert refused.value.code == "ResourceConflictException"


def test_a_role_that_does_not_trust_lambda_is_refused(room: Functions):
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pinpoint.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    roles.create_role(room.access, ACCOUNT, "functions", json.dumps(trust))
    with pytest.raises(Invalid, match="cannot be assumed by Lambda"):
        create(room)


def test_functions_are_listed_by_name_in_pages(room: Functions):
    for name in ("c", "a", "b"):
        create(room, FunctionName=name)
    first = catalog.list_functions(room, OWNER, {"MaxItems": 2})
    rest = catalog.list_functions(room, OWNER, {"Marker": first["NextMarker"]})
    pages = [[f["FunctionName"] for f in page["Functions"]] for page in (first, rest)]
    assert pages == [["a", "b"], ["c"]]
    assert "NextMarker" not in rest


def test_a_foreign_marker_is_refused(room: Functions):
    with pytest.raises(Invalid, match="Marker"):
        catalog.list_functions(room, OWNER, {"Marker": "?"})


def test_configuration_changes_and_the_rest_stays(room: Functions):
    create(room, Timeout=7, Environment={"Variables": {"a": "1"}})
    change = {"FunctionName": "hook", "MemorySize": 256, "Description": "new"}
    changed = catalog.update_function_configuration(room, OWNER, change)
    assert changed["LastUpdateStatus"] == "InProgress"
    read = get(room)
    assert (read["MemorySize"], read["Description"], read["Timeout"]) == (256, "new", 7)
    assert read["Environment"] == {"Variables": {"a": "1"}}
    assert read["LastUpdateStatus"] == "Successful"


def test_code_changes_its_digest_and_revision(room: Functions):
    before = create(room)
    new = zipped({"app.py": "def handler(event, context): return 2"})
    catalog.update_function_code(room, OWNER, {"FunctionName": "hook", "ZipFile": new})
    after = get(room)
    assert after["CodeSha256"] != before["CodeSha256"]
    assert after["RevisionId"] != before["RevisionId"]


def test_a_dry_run_of_new_code_changes_nothing(room: Functions):
    create(room)
    before = get(room)
    new = zipped({"app.py": "x = 1"})
    catalog.update_function_code(
        room, OWNER, {"FunctionName": "hook", "ZipFile": new, "DryRun": True}
    )
    assert get(room) == before


def test_a_stale_revision_is_refused(room: Functions):
    create(room)
    with pytest.raises(Conflict, match="Revision Id provided does not match") as refused:
        catalog.update_function_configuration(
            room, OWNER, {"FunctionName": "hook", "Timeout": 5, "RevisionId": "old"}
        )
    assert refused.value.code == "PreconditionFailedException"
    assert get(room)["Timeout"] == 3


def test_a_deleted_function_is_gone(room: Functions):
    create(room)
    catalog.delete_function(room, OWNER, {"FunctionName": "hook"})
    with pytest.raises(NotFound, match=f"Function not found: {ARN}"):
        get(room)
    with pytest.raises(NotFound):
        catalog.delete_function(room, OWNER, {"FunctionName": "hook"})


def test_latest_cannot_be_deleted_alone(room: Functions):
    create(room)
    with pytest.raises(Invalid, match="cannot be deleted without deleting the function"):
        catalog.delete_function(room, OWNER, {"FunctionName": "hook:$LATEST"})


def test_a_function_of_another_account_or_region_is_not_found(room: Functions):
    create(room)
    with pytest.raises(NotFound, match="Function not found"):
        get(room, ARN.replace(ACCOUNT, "9" * 12))
    away = ARN.replace("us-east-1", "eu-west-1")
    with pytest.raises(NotFound, match="'eu-west-1' are not reachable in this region"):
        get(room, away)


def test_a_vpc_of_nothing_is_no_vpc(room: Functions):
    create(room, VpcConfig={"SubnetIds": [], "SecurityGroupIds": []})
    assert get(room)["VpcConfig"]["VpcId"] == ""


def test_a_function_is_not_changed_by_its_version(room: Functions):
    create(room)
    change = {"FunctionName": "hook:1", "Timeout": 5}
    with pytest.raises(Invalid, match="permitted on Lambda functions only"):
        catalog.update_function_configuration(room, OWNER, change)
    catalog.update_function_configuration(room, OWNER, {**change, "FunctionName": "hook:$LATEST"})
    assert get(room)["Timeout"] == 5


def test_a_function_is_read_by_its_latest_qualifier(room: Functions):
    create(room)
    assert get(room, "hook:$LATEST")["FunctionArn"] == ARN + ":$LATEST"
    with pytest.raises(NotFound, match="hook:7"):
        get(room, "hook:7")


def test_a_longer_timeout_is_a_setting(db: Database, tmp_path: Path):
    given = {"data": tmp_path / "data", "functions_max_timeout_seconds": 5400}
    settings = settings_module.load(given, environment={}, folder=tmp_path)
    room = open_workshop(db, settings)
    assert create(room, Timeout=5400)["Timeout"] == 5400
    room.stop()
