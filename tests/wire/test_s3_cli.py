"""The AWS CLI's own s3 commands, as scripts run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

MIB = 1024 * 1024


@pytest.fixture
def aws(server: Any) -> Any:
    command = shutil.which("aws")
    if command is None:
        pytest.skip("the AWS CLI is not on this machine")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [command, *arguments], env=server.cli_environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_files_go_up_are_listed_and_come_down(aws: Any, tmp_path: Path) -> None:
    bucket = f"s3://b-{uuid.uuid4().hex[:12]}"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "small.csv").write_text("USER_ID,ITEM_ID,TIMESTAMP\n")
    (tmp_path / "in" / "large.bin").write_bytes(os.urandom(17 * MIB))
    aws("s3", "mb", bucket)
    aws("s3", "cp", str(tmp_path / "in"), f"{bucket}/raw events/", "--recursive", "--quiet")
    listed = aws("s3", "ls", bucket, "--recursive")
    assert [line.split(maxsplit=3)[2:] for line in listed.splitlines()] == [
        [str(17 * MIB), "raw events/large.bin"],
        ["26", "raw events/small.csv"],
    ]
    assert "PRE raw events/" in aws("s3", "ls", bucket)
    aws("s3", "sync", f"{bucket}/raw events", str(tmp_path / "out"), "--quiet")
    for file in (tmp_path / "in").iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
    aws("s3", "mv", f"{bucket}/raw events/small.csv", f"{bucket}/moved.csv", "--quiet")
    aws("s3", "rm", f"{bucket}/raw events/large.bin")
    assert aws("s3", "ls", f"{bucket}/", "--recursive").split()[-1] == "moved.csv"
    aws("s3", "rb", bucket, "--force")


def test_the_caller_is_the_account_of_the_credentials_file(aws: Any) -> None:
    said = aws("sts", "get-caller-identity", "--query", "Account", "--output", "text")
    assert said.strip() == "123456789012"
