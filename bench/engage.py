"""Endpoints a second: written in batches, resolved, through a FILTER hook, to a null channel.

    python -m bench.engage [endpoints] [database url]

The yardstick of a hooked campaign is the same campaign without its hook. Processor time is that of
this process; functions run in their own.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tailorbird import settings
from tailorbird.access import Access, Caller
from tailorbird.channels import SUCCESSFUL, Channels, Message, Receipt
from tailorbird.clock import SystemClock
from tailorbird.engage import (
    Engage,
    activities,
    apps,
    audience,
    campaigns,
    channel_settings,
    endpoints,
    job_kinds,
    segments,
)
from tailorbird.functions import Functions, catalog, permissions
from tailorbird.store import Database, Jobs, Objects, Worker
from tailorbird.store.migrations import upgrade
from tailorbird.store.processes import spare_the_collector

CALLER = Caller("123456789012", "us-east-1", "arn:aws:iam::123456789012:root", "AKIA", "r")
ROOT = Path(__file__).resolve().parent.parent
MESSAGE = {
    "EmailMessage": {
        "FromAddress": "shop@example.com",
        "Title": "{{User.UserAttributes.name}}, picked for you",
        "HtmlBody": "<p>Hello {{User.UserAttributes.name}}, {{Attributes.Interests}}.</p>" * 10,
        "Body": "Hello {{User.UserAttributes.name}}",
    }
}
PYTHON = "def handler(event, context):\n    return event['Endpoints']\n"
DEFAULT_ENDPOINTS = 20_000
POLL_SECONDS = 0.2


class Null:
    """A channel that takes everything and does nothing."""

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        return [Receipt(SUCCESSFUL, 200, "", message.id) for message in messages]

    def close(self) -> None:
        pass


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ENDPOINTS
    with tempfile.TemporaryDirectory() as folder, house(Path(folder)) as room:
        app = set_up(room)
        took = timed(lambda: write(room, app, range(count)))
        show("UpdateEndpointsBatch, new", count, took)
        took = timed(lambda: write(room, app, range(count)))
        show("UpdateEndpointsBatch, again", count, took)
        resolve(room, app, count)
        plain = run(room, app, count, "campaign, no hook", None)
        for name, source, runtime in (
            ("python", PYTHON, "python3.11"),
            ("node", (ROOT / "examples/hooks/credit-score/index.js").read_text(), "nodejs20.x"),
        ):
            add_function(room, name, source, runtime)
            hooked = run(room, app, count, f"campaign, {name} hook", name)
            print(f"{'':<32}x{hooked / plain:.2f} of no hook")


@contextmanager
def house(folder: Path) -> Iterator[Engage]:
    """The rooms that a campaign needs, on SQLite or the given database."""
    values = settings.load({"data": folder, "inbox_fsync": False}, {})
    url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{folder / 'bench.db'}"
    db, clock = Database(url), SystemClock()
    upgrade(db)
    jobs, objects = Jobs(db, clock), Objects(folder / "objects", values)
    workshop = Functions(db, jobs, objects, clock, values, Access(db, clock, values))
    channels = Channels(db, clock, values)
    channels.once("channel EMAIL", Null)
    room = Engage(db, jobs, objects, clock, values, workshop, channels, None)
    worker = Worker(jobs, job_kinds(room), threads=values.worker_threads)
    worker.start()
    spare_the_collector()  # as the house does
    yield room
    worker.stop()
    room.stop()
    workshop.stop()
    db.close()


def set_up(room: Engage) -> str:
    wanted = {"CreateApplicationRequest": {"Name": "bench"}}
    app = str(apps.create_app(room, CALLER, wanted)["ApplicationResponse"]["Id"])
    sender = {"FromAddress": "shop@example.com", "Identity": "example.com"}
    request = {"ApplicationId": app, "EmailChannelRequest": sender}
    channel_settings.update_email_channel(room, CALLER, request)
    return app


def endpoint(n: int) -> dict[str, Any]:
    """About 340 bytes, as the measurements of the storage engines used."""
    return {
        "Id": f"endpoint-{n:07}",
        "ChannelType": "EMAIL",
        "Address": f"person{n}@example.com",
        "Attributes": {"Interests": [("cooking", "tea", "chess")[n % 3]], "tier": ["gold"]},
        "Demographic": {"Platform": ("ios", "android")[n % 2], "Timezone": "Europe/Amsterdam"},
        "Location": {"Country": "NL", "City": "Delft", "Latitude": 52.0, "Longitude": 4.4},
        "Metrics": {"score": float(n % 100)},
        "User": {"UserId": f"u{n}", "UserAttributes": {"name": ["Ana"], "age": [str(n % 80)]}},
    }


def write(room: Engage, app: str, numbers: range) -> None:
    for start in range(0, len(numbers), endpoints.MAX_BATCH):
        batch = [endpoint(n) for n in numbers[start : start + endpoints.MAX_BATCH]]
        request = {"ApplicationId": app, "EndpointBatchRequest": {"Item": batch}}
        endpoints.update_endpoints_batch(room, CALLER, request)


def resolve(room: Engage, app: str, count: int) -> None:
    tea = {"Attributes": {"Interests": {"AttributeType": "INCLUSIVE", "Values": ["tea"]}}}
    aged = {"UserAttributes": {"age": {"AttributeType": "INCLUSIVE", "Values": ["40"]}}}
    for name, dimensions in (("everybody", {}), ("an attribute", tea), ("a user attribute", aged)):
        segment_id = segment(room, app, dimensions)
        with room.db.read() as conn:
            found = apps.by_id(conn, app)
            held = segments.find(conn, found, segment_id)
        took = timed(lambda held=held, found=found: audience.count(room, found, held))
        show(f"segment: {name}", count, took)


def segment(room: Engage, app: str, dimensions: dict[str, Any]) -> str:
    wanted = {"Name": "bench", "Dimensions": dimensions}
    request = {"ApplicationId": app, "WriteSegmentRequest": wanted}
    return str(segments.create_segment(room, CALLER, request)["SegmentResponse"]["Id"])


def run(room: Engage, app: str, count: int, name: str, hook: str | None) -> float:
    """One campaign to everybody; endpoints a second from creation to the last ledger row."""
    wanted: dict[str, Any] = {
        "Name": name,
        "SegmentId": segment(room, app, {}),
        "MessageConfiguration": MESSAGE,
        "Schedule": {"StartTime": "IMMEDIATE"},
    }
    if hook:
        wanted["Hook"] = {"LambdaFunctionName": hook, "Mode": "FILTER"}
    request = {"ApplicationId": app, "WriteCampaignRequest": wanted}
    watch = Watch()
    made = campaigns.create_campaign(room, CALLER, request)["CampaignResponse"]
    shown = {"ApplicationId": app, "CampaignId": made["Id"]}
    while True:
        (activity,) = activities.get_campaign_activities(room, CALLER, shown)["ActivitiesResponse"][
            "Item"
        ]
        if activity["State"] == activities.COMPLETED:
            break
        time.sleep(POLL_SECONDS)
    took = watch.read()
    if activity["SuccessfulEndpointCount"] != count:
        sys.exit(f"{name}: {activity}")
    show(name, count, took)
    return count / took.seconds


def add_function(room: Engage, name: str, source: str, runtime: str) -> None:
    file = "index.js" if runtime.startswith("node") else "app.py"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(file, source)
    request: dict[str, Any] = {
        "FunctionName": name,
        "Runtime": runtime,
        "Handler": f"{file.partition('.')[0]}.handler",
        "Role": "arn:aws:iam::123456789012:role/hooks",
        "Code": {"ZipFile": packed.getvalue()},
    }
    catalog.create_function(room.functions, CALLER, request)
    request = {
        "FunctionName": name,
        "StatementId": "pinpoint",
        "Action": "lambda:InvokeFunction",
        "Principal": "pinpoint.us-east-1.amazonaws.com",
        "SourceArn": "arn:aws:mobiletargeting:us-east-1:123456789012:apps/*",
    }
    permissions.add_permission(room.functions, CALLER, request)


class Took(NamedTuple):
    seconds: float
    processor: float


class Watch:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def read(self) -> Took:
        return Took(time.perf_counter() - self.wall, time.process_time() - self.processor)


def timed(deed: Any) -> Took:
    watch = Watch()
    deed()
    return watch.read()


def show(name: str, count: int, took: Took) -> None:
    each = took.processor / count * 1e6
    print(
        f"{name:<32}{count / took.seconds:>10,.0f} endpoints/s {each:>7.1f} us processor each",
        flush=True,
    )


if __name__ == "__main__":
    main()
