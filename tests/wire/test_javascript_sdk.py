"""The AWS SDK for JavaScript v3 works when only the endpoint is changed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Server

FOLDER = Path(__file__).parent / "node"


def test_pinpoint_answers_the_javascript_sdk(server: Server) -> None:
    if shutil.which("node") is None or not (FOLDER / "node_modules").is_dir():
        pytest.skip("Node.js or its packages are not here (make setup installs them)")
    done = subprocess.run(
        ["node", FOLDER / "pinpoint.mjs"],
        env=server.cli_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer.pop("arn").startswith("arn:aws:mobiletargeting:eu-west-1:123456789012:apps/")
    assert answer == {
        "status": 201,
        "attributes": {"Interests": ["tea", "kettles"]},
        "metrics": {"visits": 2.5},
        "refusal": {"name": "NotFoundException", "status": 404},
    }
