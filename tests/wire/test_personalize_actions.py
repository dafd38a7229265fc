"""Actions, metric attribution, clients of the preview: the real boto3."""

from __future__ import annotations

import gzip
import json
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import botocore

from tests.conftest import Server
from tests.unit.learn.conftest import schema_text
from tests.unit.learn.test_actions import FIELDS

from .test_personalize import Shop, code, settled

RECIPE = "arn:aws:personalize:::recipe/"
ROLE = "arn:aws:iam::123456789012:role/PersonalizeRole"


def dataset(shop: Shop, name: str, kind: str) -> str:
    p = shop.personalize
    schema = p.create_schema(name=f"{shop.name}-{name}", schema=schema_text(FIELDS[name], name))
    return p.create_dataset(
        name=f"{shop.name}-{name}",
        schemaArn=schema["schemaArn"],
        datasetGroupArn=shop.group,
        datasetType=kind,
    )["datasetArn"]


def ask(server: Server, path: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {server.token}"}
    request = urllib.request.Request(server.url + path, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_actions_and_what_came_of_recommendations(server: Server):
    shop = Shop(server, "actions")
    shop.fill()
    assert shop.imported()["status"] == "ACTIVE"
    p = shop.personalize
    actions = dataset(shop, "Actions", "Actions")
    did = dataset(shop, "ActionInteractions", "Action_Interactions")
    tracking = p.describe_dataset(datasetArn=did)["dataset"]["trackingId"]
    for name, value in (("join", "5"), ("leave", "1")):
        one = {"actionId": name, "properties": json.dumps({"value": value})}
        shop.events.put_actions(datasetArn=actions, actions=[one])
    given = {"actionId": "join", "userId": "u1", "sessionId": "s1", "timestamp": time.time()}
    shop.events.put_action_interactions(
        trackingId=tracking, actionInteractions=[{**given, "eventType": "Viewed"}]
    )
    wrong = {**given, "eventType": "liked"}
    assert (
        code(shop.events.put_action_interactions, trackingId=tracking, actionInteractions=[wrong])
        == "InvalidInputException"
    )
    attribution = p.create_metric_attribution(
        name="impact",
        datasetGroupArn=shop.group,
        metrics=[{"eventType": "view", "metricName": "views", "expression": "SAMPLECOUNT()"}],
        metricsOutputConfig={"roleArn": ROLE},
    )["metricAttributionArn"]
    solution = p.create_solution(
        name="actions", datasetGroupArn=shop.group, recipeArn=RECIPE + "aws-next-best-action"
    )["solutionArn"]
    version = p.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    shown = settled(
        lambda: p.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    )
    assert shown["status"] == "ACTIVE", shown
    campaign = p.create_campaign(name="actions", solutionVersionArn=version)["campaignArn"]
    answer = shop.runtime.get_action_recommendations(campaignArn=campaign, userId="u1")
    assert [(one["actionId"], one["score"]) for one in answer["actionList"]] == [
        ("join", 0.0),
        ("leave", 0.0),
    ]
    refused = code(shop.runtime.get_recommendations, campaignArn=campaign, userId="u1")
    assert refused == "InvalidInputException"
    tracker = p.create_event_tracker(name="actions", datasetGroupArn=shop.group)["trackingId"]
    shop.events.put_events(
        trackingId=tracker,
        sessionId="s1",
        userId="u1",
        eventList=[
            {
                "eventType": "view",
                "itemId": "i1",
                "sentAt": time.time(),
                "recommendationId": answer["recommendationId"],
            }
        ],
    )
    (row,) = ask(server, f"/_/attribution?of={attribution}")["rows"]
    assert row["EVENT_ATTRIBUTION_SOURCE"] == campaign
    assert row["VALUE"] == 1.0
    p.update_metric_attribution(metricAttributionArn=attribution, removeMetrics=[], addMetrics=[])
    listed = p.list_metric_attribution_metrics(metricAttributionArn=attribution)["metrics"]
    assert [one["metricName"] for one in listed] == ["views"]
    missing = code(p.delete_dataset_group, datasetGroupArn=shop.group)
    assert missing == "ResourceInUseException"
    p.delete_metric_attribution(metricAttributionArn=attribution)
    gone = code(p.describe_metric_attribution, metricAttributionArn=attribution)
    assert gone == "ResourceNotFoundException"


def test_members_of_the_preview_are_passed_over(server: Server, tmp_path: Path):
    """2019's functions bring API models of their own, with members that are no more."""
    source = Path(botocore.__file__).parent / "data" / "personalize" / "2018-05-22"
    target = tmp_path / "models" / "personalize" / "2018-05-22"
    shutil.copytree(source, target)
    packed = target / "service-2.json.gz"
    model = json.loads(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    for shape, member in (
        ("CreateEventTrackerRequest", "roleArn"),
        ("CreateDatasetGroupRequest", "solutionArn"),
    ):
        model["shapes"][shape]["members"][member] = {"shape": "Arn"}
    (target / "service-2.json").write_text(json.dumps(model))
    session = boto3.Session()
    session._session.get_component("data_loader").search_paths.insert(0, str(tmp_path / "models"))
    plain = server.client("personalize")
    old = session.client(
        "personalize",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    group = old.create_dataset_group(name="preview", solutionArn="arn:aws:personalize:x:y:z")
    arn = group["datasetGroupArn"]
    made = old.create_event_tracker(name="preview", datasetGroupArn=arn, roleArn=ROLE)
    assert made["trackingId"]
    assert plain.describe_dataset_group(datasetGroupArn=arn)["datasetGroup"]["name"] == "preview"
