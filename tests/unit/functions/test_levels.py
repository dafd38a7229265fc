"""Without bubblewrap functions still run, and the level says what they are not protected from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailorbird import settings as settings_module
from tailorbird.errors import Unavailable
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade
from tests.unit.functions.conftest import Workshop, open_workshop
from tests.unit.functions.test_node import pytestmark as needs_node


def open_at(level: str, folder: Path) -> Workshop:
    flags = {"data": folder / "data", "functions_sandbox": level}
    settings = settings_module.load(flags, environment={}, folder=folder)
    db = Database(settings.database())
    upgrade(db)
    return Workshop(open_workshop(db, settings))


@pytest.mark.parametrize("level", ["none", "rlimit"])
def test_python_runs_at_every_level(tmp_path: Path, level: str):
    workshop = open_at(level, tmp_path)
    source = """
import os, boto3
def handler(event, context):
    open(os.path.join(os.environ["TMPDIR"], "x"), "w").close()
    return [os.environ["AWS_LAMBDA_FUNCTION_NAME"], os.environ["AWS_ENDPOINT_URL"]]
"""
    done = workshop.run(source)
    assert json.loads(done.payload) == ["f1", workshop.room.url]
    assert workshop.room.level.startswith(level)
    workshop.room.stop()


@needs_node
@pytest.mark.parametrize("level", ["none", "rlimit"])
def test_node_runs_at_every_level(tmp_path: Path, level: str):
    workshop = open_at(level, tmp_path)
    done = workshop.run("exports.handler = async (e) => e.n;", {"n": 4}, runtime="nodejs20.x")
    assert done.payload == b"4"
    workshop.room.stop()


def test_a_timeout_is_kept_without_walls(tmp_path: Path):
    workshop = open_at("rlimit", tmp_path)
    done = workshop.run("def handler(event, context):\n    while True: pass", Timeout=1)
    assert json.loads(done.payload)["errorType"] == "Sandbox.Timedout"
    workshop.room.stop()


def test_a_level_that_does_not_exist_is_refused(tmp_path: Path):
    with pytest.raises(Unavailable, match="none, rlimit, bwrap"):
        open_at("docker", tmp_path).room.start()
