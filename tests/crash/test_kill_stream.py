"""kill -9 while an event stream delivers: every event that was accepted arrives, in order."""

from __future__ import annotations

import gzip
import json
from typing import Any

from tests import aws
from tests.conftest import wait_for
from tests.crash.test_kill import Mortal, mortal

REQUESTS, EACH = 20, 100
ARN = f"arn:aws:firehose:us-east-1:{aws.ACCOUNT}:deliverystream/out"
NOW = "2026-11-21T12:00:00Z"
__all__ = ["mortal"]


def test_a_stream_loses_nothing(mortal: Mortal) -> None:
    app = aws.create_app(mortal.server)
    client = mortal.server.client("pinpoint")
    wanted = {"DestinationStreamArn": ARN, "RoleArn": f"arn:aws:iam::{aws.ACCOUNT}:role/p"}
    client.put_event_stream(ApplicationId=app, WriteEventStream=wanted)
    for n in range(REQUESTS):
        if n in (REQUESTS // 3, REQUESTS - 1):
            wait_for(lambda: arrived(mortal))
            client = mortal.restart().client("pinpoint")
        found = {f"{n * EACH + k}": {"EventType": "tick", "Timestamp": NOW,
                 "Attributes": {"n": str(n * EACH + k)}} for k in range(EACH)}  # fmt: skip
        batch = {"ana": {"Endpoint": {}, "Events": found}}
        client.put_events(ApplicationId=app, EventsRequest={"BatchItem": batch})
    seen = wait_for(lambda: len(told := arrived(mortal)) >= REQUESTS * EACH and told, 60, 0.2)
    assert seen == [str(n) for n in range(REQUESTS * EACH)]


def arrived(mortal: Mortal) -> list[Any]:
    """Numbers of the events in the stream's files, the first time each is there."""
    folder = mortal.data / "objects" / "tailorbird-events" / "out"
    files = sorted(folder.rglob("*.gz"), key=lambda file: file.name)
    lines = [line for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    numbers = [json.loads(line)["attributes"].get("n") for line in lines]
    return list(dict.fromkeys(n for n in numbers if n is not None))
