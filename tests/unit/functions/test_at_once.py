"""Changes made at the same moment: none is lost, on both databases."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tailorbird.errors import Conflict
from tailorbird.functions import (
    Functions,
    catalog,
    layer_permissions,
    layers,
    permissions,
    tags,
    versions,
)
from tests.unit.functions.conftest import OWNER, Workshop, zipped
from tests.unit.functions.test_catalog import ARN, create
from tests.unit.functions.test_layers import allow, publish
from tests.unit.functions.test_permissions import GRANT

MANY = 12


def together(call: Any) -> list[Any]:
    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(call, range(MANY)))


def test_permissions_and_tags_are_all_kept(room: Functions):
    create(room)
    together(lambda n: permissions.add_permission(room, OWNER, {**GRANT, "StatementId": f"s{n}"}))
    policy = json.loads(permissions.get_policy(room, OWNER, {"FunctionName": "hook"})["Policy"])
    assert len(policy["Statement"]) == MANY
    together(lambda n: tags.tag_resource(room, OWNER, {"Resource": ARN, "Tags": {f"k{n}": "v"}}))
    assert len(tags.list_tags(room, OWNER, {"Resource": ARN})["Tags"]) == MANY


def test_one_state_is_published_once(room: Functions):
    create(room)
    made = together(lambda n: versions.publish_version(room, OWNER, {"FunctionName": "hook"}))
    assert {each["Version"] for each in made} == {"1"}


def test_of_changes_made_for_one_revision_one_is_taken(room: Functions):
    revision = create(room)["RevisionId"]

    def change(number: int) -> bool:
        request = {"FunctionName": "hook", "Timeout": 10 + number, "RevisionId": revision}
        try:
            catalog.update_function_configuration(room, OWNER, request)
        except Conflict:
            return False
        return True

    assert sum(together(change)) == 1


def test_layer_versions_are_numbered_one_by_one_and_keep_every_permission(room: Functions):
    made = together(lambda n: publish(room))
    assert sorted(each["Version"] for each in made) == list(range(1, MANY + 1))
    together(lambda n: allow(room, StatementId=f"s{n}"))
    asked = {"LayerName": "tools", "VersionNumber": 1}
    policy = layer_permissions.get_layer_version_policy(room, OWNER, asked)["Policy"]
    assert len(json.loads(policy)["Statement"]) == MANY
    listed = layers.list_layer_versions(room, OWNER, {"LayerName": "tools"})
    assert len(listed["LayerVersions"]) == MANY


def test_a_change_of_latest_leaves_the_warm_environments_of_versions_alone(workshop: Workshop):
    source = "runs = []\ndef handler(event, context): runs.append(1); return len(runs)"
    name = workshop.create(source, Publish=True)
    for expected in (b"1", b"2"):
        assert workshop.invoke(f"{name}:1").payload == expected
        assert workshop.invoke(name).payload == expected
    code = zipped({"app.py": source + "\n"})
    catalog.update_function_code(workshop.room, OWNER, {"FunctionName": name, "ZipFile": code})
    assert workshop.invoke(f"{name}:1").payload == b"3"
    assert workshop.invoke(name).payload == b"1"


def test_what_a_version_left_in_tmp_is_not_anothers(workshop: Workshop):
    source = """
import os, time
def handler(event, context):
    found = os.path.exists("/tmp/left")
    if event.get("leave"):
        open("/tmp/left", "w").close()
        os._exit(1)
    return found
"""
    name = workshop.create(source, Publish=True)
    workshop.invoke(f"{name}:1", {"leave": True})
    assert workshop.invoke(name).payload == b"false"
    assert workshop.invoke(f"{name}:1").payload == b"true"
