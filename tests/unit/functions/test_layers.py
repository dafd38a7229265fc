"""Layers: published, listed, used in order under /opt, shared with other accounts by permission."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tailorbird.errors import Conflict, Denied, Invalid, NotBuilt, NotFound, TooLarge
from tailorbird.functions import Functions, catalog, layer_permissions, layers, packages
from tests.unit.functions.conftest import ACCOUNT, OWNER, Workshop, zipped
from tests.unit.functions.test_catalog import create, get

ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:tools"
CONTENT = zipped({"python/tool.py": "NAME = 'tool'"})
STRANGER = replace(OWNER, account="9" * 12, principal=f"arn:aws:iam::{'9' * 12}:root")


def publish(room: Functions, **members: Any) -> dict[str, Any]:
    request = {"LayerName": "tools", "Content": {"ZipFile": CONTENT}, **members}
    return layers.publish_layer_version(room, OWNER, request)


def test_a_layer_version_is_numbered_and_described(room: Functions):
    made = publish(
        room,
        Description="common tools",
        CompatibleRuntimes=["python3.12"],
        CompatibleArchitectures=["x86_64"],
        LicenseInfo="MIT",
    )
    content = made.pop("Content")
    assert made.pop("CreatedDate").endswith("+0000")
    assert made == {
        "LayerArn": ARN,
        "LayerVersionArn": f"{ARN}:1",
        "Version": 1,
        "Description": "common tools",
        "CompatibleRuntimes": ["python3.12"],
        "CompatibleArchitectures": ["x86_64"],
        "LicenseInfo": "MIT",
    }
    assert content["CodeSize"] == len(CONTENT)
    assert len(content["CodeSha256"]) == 44
    assert "X-Amz-Signature" in content["Location"]
    assert publish(room)["Version"] == 2


def test_a_layer_version_is_read_by_name_by_arn_and_by_its_whole_arn(room: Functions):
    publish(room)
    found = [
        layers.get_layer_version(room, OWNER, {"LayerName": "tools", "VersionNumber": 1}),
        layers.get_layer_version(room, OWNER, {"LayerName": ARN, "VersionNumber": 1}),
        layers.get_layer_version_by_arn(room, OWNER, {"Arn": f"{ARN}:1"}),
    ]
    assert {each["LayerVersionArn"] for each in found} == {f"{ARN}:1"}


def test_content_comes_from_a_bucket_too(room: Functions):
    room.objects.put("s3://deploys/layer.zip", CONTENT)
    made = publish(room, Content={"S3Bucket": "deploys", "S3Key": "layer.zip"})
    assert made["Content"]["CodeSize"] == len(CONTENT)


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no zip": ({"Content": {"ZipFile": b"text"}}, Invalid, "Could not unzip uploaded file"),
    "nothing": ({"Content": {}}, Invalid, "source for function code"),
    "no object": (
        {"Content": {"S3Bucket": "deploys", "S3Key": "nope"}},
        Invalid,
        "S3 Error Code: NoSuchKey",
    ),
    "an object's version": (
        {"Content": {"S3Bucket": "deploys", "S3Key": "k", "S3ObjectVersion": "1"}},
        NotBuilt,
        "S3ObjectVersion",
    ),
    "too large a zip": (
        {"Content": {"ZipFile": b"x" * (packages.MAX_ZIPPED_BYTES + 1)}},
        TooLarge,
        "Zipped size must be smaller than 52428800 bytes",
    ),
    "an unknown runtime": ({"CompatibleRuntimes": ["cobol"]}, Invalid, "Value cobol at 'runtime'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_layer_is_refused(room: Functions, case: str):
    members, kind, text = REFUSED[case]
    room.objects.create_bucket("deploys")
    with pytest.raises(kind, match=text):
        publish(room, **members)
    assert layers.list_layers(room, OWNER, {}) == {"Layers": []}


def test_layers_are_listed_by_name_with_their_newest_fitting_version(room: Functions):
    publish(room, CompatibleRuntimes=["python3.12"])
    publish(room, CompatibleRuntimes=["nodejs20.x"])
    publish(room, LayerName="other")
    found = layers.list_layers(room, OWNER, {})["Layers"]
    assert [(each["LayerName"], each["LatestMatchingVersion"]["Version"]) for each in found] == [
        ("other", 1),
        ("tools", 2),
    ]
    [fits] = layers.list_layers(room, OWNER, {"CompatibleRuntime": "python3.12"})["Layers"]
    assert fits["LatestMatchingVersion"]["Version"] == 1
    first = layers.list_layers(room, OWNER, {"MaxItems": 1})
    rest = layers.list_layers(room, OWNER, {"Marker": first["NextMarker"]})["Layers"]
    assert [each["LayerName"] for each in rest] == ["tools"]


def test_versions_are_listed_newest_first_and_an_unknown_layer_has_none(room: Functions):
    for _ in range(3):
        publish(room)
    first = layers.list_layer_versions(room, OWNER, {"LayerName": "tools", "MaxItems": 2})
    assert [each["Version"] for each in first["LayerVersions"]] == [3, 2]
    rest = {"LayerName": "tools", "Marker": first["NextMarker"]}
    found = layers.list_layer_versions(room, OWNER, rest)["LayerVersions"]
    assert [each["Version"] for each in found] == [1]
    assert layers.list_layer_versions(room, OWNER, {"LayerName": "no"}) == {"LayerVersions": []}


def test_a_deleted_version_is_gone_for_new_functions_and_its_number_stays_given(room: Functions):
    publish(room)
    create(room, Layers=[f"{ARN}:1"])
    asked = {"LayerName": "tools", "VersionNumber": 1}
    for _ in range(2):
        layers.delete_layer_version(room, OWNER, asked)
    with pytest.raises(NotFound, match="The resource you requested does not exist"):
        layers.get_layer_version(room, OWNER, asked)
    with pytest.raises(Invalid, match=f"Layer version {ARN}:1 does not exist"):
        create(room, FunctionName="late", Layers=[f"{ARN}:1"])
    assert [each["Arn"] for each in get(room)["Layers"]] == [f"{ARN}:1"]
    assert publish(room)["Version"] == 2


def test_a_version_below_one_is_none(room: Functions):
    with pytest.raises(Invalid, match="Layer Version Cannot be less than 1"):
        layers.get_layer_version(room, OWNER, {"LayerName": "tools", "VersionNumber": 0})


def test_a_function_shows_its_layers_and_loses_them_with_an_empty_list(room: Functions):
    publish(room)
    made = create(room, Layers=[f"{ARN}:1"])
    assert made["Layers"] == [{"Arn": f"{ARN}:1", "CodeSize": len(CONTENT)}]
    update = {"FunctionName": "hook"}
    catalog.update_function_configuration(room, OWNER, {**update, "Timeout": 9})
    assert "Layers" in get(room)
    catalog.update_function_configuration(room, OWNER, {**update, "Layers": []})
    assert "Layers" not in get(room)


def test_five_layers_pass_and_six_do_not(room: Functions):
    arns = [publish(room, LayerName=f"l{n}")["LayerVersionArn"] for n in range(6)]
    create(room, Layers=arns[:5])
    with pytest.raises(Invalid, match="Cannot reference more than 5 layers"):
        catalog.update_function_configuration(room, OWNER, {"FunctionName": "hook", "Layers": arns})


def test_two_versions_of_one_layer_do_not_go_together(room: Functions):
    for _ in range(2):
        publish(room)
    with pytest.raises(Invalid, match="Two different versions of the same layer"):
        create(room, Layers=[f"{ARN}:1", f"{ARN}:2"])


def test_a_layer_of_another_region_does_not_go(room: Functions):
    away = ARN.replace("us-east-1", "eu-west-1")
    with pytest.raises(Invalid, match="Layers are expected to be in region us-east-1"):
        create(room, Layers=[f"{away}:1"])


def test_code_and_layers_together_hold_at_most_250_mb(room: Functions):
    half = zipped_bytes(packages.MAX_UNZIPPED_BYTES // 2)
    first = publish(room, Content={"ZipFile": half})["LayerVersionArn"]
    second = publish(room, LayerName="more", Content={"ZipFile": half})["LayerVersionArn"]
    text = (
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes."
        r" The actual size is \d+ bytes."
    )
    with pytest.raises(Invalid, match=text):
        create(room, Layers=[first, second])
    create(room, Layers=[first])
    change = {"FunctionName": "hook", "Layers": [first, second]}
    with pytest.raises(Invalid, match=text):
        catalog.update_function_configuration(room, OWNER, change)
    with pytest.raises(Invalid, match=text):
        code = zipped_bytes(packages.MAX_UNZIPPED_BYTES // 2 + 1)
        catalog.update_function_code(room, OWNER, {"FunctionName": "hook", "ZipFile": code})


def zipped_bytes(size: int) -> bytes:
    """A small zip of a large file of zeros."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("zeros", b"\0" * size)
    return buffer.getvalue()


# permissions of layer versions


def allow(room: Functions, **members: Any) -> dict[str, Any]:
    request = {
        "LayerName": "tools",
        "VersionNumber": 1,
        "StatementId": "sid",
        "Action": "lambda:GetLayerVersion",
        "Principal": "9" * 12,
        **members,
    }
    return layer_permissions.add_layer_version_permission(room, OWNER, request)


def read_by_arn(room: Functions, caller: Any) -> None:
    layers.get_layer_version_by_arn(room, caller, {"Arn": f"{ARN}:1"})


def test_another_account_needs_a_permission(room: Functions):
    publish(room)
    with pytest.raises(Denied, match="no resource-based policy allows the lambda:GetLayerVersion"):
        read_by_arn(room, STRANGER)
    allow(room)
    read_by_arn(room, STRANGER)
    gone = {"LayerName": "tools", "VersionNumber": 1, "StatementId": "sid"}
    layer_permissions.remove_layer_version_permission(room, OWNER, gone)
    with pytest.raises(Denied):
        read_by_arn(room, STRANGER)


def test_everybody_may_be_let_in(room: Functions):
    publish(room)
    with pytest.raises(Denied):
        read_by_arn(room, STRANGER)
    allow(room, Principal="*")
    read_by_arn(room, STRANGER)  # raises nothing


def test_the_statement_is_written_as_lambda_writes_it(room: Functions):
    publish(room)
    made = allow(room, Principal="*", OrganizationId="o-1234567890")
    assert json.loads(made["Statement"]) == {
        "Sid": "sid",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "lambda:GetLayerVersion",
        "Resource": f"{ARN}:1",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
    }
    asked = {"LayerName": "tools", "VersionNumber": 1}
    policy = layer_permissions.get_layer_version_policy(room, OWNER, asked)
    assert policy["RevisionId"] == made["RevisionId"]
    assert json.loads(policy["Policy"])["Statement"] == [json.loads(made["Statement"])]


def test_what_layer_permissions_refuse(room: Functions):
    asked = {"LayerName": "tools", "VersionNumber": 1}
    with pytest.raises(NotFound, match="The resource you requested does not exist"):
        allow(room)
    publish(room)
    with pytest.raises(NotFound, match="No policy is associated with the given resource"):
        layer_permissions.get_layer_version_policy(room, OWNER, asked)
    made = allow(room)
    with pytest.raises(Conflict, match=r"The statement id \(sid\) provided already exists"):
        allow(room)
    with pytest.raises(Conflict, match="Revision Id provided does not match") as refused:
        allow(room, StatementId="other", RevisionId="old")
    assert refused.value.code == "PreconditionFailedException"
    allow(room, StatementId="other", RevisionId=made["RevisionId"])
    with pytest.raises(NotFound, match="Statement none is not found in resource policy"):
        gone = {**asked, "StatementId": "none"}
        layer_permissions.remove_layer_version_permission(room, OWNER, gone)
    with pytest.raises(Invalid, match="OrganizationId"):
        allow(room, StatementId="third", OrganizationId="o-1234567890")
    with pytest.raises(Invalid, match="bigger than the limit") as refused_size:
        for number in range(200):
            allow(room, StatementId=f"s{number}")
    assert refused_size.value.code == "PolicyLengthExceededException"


# what functions find in /opt

TOOL = """
import os, tool
def handler(event, context):
    with open("/opt/text") as file:
        return [tool.NAME, file.read(), sorted(os.listdir("/opt"))]
"""


def test_layers_lie_in_opt_in_order_and_the_later_wins(workshop: Workshop):
    room = workshop.room
    first = {"python/tool.py": "NAME = 'first'", "text": "first", "only/first": ""}
    second = {"python/tool.py": "NAME = 'second'", "only": "a file where a folder was"}
    arns = [
        publish(room, LayerName=f"order{n}", Content={"ZipFile": zipped(files)})["LayerVersionArn"]
        for n, files in enumerate((first, second))
    ]
    done = workshop.run(TOOL, Layers=arns)
    assert json.loads(done.payload) == ["second", "first", ["only", "python", "text"]]
    done = workshop.run(TOOL, Layers=arns[::-1])
    assert json.loads(done.payload) == ["first", "first", ["only", "python", "text"]]


def test_a_layers_modules_are_found_by_nodejs(workshop: Workshop):
    files = {"nodejs/node_modules/tool/index.js": "exports.name = 'from the layer'"}
    arn = publish(workshop.room, LayerName="node", Content={"ZipFile": zipped(files)})
    source = "exports.handler = async () => require('tool').name"
    done = workshop.run(source, runtime="nodejs20.x", Layers=[arn["LayerVersionArn"]])
    assert done.payload == b'"from the layer"'


def test_a_layer_is_read_only_and_goes_with_the_next_configuration(workshop: Workshop):
    room = workshop.room
    arn = publish(room, LayerName="ro", Content={"ZipFile": zipped({"text": "x"})})
    source = """
import os
def handler(event, context):
    try:
        open("/opt/new", "w")
    except OSError:
        return os.path.exists("/opt/text")
"""
    name = workshop.create(source, Layers=[arn["LayerVersionArn"]])
    assert workshop.invoke(name).payload == b"true"
    catalog.update_function_configuration(room, OWNER, {"FunctionName": name, "Layers": []})
    assert workshop.invoke(name).payload == b"false"
