"""The demo itself, on a small shop and on a small file: it ends well and its figures add up."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMO_SECONDS = 110
PEOPLE = 120


def demo(*words: str) -> str:
    """What `tailorbird demo --exit` prints, as one long line."""
    command = [sys.executable, "-m", "tailorbird", "demo", "--exit", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEMO_SECONDS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return " ".join(done.stdout.split())


def figure(pattern: str, output: str) -> int:
    found = re.search(pattern, output)
    assert found, f"{pattern!r} is not in: {output}"
    return int(found[1].replace(",", ""))


@pytest.mark.slow
@pytest.mark.timeout(DEMO_SECONDS + 10)
def test_the_demo_plays_the_whole_loop_on_a_generated_shop(tmp_path: Path) -> None:
    data = tmp_path / "data"
    output = demo(
        "--people", str(PEOPLE), "--products", "60", "--calls", "3000", "--data", str(data)
    )  # fmt: skip
    calls = figure(r"([\d,]+) calls through the Segment SDK", output)
    assert figure(r"([\d,]+) interactions from the archive", output) >= calls
    assert figure(r"endpoint: ([\d,]+) arrived", output) > 0
    assert figure(r"skip-recent-buyers \(python[\d.]+\): ([\d,]+) endpoints", output) == PEOPLE
    sent = [int(n.replace(",", "")) for n in re.findall(r"-> ([\d,]+) sent", output)]
    kept = [int(n.replace(",", "")) for n in re.findall(r"-> ([\d,]+) kept by the hook", output)]
    assert sent == kept
    assert len(sent) == 2
    assert 0 < sent[0] < PEOPLE
    mails = list((data / "inbox").glob("*/*/*.eml"))
    assert len(mails) == sum(sent) == figure(r"Inbox, ([\d,]+) mails", output)


@pytest.mark.slow
@pytest.mark.timeout(DEMO_SECONDS + 10)
def test_the_demo_plays_a_real_interactions_file(tmp_path: Path) -> None:
    choose = random.Random(1)
    rows = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
    rows += [
        f"user-{n % 60},item-{choose.randrange(10) * 3 + n % 3},Watch,{1_500_000_000 + n * 60}"
        for n in range(2_000)
    ]
    file = tmp_path / "interactions.csv"
    file.write_text("\n".join(rows) + "\n")
    output = demo("--interactions", str(file), "--data", str(tmp_path / "data"))
    assert "2,000 interactions of 60 users with 30 items" in output
    assert figure(r"([\d,]+) calls through the Segment SDK", output) == 2_000
    assert figure(r"skip-recent-buyers \(python[\d.]+\): ([\d,]+) endpoints", output) == 60
