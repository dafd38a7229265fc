"""Aliases: names for versions, in requests, in policies and in invocations, with weights."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tailorbird.errors import Conflict, Denied, Invalid, NotFound
from tailorbird.functions import (
    Functions,
    ServiceCaller,
    aliases,
    catalog,
    names,
    permissions,
)
from tailorbird.functions.resolve import resolve
from tests.unit.functions.conftest import ACCOUNT, OWNER, Workshop, zipped
from tests.unit.functions.test_catalog import ARN, create, get
from tests.unit.functions.test_versions import update

PINPOINT = ServiceCaller("pinpoint.us-east-1.amazonaws.com", None, ACCOUNT)


def two_versions(room: Functions) -> None:
    create(room, Publish=True)
    update(room, Publish=True)


def alias(room: Functions, **members: Any) -> dict[str, Any]:
    request = {"FunctionName": "hook", "Name": "live", "FunctionVersion": "1", **members}
    return aliases.create_alias(room, OWNER, request)


def change(room: Functions, **members: Any) -> dict[str, Any]:
    request = {"FunctionName": "hook", "Name": "live", **members}
    return aliases.update_alias(room, OWNER, request)


def weights(**shares: float) -> dict[str, Any]:
    return {"AdditionalVersionWeights": {key.removeprefix("v"): w for key, w in shares.items()}}


def test_an_alias_has_its_version_and_an_arn_of_its_own(room: Functions):
    two_versions(room)
    made = alias(room, Description="what is on")
    revision = made.pop("RevisionId")
    assert made == {
        "AliasArn": f"{ARN}:live",
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "what is on",
    }
    read = aliases.get_alias(room, OWNER, {"FunctionName": "hook", "Name": "live"})
    assert read == {**made, "RevisionId": revision}


def test_an_alias_names_the_function_wherever_a_qualifier_may_stand(room: Functions):
    two_versions(room)
    alias(room)
    for name in ("hook:live", f"{ARN}:live", f"{ACCOUNT}:function:hook:live"):
        read = get(room, name)
        assert (read["FunctionArn"], read["Version"]) == (f"{ARN}:live", "1")
    asked = {"FunctionName": "hook", "Qualifier": "live"}
    read = catalog.get_function(room, OWNER, asked)["Configuration"]
    assert (read["FunctionArn"], read["Version"]) == (f"{ARN}:live", "1")
    with pytest.raises(Invalid, match="does not match the specified qualifier"):
        catalog.get_function(room, OWNER, {**asked, "FunctionName": "hook:other"})


def test_an_alias_is_moved_and_its_revision_guards_it(room: Functions):
    two_versions(room)
    made = alias(room, Description="kept")
    moved = change(room, FunctionVersion="2", RevisionId=made["RevisionId"])
    assert (moved["FunctionVersion"], moved["Description"]) == ("2", "kept")
    with pytest.raises(Conflict, match="GetFunction/GetAlias") as refused:
        change(room, FunctionVersion="1", RevisionId=made["RevisionId"])
    assert refused.value.code == "PreconditionFailedException"


def test_weights_are_kept_and_taken_away(room: Functions):
    two_versions(room)
    alias(room, RoutingConfig=weights(v2=0.25))
    read = aliases.get_alias(room, OWNER, {"FunctionName": "hook", "Name": "live"})
    assert read["RoutingConfig"] == weights(v2=0.25)
    assert "RoutingConfig" in change(room, Description="weights stay")
    assert "RoutingConfig" not in change(room, RoutingConfig=weights())


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no such version": ({"FunctionVersion": "9"}, NotFound, f"Function not found: {ARN}:9"),
    "three versions": (
        {"RoutingConfig": weights(v2=0.1, v3=0.1)},
        Invalid,
        "AdditionalVersionWeights cannot be greater than 1",
    ),
    "$LATEST shared": (
        {"FunctionVersion": "$LATEST", "RoutingConfig": weights(v1=0.1)},
        Invalid,
        r"\$LATEST is not supported for an alias pointing to more than 1 version",
    ),
    "the same twice": (
        {"RoutingConfig": weights(v1=0.1)},
        Invalid,
        "Function version 1 is already included in routing configuration",
    ),
    "a second that is not there": ({"RoutingConfig": weights(v9=0.1)}, NotFound, f"{ARN}:9"),
    "an unknown function": ({"FunctionName": "nope"}, NotFound, "Function not found"),
    "a version of a function": ({"FunctionName": "hook:1"}, Invalid, "Lambda functions only"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_an_alias_may_not_be(room: Functions, case: str):
    two_versions(room)
    members, kind, text = REFUSED[case]
    with pytest.raises(kind, match=text):
        alias(room, **members)
    assert aliases.list_aliases(room, OWNER, {"FunctionName": "hook"}) == {"Aliases": []}


def test_a_name_is_given_once_and_a_missing_one_is_said(room: Functions):
    two_versions(room)
    with pytest.raises(NotFound, match=f"Cannot find alias arn: {ARN}:live"):
        aliases.get_alias(room, OWNER, {"FunctionName": "hook", "Name": "live"})
    with pytest.raises(NotFound, match=f"Alias not found: {ARN}:live"):
        change(room)
    alias(room)
    with pytest.raises(Conflict, match=f"Alias already exists: {ARN}:live") as refused:
        alias(room)
    assert refused.value.code == "ResourceConflictException"


def test_aliases_are_listed_by_name_in_pages_and_by_version(room: Functions):
    two_versions(room)
    for name, version in (("c", "1"), ("a", "2"), ("b", "1")):
        alias(room, Name=name, FunctionVersion=version)
    alias(room, Name="d", FunctionVersion="2", RoutingConfig=weights(v1=0.5))

    def found(**members: Any) -> tuple[list[str], dict[str, Any]]:
        answer = aliases.list_aliases(room, OWNER, {"FunctionName": "hook", **members})
        return [each["Name"] for each in answer["Aliases"]], answer

    first, answer = found(MaxItems=3)
    assert first == ["a", "b", "c"]
    assert found(Marker=answer["NextMarker"])[0] == ["d"]
    assert found(FunctionVersion="1")[0] == ["b", "c", "d"]


def test_a_deleted_alias_takes_its_policy_along_and_may_be_deleted_again(room: Functions):
    two_versions(room)
    alias(room)
    grant(room, "hook:live")
    for _ in range(2):
        aliases.delete_alias(room, OWNER, {"FunctionName": "hook", "Name": "live"})
    alias(room)
    with pytest.raises(NotFound):
        permissions.get_policy(room, OWNER, {"FunctionName": "hook:live"})


def grant(room: Functions, name: str) -> None:
    permissions.add_permission(
        room,
        OWNER,
        {
            "FunctionName": name,
            "StatementId": "sid",
            "Action": "lambda:InvokeFunction",
            "Principal": PINPOINT.service,
        },
    )


def may(room: Functions, name: str) -> bool:
    ref = names.parse(name, ACCOUNT, "us-east-1")
    try:
        permissions.check(room, ref, resolve(room, ref)[1], PINPOINT)
    except Denied:
        return False
    return True


@pytest.mark.parametrize("guarded", ["hook", "hook:1", "hook:live"])
def test_every_qualifier_has_a_policy_of_its_own(room: Functions, guarded: str):
    two_versions(room)
    alias(room)
    grant(room, guarded)
    assert [name for name in ("hook", "hook:1", "hook:live") if may(room, name)] == [guarded]
    policy = json.loads(permissions.get_policy(room, OWNER, {"FunctionName": guarded})["Policy"])
    assert policy["Statement"][0]["Resource"] == ARN.removesuffix("hook") + guarded


def test_a_refusal_at_an_alias_names_it_in_its_remedy(room: Functions):
    two_versions(room)
    alias(room)
    ref = names.parse("hook:live", ACCOUNT, "us-east-1")
    with pytest.raises(Denied, match="--function-name hook --qualifier live --statement-id"):
        permissions.check(room, ref, resolve(room, ref)[1], PINPOINT)


def test_weights_share_the_invocations_of_an_alias(room: Functions):
    two_versions(room)
    alias(room, RoutingConfig=weights(v2=0.3))
    ref = names.parse("hook:live", ACCOUNT, "us-east-1")
    drawn = Counter(resolve(room, ref)[0].version for _ in range(2000))
    assert set(drawn) == {"1", "2"}
    assert 0.25 < drawn["2"] / 2000 < 0.35


@pytest.mark.parametrize(("share", "version"), [(0.0, "1"), (1.0, "2")])
def test_none_and_all_are_weights_too(room: Functions, share: float, version: str):
    two_versions(room)
    alias(room, RoutingConfig=weights(v2=share))
    ref = names.parse("hook:live", ACCOUNT, "us-east-1")
    assert {resolve(room, ref)[0].version for _ in range(50)} == {version}


def test_an_alias_runs_its_version_and_a_moved_one_the_other_at_once(workshop: Workshop):
    room = workshop.room
    name = workshop.create("def handler(e, context): return context.function_version", Publish=True)
    code = zipped({"app.py": "def handler(e, context): return 'two'"})
    update(room, FunctionName=name, ZipFile=code, Publish=True)
    alias(room, FunctionName=name)
    done = workshop.invoke(f"{name}:live")
    assert (done.payload, done.executed_version) == (b'"1"', "1")
    change(room, FunctionName=name, FunctionVersion="2")
    done = workshop.invoke(name, qualifier="live")
    assert (done.payload, done.executed_version) == (b'"two"', "2")
    with pytest.raises(NotFound, match=f"{name}:other"):
        workshop.invoke(name, qualifier="other")
