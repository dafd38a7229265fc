"""Schedules under the test clock, and what is beside the service's own calls, over the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tailorbird.errors import Invalid
from tailorbird.remote import Remote
from tests import aws
from tests.conftest import Server, start_server, wait_for


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start_server(tmp_path_factory.mktemp("desk") / "data", test_clock=True)
    yield started
    started.stop()


def api(server: Server) -> Remote:
    return Remote(server.url, server.data)


def command(server: Server, *words: str) -> list[dict[str, Any]]:
    found = subprocess.run(
        [sys.executable, "-m", "tailorbird", *words, "--url", server.url, "--data",
         str(server.data)],
        env=os.environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in found.stdout.splitlines()]


def campaign(server: Server, people: int, **given: Any) -> tuple[str, str, str]:
    """Application, segment and campaign."""
    app = aws.create_app(server)
    aws.put_people(server, app, [f"p{n}" for n in range(people)])
    segment = aws.create_segment(server, app)
    return app, segment, aws.create_campaign(server, app, segment, **given)


def test_a_week_of_a_daily_campaign_in_a_moment(desk: Server) -> None:
    api(desk).call("POST", "/_/clock", {"set": "2027-03-01T12:00:00Z"})
    schedule = {"StartTime": "2027-03-01T13:00:00Z", "Frequency": "DAILY"}
    app, _, made = campaign(desk, 3, Schedule=schedule)
    pinpoint = desk.client("pinpoint")  # signs with the true time

    def runs() -> list[dict[str, Any]]:
        answer = pinpoint.get_campaign_activities(ApplicationId=app, CampaignId=made)
        return [a for a in answer["ActivitiesResponse"]["Item"] if a["State"] == "COMPLETED"]

    for day in range(7):
        now = api(desk).call("POST", "/_/clock", {"advance": 86_400 if day else 3_601})["now"]
        assert now.startswith(f"2027-03-0{day + 1}T13:00:0")
        wait_for(lambda day=day: len(runs()) == day + 1)
    shown = pinpoint.get_campaign(ApplicationId=app, CampaignId=made)["CampaignResponse"]
    assert shown["State"] == {"CampaignStatus": "PENDING_NEXT_RUN"}
    assert len(list((desk.data / "inbox" / app / made).glob("*.eml"))) == 21


def test_the_clock_is_not_moved_without_the_setting(server: Server) -> None:
    with pytest.raises(Invalid, match="test_clock"):
        api(server).call("POST", "/_/clock", {"advance": 1})
    for body in ({}, {"advance": "x"}, {"set": "tomorrow"}, {"advance": 1, "set": "2027-01-01"}):
        with pytest.raises(Invalid):
            api(server).call("POST", "/_/clock", body)


def test_an_event_sends_a_campaign(desk: Server) -> None:
    event_filter = {
        "FilterType": "ENDPOINT",
        "Dimensions": {"EventType": {"DimensionType": "INCLUSIVE", "Values": ["cart"]}},
    }
    schedule = {"StartTime": "IMMEDIATE", "Frequency": "EVENT", "EventFilter": event_filter}
    app, _, made = campaign(desk, 3, Schedule=schedule)
    event = {"EventType": "cart", "Timestamp": "2027-03-01T12:00:00Z"}
    batch = {"p1": {"Endpoint": {}, "Events": {"e": event}}}
    answer = desk.client("pinpoint").put_events(
        ApplicationId=app, EventsRequest={"BatchItem": batch}
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    result = answer["EventsResponse"]["Results"]["p1"]["EventsItemResponse"]["e"]
    assert result == {"StatusCode": 202, "Message": "Accepted"}
    wait_for(lambda: aws.mails(desk, app, made))
    rows = api(desk).call("GET", f"/_/ledger?campaign={made}")["entries"]
    assert [(row["endpoint_id"], row["state"]) for row in rows] == [("p1", "sent")]


def test_dry_run_replay_and_explain_by_command(desk: Server) -> None:
    aws.python_function(desk, "broken", "def handler(event, context):\n    return None\n")
    app, segment, made = campaign(
        desk, 4, Hook={"LambdaFunctionName": "broken", "Mode": "FILTER"}
    )  # fmt: skip
    aws.allow_pinpoint(desk, "broken", app)
    aws.finished_activity(desk, app, made)
    rehearsed = command(desk, "dry-run", app, made, "--limit", "3")
    assert [one["outcome"] for one in rehearsed] == ["hook_failed"] * 3
    desk.client("lambda").delete_function(FunctionName="broken")
    keeps = "def handler(event, context):\n    return event['Endpoints']\n"
    aws.python_function(desk, "broken", keeps)
    aws.allow_pinpoint(desk, "broken", app)
    rehearsed = command(desk, "dry-run", app, made)
    assert [one["outcome"] for one in rehearsed] == ["would_send"] * 4
    (planned,) = command(desk, "replay-hooks", made)
    assert planned["endpoints"] == 4
    wait_for(lambda: len(aws.mails(desk, app, made)) == 4)
    *steps, counts = command(desk, "explain-segment", app, segment)
    assert (steps[0]["passes"], counts["members"]) == (4, 4)
    *_, one = command(desk, "explain-segment", app, segment, "--endpoint", "p1")
    assert one["is_member"] is True


def test_the_runs_of_a_campaign_and_the_attempts_at_its_hook_are_told(desk: Server) -> None:
    aws.python_function(desk, "throws", "def handler(event, context):\n    raise KeyError('x')\n")
    hook = {"LambdaFunctionName": "throws", "Mode": "FILTER"}
    app = aws.create_app(desk)
    aws.allow_pinpoint(desk, "throws", app)
    aws.put_people(desk, app, [f"p{n}" for n in range(60)])
    made = aws.create_campaign(desk, app, aws.create_segment(desk, app), Hook=hook)
    aws.finished_activity(desk, app, made)
    [run] = command(desk, "runs", made)
    assert (run["state"], run["settled"], run["sent"], run["hook_away"]) == (
        "COMPLETED", 60, 0, None,
    )  # fmt: skip
    lines = command(desk, "runs", made, "--attempts", "100")
    assert sorted((line["batch"], line["attempt"]) for line in lines) == [
        (batch, attempt) for batch in (0, 1) for attempt in (1, 2, 3)
    ]
    assert all("KeyError: 'x'" in line["detail"] for line in lines)
