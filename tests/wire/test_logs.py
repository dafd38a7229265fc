"""What functions print can be read with CloudWatch Logs' own calls."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import aws
from tests.conftest import Server

AWS = str(Path(sys.prefix) / "bin" / "aws")
GROUP = "/aws/lambda/talker"
SOURCE = "def handler(event, context):\n    print('said', event['word'])"


@pytest.fixture(scope="module")
def talker(server: Server) -> Server:
    aws.python_function(server, "talker", SOURCE)
    for word in ("one", "two"):
        server.client("lambda").invoke(
            FunctionName="talker", Payload=json.dumps({"word": word}).encode()
        )
    return server


def test_the_group_of_a_function_is_listed(talker: Server) -> None:
    groups = talker.client("logs").describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    assert [group["logGroupName"] for group in groups] == [GROUP]


def test_groups_are_found_by_identifier_and_class(talker: Server) -> None:
    client = talker.client("logs")
    [group] = client.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    for asked in (GROUP, group["logGroupArn"]):
        found = client.describe_log_groups(logGroupIdentifiers=[asked])["logGroups"]
        assert [each["logGroupName"] for each in found] == [GROUP]
    assert client.describe_log_groups(logGroupClass="DELIVERY")["logGroups"] == []


def test_events_come_in_order_and_can_be_filtered(talker: Server) -> None:
    client = talker.client("logs")
    every = client.filter_log_events(logGroupName=GROUP)["events"]
    said = client.filter_log_events(logGroupName=GROUP, filterPattern="said")["events"]
    assert [e["message"].strip() for e in said] == ["said one", "said two"]
    assert [e["timestamp"] for e in every] == sorted(e["timestamp"] for e in every)
    assert len({e["eventId"] for e in every}) == len(every)


def test_a_stream_is_read_page_by_page(talker: Server) -> None:
    client = talker.client("logs")
    [stream] = client.describe_log_streams(logGroupName=GROUP)["logStreams"]
    where = {"logGroupName": GROUP, "logStreamName": stream["logStreamName"]}
    first = client.get_log_events(**where, startFromHead=True, limit=3)
    then = client.get_log_events(**where, nextToken=first["nextForwardToken"])
    whole = client.get_log_events(**where, startFromHead=True)["events"]
    assert first["events"] + then["events"] == whole


def test_the_command_line_reads_a_functions_log(talker: Server) -> None:
    done = subprocess.run(
        [AWS, "logs", "filter-log-events", "--log-group-name", GROUP, "--filter-pattern", "said",
         "--query", "events[].message", "--output", "text"],
        env=talker.cli_environment(),
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.stdout.split("\t") == ["said one", "said two\n"], done.stderr


def test_a_log_is_followed_as_aws_logs_tail_follows_it(talker: Server) -> None:
    """Version 2 of the command line asks page by page from a moment on, and again for what is new;
    an event it has seen already it knows by its id."""
    pages = talker.client("logs").get_paginator("filter_log_events")

    def ask(since: int) -> list[dict[str, Any]]:
        where = {"logGroupName": GROUP, "startTime": since, "interleaved": True}
        few = pages.paginate(**where, PaginationConfig={"PageSize": 2})
        return [event for page in few for event in page["events"]]

    seen = ask(0)
    ids = {event["eventId"] for event in seen}
    talker.client("lambda").invoke(FunctionName="talker", Payload=b'{"word": "three"}')
    new = [e for e in ask(max(e["timestamp"] for e in seen)) if e["eventId"] not in ids]
    assert [e["message"].strip() for e in new if "said" in e["message"]] == ["said three"]
    assert len(ask(0)) == len(seen) + len(new)


def test_a_group_that_is_not_there_is_said_to_be_missing(talker: Server) -> None:
    code, _ = aws.error_of(
        talker.client("logs").filter_log_events, logGroupName="/aws/lambda/nobody"
    )
    assert code == "ResourceNotFoundException"
