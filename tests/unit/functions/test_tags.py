"""Tags of functions."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.errors import Invalid, NotBuilt, NotFound
from tailorbird.functions import Functions, catalog, tags
from tests.unit.functions.conftest import OWNER
from tests.unit.functions.test_catalog import ARN, create


def tag(room: Functions, given: dict[str, str], arn: str = ARN) -> None:
    tags.tag_resource(room, OWNER, {"Resource": arn, "Tags": given})


def listed(room: Functions) -> dict[str, Any]:
    found: dict[str, Any] = tags.list_tags(room, OWNER, {"Resource": ARN})["Tags"]
    return found


def test_tags_are_added_overwritten_and_taken_away(room: Functions):
    create(room, Tags={"team": "shop", "stage": "test"})
    tag(room, {"stage": "live", "owner": "ana"})
    assert listed(room) == {"team": "shop", "stage": "live", "owner": "ana"}
    tags.untag_resource(room, OWNER, {"Resource": ARN, "TagKeys": ["team", "owner", "none"]})
    assert listed(room) == {"stage": "live"}
    read = catalog.get_function(room, OWNER, {"FunctionName": "hook"})
    assert read["Tags"] == {"stage": "live"}


def test_a_function_without_tags_shows_none(room: Functions):
    create(room)
    assert listed(room) == {}
    assert "Tags" not in catalog.get_function(room, OWNER, {"FunctionName": "hook"})


def test_a_function_has_at_most_50_tags(room: Functions):
    create(room, Tags={f"k{n}": "v" for n in range(50)})
    tag(room, {"k7": "other"})
    with pytest.raises(Invalid, match="Number of tags exceeds resource tag limit"):
        tag(room, {"k50": "v"})
    assert len(listed(room)) == 50


REFUSED: dict[str, tuple[dict[str, str], str, type[Exception], str]] = {
    "a key of AWS's": ({"aws:owner": "me"}, ARN, Invalid, "aws:"),
    "a version": ({"a": "b"}, f"{ARN}:1", Invalid, "aliases and versions are not supported"),
    "another thing": (
        {"a": "b"},
        ARN.replace("function:hook", "event-source-mapping:5f0d7e4c"),
        NotBuilt,
        "functions alone have tags",
    ),
    "nobody": ({"a": "b"}, ARN + "s", NotFound, f"Function not found: {ARN}s"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_tagged(room: Functions, case: str):
    create(room, Publish=True)
    given, arn, kind, text = REFUSED[case]
    with pytest.raises(kind, match=text):
        tag(room, given, arn)
    assert listed(room) == {}
