"""The room on a fresh database, with the real inbox as its only channel."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tailorbird.access import Access, Caller
from tailorbird.channels import Channels
from tailorbird.clock import SystemClock, TestClock
from tailorbird.engage import Engage, apps, channel_settings, endpoints, job_kinds
from tailorbird.functions import Functions, catalog, permissions
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects, Worker
from tests.conftest import wait_for

CALLER = Caller("123456789012", "us-east-1", "arn:aws:iam::123456789012:root", "AKIA", "r-1")
NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z


@pytest.fixture
def clock() -> TestClock:
    return TestClock(NOON)


@pytest.fixture
def engage(
    db: Database, jobs: Jobs, objects: Objects, clock: SystemClock, settings: Settings
) -> Iterator[Engage]:
    channels = Channels(db, clock, settings)
    workshop = Functions(db, jobs, objects, clock, settings, Access(db, clock, settings))
    room = Engage(db, jobs, objects, clock, settings, workshop, channels, None)
    yield room
    room.stop()
    workshop.stop()
    channels.stop()


@pytest.fixture
def worker(engage: Engage, jobs: Jobs) -> Iterator[Worker]:
    started = Worker(jobs, job_kinds(engage), threads=2)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def app_id(engage: Engage) -> str:
    """An application whose email channel is set up."""
    wanted = {"CreateApplicationRequest": {"Name": "shop"}}
    app = apps.create_app(engage, CALLER, wanted)["ApplicationResponse"]["Id"]
    set_up_email(engage, app)
    return str(app)


def add_function(
    engage: Engage, name: str, source: str, runtime: str = "python3.11", **members: Any
) -> None:
    """A function of one file, `app.handler` or `index.handler`."""
    file = "index.js" if runtime.startswith("nodejs") else "app.py"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(file, source)
    request = {
        "FunctionName": name, "Runtime": runtime, "Handler": f"{file.partition('.')[0]}.handler",
        "Role": "arn:aws:iam::123456789012:role/hooks", "Code": {"ZipFile": packed.getvalue()},
        **members,
    }  # fmt: skip
    catalog.create_function(engage.functions, CALLER, request)


def allow(engage: Engage, name: str, source_arn: str) -> None:
    """What `aws lambda add-permission` does for a campaign."""
    request = {
        "FunctionName": name, "StatementId": "pinpoint", "Action": "lambda:InvokeFunction",
        "Principal": "pinpoint.us-east-1.amazonaws.com", "SourceArn": source_arn,
    }  # fmt: skip
    permissions.add_permission(engage.functions, CALLER, request)


def set_up_email(engage: Engage, app_id: str) -> None:
    sender = {"FromAddress": "shop@example.com", "Identity": "example.com", "Enabled": True}
    request = {"ApplicationId": app_id, "EmailChannelRequest": sender}
    channel_settings.update_email_channel(engage, CALLER, request)


def put(engage: Engage, app_id: str, *items: dict[str, Any]) -> None:
    """Write endpoints; those without a channel are mail endpoints of `<id>@example.com`."""
    for start in range(0, len(items), endpoints.MAX_BATCH):
        batch = [mail(**item) for item in items[start : start + endpoints.MAX_BATCH]]
        request = {"ApplicationId": app_id, "EndpointBatchRequest": {"Item": batch}}
        endpoints.update_endpoints_batch(engage, CALLER, request)


def mail(**item: Any) -> dict[str, Any]:
    return {"ChannelType": "EMAIL", "Address": f"{item['Id'].lower()}@example.com", **item}


def get(engage: Engage, app_id: str, endpoint_id: str) -> dict[str, Any]:
    request = {"ApplicationId": app_id, "EndpointId": endpoint_id}
    return dict(endpoints.get_endpoint(engage, CALLER, request)["EndpointResponse"])


def quiet(room: Engage, clock: Any) -> Any:
    """The clock, once no job is at work: moving it would end a running job's lease."""
    wait_for(lambda: not _at_work(room, clock))
    return clock


def _at_work(room: Engage, clock: Any) -> list[dict[str, Any]]:
    """The jobs that run or should, all seen at one moment."""
    return [
        job
        for job in room.jobs.list()
        if job["state"] == "running" or (job["state"] == "ready" and job["due"] <= clock.now())
    ]


__all__ = [
    "CALLER",
    "NOON",
    "add_function",
    "allow",
    "get",
    "mail",
    "put",
    "quiet",
    "set_up_email",
    "wait_for",
]
