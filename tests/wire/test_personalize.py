"""The three Personalize services as the real boto3 sees them, from schema to the next answer."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Server, start_server, wait_for
from tests.unit.learn.conftest import as_csv, chains, schema_text


def settled(describe: Any, timeout_seconds: float = 90.0) -> dict[str, Any]:
    busy = ("CREATE PENDING", "CREATE IN_PROGRESS")
    wait_for(lambda: describe()["status"] not in busy, timeout_seconds)
    return describe()


class Shop:
    """A server and what was made on it."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.personalize = server.client("personalize")
        self.runtime = server.client("personalize-runtime")
        self.events = server.client("personalize-events")

    def fill(self) -> None:
        name, p = self.name, self.personalize
        schema = p.create_schema(name=name, schema=schema_text())["schemaArn"]
        self.group = p.create_dataset_group(name=name)["datasetGroupArn"]
        self.dataset = p.create_dataset(
            name=name, schemaArn=schema, datasetGroupArn=self.group, datasetType="Interactions"
        )["datasetArn"]
        self.server.data.joinpath("objects", "rows").mkdir(parents=True, exist_ok=True)
        file = self.server.data / "objects" / "rows" / f"{name}.csv"
        file.write_bytes(as_csv(chains()))
        self.job = p.create_dataset_import_job(
            jobName=name,
            datasetArn=self.dataset,
            dataSource={"dataLocation": f"s3://rows/{name}.csv"},
            roleArn="arn:aws:iam::123456789012:role/PersonalizeRole",
        )["datasetImportJobArn"]

    def imported(self) -> dict[str, Any]:
        return settled(
            lambda: self.personalize.describe_dataset_import_job(datasetImportJobArn=self.job)[
                "datasetImportJob"
            ]
        )

    def train(self) -> None:
        self.solution = self.personalize.create_solution(
            name=self.name,
            datasetGroupArn=self.group,
            recipeArn="arn:aws:personalize:::recipe/aws-user-personalization",
        )["solutionArn"]
        self.version = self.personalize.create_solution_version(solutionArn=self.solution)[
            "solutionVersionArn"
        ]

    def trained(self) -> dict[str, Any]:
        return settled(
            lambda: self.personalize.describe_solution_version(solutionVersionArn=self.version)[
                "solutionVersion"
            ]
        )


def code(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return refused.value.response["Error"]["Code"]


def test_the_loop_of_the_seed_by_boto3_alone(server: Server):
    shop = Shop(server, "wire")
    p = shop.personalize
    shop.fill()
    assert shop.imported()["status"] == "ACTIVE"
    shop.train()
    assert code(p.delete_solution, solutionArn=shop.solution) == "ResourceInUseException"
    assert shop.trained()["status"] == "ACTIVE"
    metrics = p.get_solution_metrics(solutionVersionArn=shop.version)["metrics"]
    assert metrics["precision_at_25"] > 0
    campaign = p.create_campaign(name="wire", solutionVersionArn=shop.version)["campaignArn"]
    assert p.describe_campaign(campaignArn=campaign)["campaign"]["status"] == "ACTIVE"
    tracker = p.create_event_tracker(name="wire", datasetGroupArn=shop.group)
    tracking = tracker["trackingId"]

    def ask(user: str) -> list[str]:
        answer = shop.runtime.get_recommendations(campaignArn=campaign, userId=user)
        return [one["itemId"] for one in answer["itemList"]]

    before = ask("new")
    asked = urllib.request.Request(f"{shop.server.url}/_/latency?{urlencode({'of': campaign})}")
    asked.add_header("Authorization", f"Bearer {shop.server.token}")
    with urllib.request.urlopen(asked, timeout=10) as answer:
        latency = json.load(answer)
    assert latency["answers"] == sum(bucket["count"] for bucket in latency["buckets"]) == 1
    assert 0 < latency["p50_ms"] <= latency["p99_ms"] <= latency["longest_ms"]
    shop.events.put_events(
        trackingId=tracking,
        sessionId="s1",
        userId="new",
        eventList=[
            {
                "eventId": "m1",
                "eventType": "Product Viewed",
                "sentAt": time.time(),
                "properties": json.dumps({"itemId": "i5"}),
            }
        ],
    )
    assert ask("new") != before
    ranking = shop.runtime.get_personalized_ranking(
        campaignArn=campaign, userId="new", inputList=["i30", "i6"]
    )
    assert [one["itemId"] for one in ranking["personalizedRanking"]] == ["i6", "i30"]
    assert len(p.list_recipes()["recipes"]) >= 6
    clean_up(shop, campaign, tracker["eventTrackerArn"])


def clean_up(shop: Shop, campaign: str, tracker: str) -> None:
    """The seed's clean-up, in consecutive calls without waits."""
    p = shop.personalize
    p.delete_campaign(campaignArn=campaign)
    p.delete_event_tracker(eventTrackerArn=tracker)
    p.delete_solution(solutionArn=shop.solution)
    p.delete_dataset(datasetArn=shop.dataset)
    [schema] = [one for one in p.list_schemas()["schemas"] if one["name"] == shop.name]
    p.delete_schema(schemaArn=schema["schemaArn"])
    p.delete_dataset_group(datasetGroupArn=shop.group)
    assert code(p.describe_campaign, campaignArn=campaign) == "ResourceNotFoundException"


def test_errors_have_the_services_own_codes(server: Server):
    shop = Shop(server, "errors")
    p, here = shop.personalize, "arn:aws:personalize:us-east-1:123456789012"
    assert code(p.create_schema, name="bad", schema="sth") == "InvalidInputException"
    assert code(p.create_schema, name="x" * 64, schema="sth") == "InvalidInputException"
    assert code(p.list_schemas, nextToken="none") == "InvalidNextTokenException"
    group = {"datasetGroupArn": f"{here}:dataset-group/none"}
    assert code(p.describe_dataset_group, **group) == "ResourceNotFoundException"
    p.create_schema(name="once", schema=schema_text())
    assert (
        code(p.create_schema, name="once", schema=schema_text()) == "ResourceAlreadyExistsException"
    )
    event = {"eventType": "v", "sentAt": 1.0, "itemId": "i"}
    assert (
        code(shop.events.put_events, trackingId="none", sessionId="s", eventList=[event])
        == "InvalidInputException"
    )
    campaign = f"{here}:campaign/none"
    assert (
        code(shop.runtime.get_recommendations, campaignArn=campaign, userId="u")
        == "ResourceNotFoundException"
    )
    p.delete_schema(schemaArn=f"{here}:schema/once")


def test_a_local_file_is_refused_by_the_room_unless_a_setting_allows_it(server: Server):
    shop = Shop(server, "local")
    shop.fill()
    with pytest.raises(ClientError, match="learn_import_roots") as refused:
        shop.personalize.create_dataset_import_job(
            jobName="local-file",
            datasetArn=shop.dataset,
            dataSource={"dataLocation": "file:///etc/passwd"},
        )
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"


def test_what_is_not_built_says_so_by_name(server: Server):
    p = server.client("personalize")
    arn = "arn:aws:personalize:us-east-1:123456789012:solution/s/1"
    with pytest.raises(ClientError, match="THEME_GENERATION") as refused:
        p.create_batch_inference_job(
            jobName="themes",
            solutionVersionArn=arn,
            batchInferenceJobMode="THEME_GENERATION",
            jobInput={"s3DataSource": {"path": "s3://a/in.json"}},
            jobOutput={"s3DataDestination": {"path": "s3://a/out/"}},
            roleArn="arn:aws:iam::123456789012:role/r",
        )
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


@pytest.mark.timeout(300)  # four starts of a server
def test_kill_9_during_import_and_training_and_it_goes_on(tmp_path: Any):
    server = start_server(tmp_path / "data", job_lease_seconds=2)
    shop = Shop(server, "crash")
    shop.fill()
    server.kill()
    server = start_server(tmp_path / "data", job_lease_seconds=2)
    shop_again(shop, server)
    assert shop.imported()["status"] == "ACTIVE"
    shop.train()
    wait_for(
        lambda: (
            shop.personalize.describe_solution_version(solutionVersionArn=shop.version)[
                "solutionVersion"
            ]["status"]
            == "CREATE IN_PROGRESS"
        )
    )
    server.kill()
    server = start_server(tmp_path / "data", job_lease_seconds=2)
    shop_again(shop, server)
    assert shop.trained()["status"] == "ACTIVE"
    campaign = shop.personalize.create_campaign(name="crash", solutionVersionArn=shop.version)
    server.kill()
    server = start_server(tmp_path / "data", job_lease_seconds=2)
    shop_again(shop, server)
    answer = shop.runtime.get_recommendations(campaignArn=campaign["campaignArn"], userId="u1")
    assert len(answer["itemList"]) == 25
    server.stop()


def shop_again(shop: Shop, server: Server) -> None:
    """The same shop on a server started anew on the same data."""
    shop.server = server
    shop.personalize = server.client("personalize")
    shop.runtime = server.client("personalize-runtime")
    shop.events = server.client("personalize-events")
