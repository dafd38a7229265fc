"""Versions: numbered, kept as they were, run as they were; and Publish beside a change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailorbird.errors import Conflict, Invalid, NotBuilt, NotFound
from tailorbird.functions import Functions, aliases, catalog, versions
from tests.unit.functions.conftest import OWNER, Workshop, zipped
from tests.unit.functions.test_catalog import ARN, create, get

NEW = zipped({"app.py": "def handler(event, context): return 2"})


def publish(room: Functions, **members: Any) -> dict[str, Any]:
    return versions.publish_version(room, OWNER, {"FunctionName": "hook", **members})


def update(room: Functions, **members: Any) -> dict[str, Any]:
    request = {"FunctionName": "hook", "ZipFile": NEW, **members}
    return catalog.update_function_code(room, OWNER, request)


def listed(room: Functions, **members: Any) -> list[str]:
    answer = versions.list_versions_by_function(room, OWNER, {"FunctionName": "hook", **members})
    return [each["Version"] for each in answer["Versions"]]


def test_a_version_is_latest_under_a_number_with_an_arn_of_its_own(room: Functions):
    made = create(room, Environment={"Variables": {"key": "1"}})
    version = publish(room, Description="first")
    expected = {
        "Version": "1",
        "FunctionArn": f"{ARN}:1",
        "Description": "first",
        "CodeSha256": made["CodeSha256"],
        "Environment": {"Variables": {"key": "1"}},
        "State": "Pending",
    }
    assert {name: version[name] for name in expected} == expected
    read = get(room, "hook:1")
    assert (read["State"], read["LastUpdateStatus"]) == ("Active", "Successful")
    assert get(room)["Description"] == ""


def test_a_version_stays_as_it_was_when_latest_changes(room: Functions):
    before = create(room)
    publish(room)
    update(room)
    change = {"FunctionName": "hook", "Timeout": 9}
    catalog.update_function_configuration(room, OWNER, change)
    kept = get(room, "hook:1")
    assert (kept["CodeSha256"], kept["Timeout"]) == (before["CodeSha256"], 3)


def test_nothing_changed_is_no_new_version(room: Functions):
    create(room)
    assert publish(room)["Version"] == "1"
    again = publish(room, Description="other words are no change")
    assert (again["Version"], again["Description"]) == ("1", "")
    update(room)
    assert publish(room)["Version"] == "2"
    assert listed(room) == ["$LATEST", "1", "2"]


def test_publishing_gives_latest_another_revision(room: Functions):
    before = create(room)
    publish(room, RevisionId=before["RevisionId"])
    assert get(room)["RevisionId"] != before["RevisionId"]
    with pytest.raises(Conflict, match="Revision Id provided does not match") as refused:
        publish(room, RevisionId=before["RevisionId"])
    assert refused.value.code == "PreconditionFailedException"


def test_the_digest_given_must_be_latests(room: Functions):
    made = create(room)
    with pytest.raises(Invalid, match=r"CodeSHA256 \(other\) is different from current CodeSHA256"):
        publish(room, CodeSha256="other")
    assert publish(room, CodeSha256=made["CodeSha256"])["Version"] == "1"


def test_publish_beside_a_change_answers_the_version(room: Functions):
    made = create(room, Publish=True)
    assert (made["Version"], made["FunctionArn"], made["State"]) == ("1", ARN, "Pending")
    changed = update(room, Publish=True)
    assert (changed["Version"], changed["FunctionArn"]) == ("2", f"{ARN}:2")
    assert get(room)["Version"] == "$LATEST"


def test_a_published_latest_of_managed_instances_is_not_built(room: Functions):
    create(room)
    with pytest.raises(NotBuilt, match="LATEST_PUBLISHED"):
        publish(room, PublishTo="LATEST_PUBLISHED")


def test_versions_are_listed_in_order_in_pages_by_qualified_arn(room: Functions):
    create(room, Publish=True)
    for number in range(2, 12):
        code = zipped({"app.py": f"def handler(event, context): return {number}"})
        update(room, ZipFile=code, Publish=True)
    answer = versions.list_versions_by_function(
        room, OWNER, {"FunctionName": "hook", "MaxItems": 3}
    )
    arns = [each["FunctionArn"] for each in answer["Versions"]]
    assert arns == [f"{ARN}:$LATEST", f"{ARN}:1", f"{ARN}:2"]
    rest = listed(room, Marker=answer["NextMarker"])
    assert rest == [str(number) for number in range(3, 12)]


def test_functions_are_listed_with_all_their_versions_when_asked(room: Functions):
    create(room, Publish=True)
    found = catalog.list_functions(room, OWNER, {"FunctionVersion": "ALL"})["Functions"]
    assert [each["FunctionArn"] for each in found] == [f"{ARN}:$LATEST", f"{ARN}:1"]


def test_a_version_is_deleted_alone_and_its_number_is_not_given_again(room: Functions):
    create(room, Publish=True)
    catalog.delete_function(room, OWNER, {"FunctionName": "hook", "Qualifier": "1"})
    assert listed(room) == ["$LATEST"]
    with pytest.raises(NotFound, match=f"Function not found: {ARN}:1"):
        get(room, "hook:1")
    update(room)
    assert publish(room)["Version"] == "2"


def test_a_version_an_alias_points_to_is_not_deleted(room: Functions):
    create(room, Publish=True)
    alias = {"FunctionName": "hook", "Name": "live", "FunctionVersion": "1"}
    aliases.create_alias(room, OWNER, alias)
    with pytest.raises(Conflict, match="live") as refused:
        catalog.delete_function(room, OWNER, {"FunctionName": "hook:1"})
    assert refused.value.code == "ResourceConflictException"
    with pytest.raises(Invalid, match="Deletion of aliases is not currently supported"):
        catalog.delete_function(room, OWNER, {"FunctionName": "hook:live"})


def test_an_unknown_function_has_no_versions(room: Functions):
    for call in (publish, listed):
        with pytest.raises(NotFound, match="Function not found"):
            call(room)


SOURCE = """
import os
def handler(event, context):
    return [STATE, os.environ["AWS_LAMBDA_FUNCTION_VERSION"], context.invoked_function_arn]
"""


def test_each_version_runs_its_own_code_and_says_which_it_is(workshop: Workshop):
    room = workshop.room
    name = workshop.create("STATE = 'old'" + SOURCE, Publish=True)
    code = zipped({"app.py": "STATE = 'new'" + SOURCE})
    catalog.update_function_code(room, OWNER, {"FunctionName": name, "ZipFile": code})
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    for qualifier, state in (("1", "old"), ("$LATEST", "new"), (None, "new")):
        done = workshop.invoke(name, qualifier=qualifier)
        version = qualifier or "$LATEST"
        asked = f"{arn}:{qualifier}" if qualifier else arn
        assert json.loads(done.payload) == [state, version, asked]
        assert done.executed_version == version
        assert f"Version: {version}" in (done.log_tail or "")
