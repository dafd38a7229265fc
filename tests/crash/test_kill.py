"""kill -9 in the middle of anything, start again, and count: nothing lost, nothing twice."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from segment.analytics.client import Client

from tests import aws, segment
from tests.conftest import DATABASES, FreshDatabases, Server, start_server, wait_for

SLOW_HOOK = """
import time
def handler(event, context):
    time.sleep(0.25)
    return event["Endpoints"]
"""


@dataclass
class Mortal:
    """A server that can be killed and started again on the same data."""

    data: Path
    database_url: str
    server: Server

    def restart(self, **settings: Any) -> Server:
        self.server.kill()
        self.server = start_server(self.data, self.database_url, **settings)
        return self.server

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        url = sa.make_url(self.database_url)
        if url.get_backend_name() == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url)
        with engine.connect() as conn:
            found = [tuple(row) for row in conn.exec_driver_sql(query)]
        engine.dispose()
        return found


@pytest.fixture(params=DATABASES)
def mortal(
    request: pytest.FixtureRequest, fresh_databases: FreshDatabases, tmp_path: Path
) -> Iterator[Mortal]:
    url = fresh_databases.url(request.param)
    started = Mortal(tmp_path / "data", url, start_server(tmp_path / "data", url))
    yield started
    started.server.stop()


def test_every_endpoint_of_a_killed_campaign_ends_once_in_the_ledger(mortal: Mortal) -> None:
    server = mortal.server
    people = [f"person-{n:04d}" for n in range(1000)]
    application_id = aws.create_app(server)
    aws.put_people(server, application_id, people)
    segment_id = aws.create_segment(server, application_id)
    aws.python_function(server, "slow", SLOW_HOOK)
    aws.allow_pinpoint(server, "slow", application_id)
    campaign_id = aws.create_campaign(
        server, application_id, segment_id, Hook={"LambdaFunctionName": "slow", "Mode": "FILTER"}
    )
    sent = "SELECT COUNT(*) FROM engage_ledger"
    wait_for(lambda: mortal.rows(sent)[0][0] > 0)
    assert mortal.rows(sent)[0][0] < len(people), "killed too late to prove anything"

    server = mortal.restart()
    activity = aws.finished_activity(server, application_id, campaign_id)

    ledger = mortal.rows("SELECT endpoint_id, state FROM engage_ledger")
    assert Counter(ledger) == Counter((name, "sent") for name in people)
    assert activity["SuccessfulEndpointCount"] == len(people)
    assert len(aws.mails(server, application_id, campaign_id)) == len(people)


def test_an_import_that_was_killed_ends_with_every_row_once(mortal: Mortal, tmp_path: Path) -> None:
    server = mortal.server
    rows = 300_000
    file = tmp_path / "interactions.csv"
    with file.open("w") as out:
        out.write("USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n")
        for n in range(rows):
            out.write(f"u{n % 5000},i{n * 7919 % 997},View,{1_700_000_000 + n}\n")
    server.client("s3").create_bucket(Bucket="training")
    server.client("s3").upload_file(str(file), "training", "interactions.csv")
    client = server.client("personalize")
    schema = client.create_schema(name="s", schema=json.dumps(aws.SCHEMA))["schemaArn"]
    group = client.create_dataset_group(name="g")["datasetGroupArn"]
    dataset = client.create_dataset(
        name="d", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    job = client.create_dataset_import_job(
        jobName="j",
        datasetArn=dataset,
        dataSource={"dataLocation": "s3://training/interactions.csv"},
        roleArn=f"arn:aws:iam::{aws.ACCOUNT}:role/personalize",
    )["datasetImportJobArn"]
    time.sleep(0.1)

    client = mortal.restart().client("personalize")
    aws.wait_active(lambda: client.describe_dataset_import_job(datasetImportJobArn=job))
    assert mortal.rows("SELECT SUM(rows) FROM learn_parts")[0][0] == rows


def test_a_training_that_was_killed_goes_on_and_ends_active(mortal: Mortal) -> None:
    server = mortal.server
    server.client("s3").create_bucket(Bucket="training")
    lines = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
    lines += [
        f"u{n % 400},i{(n * 31 + n // 400) % 150},View,{1_700_000_000 + n}" for n in range(20_000)
    ]
    server.client("s3").put_object(
        Bucket="training", Key="interactions.csv", Body="\n".join(lines).encode()
    )
    client = server.client("personalize")
    schema = client.create_schema(name="s", schema=json.dumps(aws.SCHEMA))["schemaArn"]
    group = client.create_dataset_group(name="g")["datasetGroupArn"]
    dataset = client.create_dataset(
        name="d", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    job = client.create_dataset_import_job(
        jobName="j",
        datasetArn=dataset,
        dataSource={"dataLocation": "s3://training/interactions.csv"},
        roleArn=f"arn:aws:iam::{aws.ACCOUNT}:role/personalize",
    )["datasetImportJobArn"]
    aws.wait_active(lambda: client.describe_dataset_import_job(datasetImportJobArn=job))
    solution = client.create_solution(
        name="s",
        datasetGroupArn=group,
        recipeArn="arn:aws:personalize:::recipe/aws-user-personalization",
    )["solutionArn"]
    version = client.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    training = "SELECT COUNT(*) FROM store_jobs WHERE kind = 'learn.train' AND state = 1"
    wait_for(lambda: mortal.rows(training)[0][0] == 1)

    client = mortal.restart().client("personalize")
    aws.wait_active(lambda: client.describe_solution_version(solutionVersionArn=version))
    assert client.get_solution_metrics(solutionVersionArn=version)["metrics"]["coverage"] > 0


def test_a_call_that_was_answered_is_archived_once(mortal: Mortal) -> None:
    sent = [f"message-{n}" for n in range(3000)]
    client = Client(mortal.server.write_key, host=mortal.server.url)
    for message_id in sent:
        client.track("ann", "Product Viewed", {"sku": "a"}, message_id=message_id)
    client.shutdown()
    server = mortal.restart()
    again = Client(server.write_key, host=server.url)
    for message_id in sent[:500]:  # a client that repeats what it is not sure of
        again.track("ann", "Product Viewed", {"sku": "a"}, message_id=message_id)
    again.shutdown()
    segment.run(server, "archive")
    archived = Counter(
        json.loads(line)["messageId"]
        for file in (server.data / "objects").rglob("segment-logs/**/*.gz")
        for line in gzip.decompress(file.read_bytes()).splitlines()
    )
    assert archived == Counter(sent)


def test_a_killed_delivery_goes_on_where_it_was(mortal: Mortal) -> None:
    server = mortal.server
    calls = 200
    source = segment.api(server, "GET", "/segmentapis/sources")["data"]["sources"][0]
    function = aws.python_function(
        server,
        "listener",
        "import time\ndef handler(event, context):\n"
        "    print('GOT', event['messageId'])\n    time.sleep(0.02)",
    )
    role = segment.create_role(server, function, source["id"])
    settings = {"function": function, "roleAddress": role, "region": "us-east-1"}
    settings |= {"externalId": source["id"], "events": ["*"]}
    segment.connect(server, source["id"], "Amazon Lambda", settings)
    client = Client(server.write_key, host=server.url)
    for n in range(calls):
        client.track("ann", "Product Viewed", {"sku": "a"}, message_id=f"m-{n}")
    client.shutdown()
    wait_for(lambda: received(server))
    assert len(received(server)) < calls, "killed too late to prove anything"

    server = mortal.restart()
    wait_for(lambda: len(set(received(server))) == calls, 60, 0.5)
    repeated = len(received(server)) - calls
    assert repeated <= 64, "more was repeated than was in flight"


def received(server: Server) -> list[str]:
    """Messages the function printed, from its log files."""
    return [
        line.rpartition("GOT ")[2].strip()
        for file in (server.data / "functions" / "logs").rglob("*.log")
        for line in file.read_text(errors="replace").splitlines()
        if "GOT " in line
    ]
