"""The report says what was measured, and nothing it was not told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailorbird.demo.connecting import DESTINATION, OUR_HOOK, SEEDS_HOOK, examples, zipped
from tailorbird.demo.figures import Figures, Live, Mailing
from tailorbird.demo.learning import Learned
from tailorbird.demo.report import addresses, lines
from tailorbird.demo.sender import Sent
from tailorbird.remote import Remote

ACTIVITY = {
    "CampaignId": "c1",
    "TotalEndpointCount": 1500,
    "SuccessfulEndpointCount": 1100,
    "ExecutionMetrics": {
        "ENDPOINT_PRODUCED": "1500",
        "ENDPOINT_SENT": "1100",
        "FILTERED_OUT_BY_HOOK": "380",
        "HOOK_FAILED": "20",
    },
}


@pytest.fixture
def figures() -> Figures:
    return Figures(
        "a shop",
        application_id="app",
        seconds=30.0,
        identified=Sent(1500, 0.3),
        sent=Sent(50_000, 5.0),
        prepared={"rows": 52_000},
        learned=Learned("d", 1.0, 3.0, 0.45, 0.09, "c", "t"),
        live=Live(40, 80, 39, 12, 1.5, "Ana", ["a"], ["b"]),
        mailings=[Mailing("ours", "python3.11", ACTIVITY, 2.0)],
        mails=1100,
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("collect", "50,000 calls through the Segment SDK in 5.0 s: 10,000 calls/s"),
        ("prepare", "52,000 interactions"),
        ("learn", "NDCG@10 0.450 against 0.090 of popularity (5.0 times)"),
        ("live", "39 arrived, median 1.5 s, 12 with another list; Ana had a and has b"),
        ("engage", "1,500 endpoints -> 1,100 kept by the hook -> 1,100 sent"),
        ("engage", "380 left out by the hook, 20 the hook failed"),
        ("engage", "750 endpoints/s"),
    ],
)
def test_each_line_carries_its_figures(figures: Figures, line: str, said: str) -> None:
    assert said in dict(lines(figures))[line]


def test_a_sample_of_a_large_file_is_called_one(figures: Figures) -> None:
    figures.whole_file_rows = 1_469_307
    assert "a sample, so all 1,469,307 of the file" in dict(lines(figures))["prepare"]


def test_the_command_to_paste_names_credentials_endpoint_and_campaign(
    figures: Figures, tmp_path: Path
) -> None:
    (tmp_path / "api_token").write_text("t")
    command = dict(addresses(Remote("http://h:1", tmp_path), figures))["AWS CLI, to paste"]
    assert command.startswith(f"AWS_SHARED_CREDENTIALS_FILE={tmp_path}/credentials aws ")
    assert "--endpoint-url http://h:1" in command
    assert command.endswith("--application-id app --campaign-id c1")


@pytest.mark.parametrize("example", [DESTINATION, OUR_HOOK, SEEDS_HOOK], ids=lambda e: e.folder)
def test_the_functions_of_the_demo_are_among_the_examples(example: object) -> None:
    file = example.handler.partition(".")[0].encode()  # type: ignore[attr-defined]
    assert file in zipped(examples() / example.folder)  # type: ignore[attr-defined]
