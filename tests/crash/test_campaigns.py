"""Campaigns whose processes, or whose database, are taken away in the middle."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from bench.engage_crash import BATCH, play
from tests import aws
from tests.conftest import FreshDatabases, start_server, wait_for

CONCURRENCY = 4  # batches of a process in the air
SLOW_HOOK = """
import time
def handler(event, context):
    time.sleep(0.2)
    return event["Endpoints"]
"""


@pytest.mark.parametrize(("dialect", "workers"), [("sqlite", 0), ("postgresql", 1)])
def test_every_endpoint_ends_once_however_often_processes_are_killed(
    fresh_databases: FreshDatabases, tmp_path: Path, dialect: str, workers: int
) -> None:
    played = play(
        tmp_path / "data", fresh_databases.url(dialect), endpoints=1_500, kills=2, workers=workers,
        seed=7, pause=(0.1, 0.4), engage_hook_concurrency=CONCURRENCY, hook=SLOW_HOOK,
    )  # fmt: skip
    assert played.is_whole, played
    assert played.kills >= 1, "over too soon to prove anything"
    assert played.repeats <= played.kills * CONCURRENCY * BATCH, played


def test_a_campaign_goes_on_when_its_database_comes_back(
    fresh_databases: FreshDatabases, tmp_path: Path, postgres: sa.URL
) -> None:
    url = fresh_databases.url("postgresql")
    server = start_server(tmp_path / "data", url, job_lease_seconds=2, engage_hook_concurrency=2)
    app = aws.create_app(server)
    people = [f"person-{n:04d}" for n in range(600)]
    aws.put_people(server, app, people)
    aws.python_function(server, "slow", SLOW_HOOK)
    aws.allow_pinpoint(server, "slow", app)
    hook = {"LambdaFunctionName": "slow", "Mode": "FILTER"}
    segment = aws.create_segment(server, app)
    campaign = aws.create_campaign(server, app, segment, Hook=hook)
    wait_for(lambda: aws.mails(server, app, campaign))
    name, admin = (
        sa.make_url(url).database,
        sa.create_engine(postgres, isolation_level="AUTOCOMMIT"),
    )
    with admin.connect() as conn:
        conn.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        gone = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        conn.exec_driver_sql(gone)
        time.sleep(1.0)  # all that is asked of it meanwhile fails
        conn.exec_driver_sql(gone)
        conn.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    admin.dispose()
    activity = aws.finished_activity(server, app, campaign)
    server.stop()
    assert activity["SuccessfulEndpointCount"] == len(people)
    assert activity["ExecutionMetrics"]["ENDPOINT_SENT"] == str(len(people))
