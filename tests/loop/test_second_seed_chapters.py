"""The second seed's two chapters as the documents tell them: every command runs, in one shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Server

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
CHAPTERS = (
    (ROOT / "docs" / "prepare.md", "## Train your model, step by step"),
    (ROOT / "examples" / "segment-personalize" / "README.md", "## Live event updates"),
)
SECONDS = 240


def commands() -> str:
    """The shell blocks of the chapters, one after the other."""
    found = []
    for document, heading in CHAPTERS:
        _, _, chapter = document.read_text().partition(heading)
        found += BLOCK.findall(chapter.partition("\n## ")[0])
    return "set -euo pipefail\n" + "\n".join(found)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_the_chapters_can_be_followed_from_the_first_command_to_the_last(
    server: Server, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    folder = str(Path(sys.executable).parent)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "DATA": str(server.data),
        "HOST": server.url,
    }
    done = subprocess.run(
        ["bash", "-c", commands()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert re.search(r'"recommended_products":\["sku-\d+",', done.stdout), done.stdout[-2000:]
