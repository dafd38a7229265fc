"""AWS's scripts around Personalize: what they call, in their order, until their resource is there.

Retyped from aws-solutions' maintaining-personalized-experiences-with-machine-learning, the ml_ops
functions and the user segmentation notebook of amazon-personalize-samples, and the code examples
of the developer guide.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, wait_for

from .notebook import (
    ACCOUNT,
    INTERACTIONS,
    ITEMS,
    NAMESPACE,
    RECIPE,
    REGION,
    Notebook,
    interactions_csv,
    items_csv,
    schema,
    visits,
)

LISTED = {
    "dataset": "datasetGroupArn",
    "eventTracker": "datasetGroupArn",
    "datasetImportJob": "datasetArn",
    "solutionVersion": "solutionArn",
    "batchInferenceJob": "solutionVersionArn",
    "batchSegmentJob": "solutionVersionArn",
}
UNCHECKED = {"jobName", "dataSource", "roleArn", "importMode", "jobInput", "jobOutput", "tags"}
CREATING = ("ACTIVE", "CREATE PENDING", "CREATE IN_PROGRESS")


@pytest.fixture
def notebook(server: Server, tmp_path: Path) -> Notebook:
    return Notebook(server, tmp_path)


def snake(kind: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in kind)


class Maintained:
    """One step of the state machine: describe or create, compare, and come back until ACTIVE."""

    def __init__(self, notebook: Notebook) -> None:
        self.client = notebook.personalize

    def resource(self, kind: str, **wanted: Any) -> dict[str, Any]:
        found: dict[str, Any] = wait_for(lambda: self._step(kind, wanted), 60, 0.1)
        for key, value in wanted.items():
            if key in UNCHECKED or (kind == "solutionVersion" and key in ("name", "trainingMode")):
                continue
            shown = json.loads(found[key]) if key == "schema" else found[key]
            expected = json.loads(value) if key == "schema" else value
            if key == "datasetType":
                shown, expected = shown.lower(), expected.lower()
            assert shown == expected, (kind, key)
        return found

    def _step(self, kind: str, wanted: dict[str, Any]) -> dict[str, Any] | None:
        errors = self.client.exceptions
        try:
            found = self._described(kind, wanted)
        except errors.ResourceNotFoundException:
            getattr(self.client, f"create_{snake(kind)}")(**wanted)
            return None
        except errors.ResourceInUseException:
            return None
        if kind == "campaign" and any(found[key] != value for key, value in wanted.items()):
            more = {key: value for key, value in wanted.items() if key != "name"}
            self.client.update_campaign(campaignArn=found["campaignArn"], **more)
            return None
        status = found.get("status", "ACTIVE")
        assert status in CREATING, found
        return found if status == "ACTIVE" else None

    def _described(self, kind: str, wanted: dict[str, Any]) -> dict[str, Any]:
        describe = getattr(self.client, f"describe_{snake(kind)}")
        arn = f"{kind}Arn"
        if kind not in LISTED:
            dashed = snake(kind).replace("_", "-")
            named = f"arn:aws:personalize:{REGION}:{ACCOUNT}:{dashed}/{wanted['name']}"
            return dict(describe(**{arn: named})[kind])
        newest = sorted(self._children(kind, wanted), key=lambda one: one["creationDateTime"])
        if not newest:
            raise self.client.exceptions.ResourceNotFoundException({}, f"List{kind}s")
        found = dict(describe(**{arn: newest[-1][arn]})[kind])
        if kind == "solutionVersion":
            answer = self.client.get_solution_metrics(solutionVersionArn=found[arn])
            assert all(float(value) >= 0 for value in answer["metrics"].values())
        return found

    def _children(self, kind: str, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        paginator = self.client.get_paginator(f"list_{snake(kind)}s")
        pages = paginator.paginate(**{LISTED[kind]: wanted[LISTED[kind]]})
        children = []
        for page in pages:
            [key] = set(page) - {"ResponseMetadata", "nextToken"}
            children += page[key]
        if kind == "dataset":
            return [one for one in children if one["datasetType"] == wanted["datasetType"].upper()]
        if kind == "solutionVersion" and "solutionVersionArn" in wanted:
            return [one for one in children if one[f"{kind}Arn"] == wanted[f"{kind}Arn"]]
        named = [one for one in children if one.get("jobName") == wanted.get("jobName")]
        return [one for one in named if one["status"] in CREATING]


def test_maintaining_personalized_experiences(notebook: Notebook):
    n = notebook
    make = Maintained(n).resource
    tags = [{"tagKey": "project", "tagValue": "unicorns"}]
    n.group_arn = make("datasetGroup", name=n.name("unicorns"), tags=tags)["datasetGroupArn"]
    datasets = {}
    for kind, fields in (("Interactions", INTERACTIONS), ("Items", ITEMS)):
        text = schema(kind, fields)
        made = make("schema", name=n.name(f"unicorns-{kind}"), schema=text)
        datasets[kind] = make(
            "dataset",
            name=n.name(f"unicorns-{kind}"),
            schemaArn=made["schemaArn"],
            datasetGroupArn=n.group_arn,
            datasetType=kind.lower(),
            tags=tags,
        )["datasetArn"]
    for kind, text in (("Interactions", interactions_csv()), ("Items", items_csv())):
        make(
            "datasetImportJob",
            jobName=n.name(f"dataset_import_{kind}"),
            datasetArn=datasets[kind],
            dataSource={"dataLocation": n.upload(f"train/{kind}/{kind}.csv", text)},
            roleArn=n.role,
            importMode="FULL",
        )
    tracker = make("eventTracker", name=n.name("unicorns"), datasetGroupArn=n.group_arn)
    assert tracker["trackingId"]
    expression = 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")'
    shown = make(
        "filter", name=n.name("f"), datasetGroupArn=n.group_arn, filterExpression=expression
    )
    recipe = RECIPE + "aws-user-personalization"
    config = {"algorithmHyperParameters": {"hidden_dimension": "55"}}
    solution = make(
        "solution",
        name=n.name("unicorns"),
        datasetGroupArn=n.group_arn,
        recipeArn=recipe,
        performAutoTraining=False,
        solutionConfig=config,
    )["solutionArn"]
    version = make("solutionVersion", solutionArn=solution, trainingMode="FULL", tags=tags)
    version_arn = version["solutionVersionArn"]
    exploring = {"itemExplorationConfig": {"explorationWeight": "0.3"}}
    wanted = {"name": n.name("unicorns"), "minProvisionedTPS": 1, "campaignConfig": exploring}
    campaign = make("campaign", solutionVersionArn=version_arn, **wanted)["campaignArn"]
    again = n.version(solution, trainingMode="UPDATE")
    make("solutionVersion", solutionArn=solution, solutionVersionArn=again)
    wanted["minProvisionedTPS"] = 2
    updated = make("campaign", solutionVersionArn=again, **wanted)
    assert updated["campaignArn"] == campaign
    assert updated["latestCampaignUpdate"]["status"] == "ACTIVE"
    asked = n.upload("batch/batch_input.json", '{"userId": "4"}\n{"userId": "5"}')
    make(
        "batchInferenceJob",
        jobName=n.name("batch_unicorns"),
        solutionVersionArn=version_arn,
        filterArn=shown["filterArn"],
        numResults=7,
        roleArn=n.role,
        jobInput={"s3DataSource": {"path": asked}},
        jobOutput={"s3DataDestination": {"path": f"s3://{n.bucket}/batch/out/"}},
    )
    out = n.download("batch/out/batch_input.json.out")
    assert [len(one["output"]["recommendedItems"]) for one in out] == [7, 7]
    n.clean_up()


def test_user_segmentation(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.group(domain=None)
    fields = [INTERACTIONS[n] for n in (1, 0, 3)]
    interactions = n.dataset("Interactions", fields)
    lines = [f"{u},{i},{at}" for i, u, _, at, _ in visits()]
    text = "USER_ID,ITEM_ID,TIMESTAMP\n" + "\n".join(lines) + "\n"
    n.imported(interactions, n.upload("grocery-interactions.csv", text))
    description = {"name": "DESCRIPTION", "type": ["null", "string"], "textual": True}
    items = n.dataset("Items", [INTERACTIONS[0], description])
    rows = "".join(f'item-{k},"Coffee no. {k}, 1 lb &amp; beans."\n' for k in range(40))
    n.imported(items, n.upload("items-only-desc.csv", "ITEM_ID,DESCRIPTION\n" + rows))
    _, version = n.trained("aws-item-affinity", "segments")
    metrics = p.get_solution_metrics(solutionVersionArn=version)["metrics"]
    assert {"coverage", "hits_at_1_percent", "recall_at_1_percent"} <= set(metrics)
    for name, wanted in (("query-amazon-grocery.json", 5), ("editorial.json", 10)):
        asked = "\n".join(json.dumps({"itemId": f"item-{k}"}) for k in range(4))
        job = p.create_batch_segment_job(
            jobName=n.name(name.partition(".")[0]),
            solutionVersionArn=version,
            numResults=wanted,
            jobInput={"s3DataSource": {"path": n.upload(name, asked)}},
            jobOutput={"s3DataDestination": {"path": f"s3://{n.bucket}/output/"}},
            roleArn=n.role,
        )
        n.active("batchSegmentJob", job["batchSegmentJobArn"])
        body = n.s3.get_object(Bucket=n.bucket, Key=f"output/{name}.out")["Body"].read()
        out = [json.loads(line) for line in body.splitlines()]
        assert [one["input"]["itemId"] for one in out] == [f"item-{k}" for k in range(4)]
        assert {len(one["output"]["usersList"]) for one in out} == {wanted}
    n.clean_up()


def test_the_code_examples_of_the_guide(notebook: Notebook):
    n, p = notebook, notebook.personalize
    _, items, interactions = n.shop()
    users = items.replace("/ITEMS", "/USERS")
    solution = p.create_solution(
        name=n.name("guide"),
        datasetGroupArn=n.group_arn,
        recipeArn=RECIPE + "aws-user-personalization-v2",
        performAutoTraining=False,
    )["solutionArn"]
    n.active("solution", solution)
    version = n.version(solution)
    campaign = n.campaign(version, "guide")
    tracked = p.create_event_tracker(name=n.name("guide"), datasetGroupArn=n.group_arn)
    soon = {"sentAt": time.time() + 600, "eventType": "typePlaceholder"}
    told = {"trackingId": tracked["trackingId"], "userId": "5", "sessionId": "s"}
    answer = n.events.put_events(eventList=[soon | {"itemId": "item-3"}], **told)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    place = {"price": 10.5, "categoryL1": "tools|floral"}
    n.events.put_items(datasetArn=items, items=[{"itemId": "new", "properties": json.dumps(place)}])
    person = {"age": 30, "gender": "F"}
    n.events.put_users(
        datasetArn=users, users=[{"userId": "ann", "properties": json.dumps(person)}]
    )
    floral = n.filter("guide", "INCLUDE ItemID WHERE Items.CATEGORY_L1 IN ($CATEGORY)")
    found = n.ask(
        campaignArn=campaign,
        userId="ann",
        filterArn=floral,
        filterValues={"CATEGORY": '"floral"'},
        numResults=50,
    )
    assert sorted(found) == sorted([*(f"item-{k}" for k in range(10, 20)), "new"])
    job = p.create_dataset_export_job(
        jobName=n.name("export"),
        datasetArn=interactions,
        ingestionMode="BULK",
        jobOutput={"s3DataDestination": {"path": f"s3://{n.bucket}/exported/"}},
        roleArn=n.role,
    )["datasetExportJobArn"]
    n.active("datasetExportJob", job)
    keys = [one["Key"] for one in n.s3.list_objects_v2(Bucket=n.bucket)["Contents"]]
    assert any(key.startswith("exported/") for key in keys)
    record = {"type": "record", "name": "Interactions", "namespace": NAMESPACE}
    shown = p.describe_schema(
        schemaArn=p.describe_dataset(datasetArn=interactions)["dataset"]["schemaArn"]
    )["schema"]
    assert record.items() <= json.loads(shown["schema"]).items()
    n.clean_up()


def test_recipes_of_2019_and_a_catalogue_of_ten_offers(notebook: Notebook):
    n = notebook
    n.group(domain=None)
    interactions = n.dataset("Interactions", INTERACTIONS[:4])
    genre = {"name": "GENRE", "type": "string", "categorical": True}
    items = n.dataset("Items", [INTERACTIONS[0], genre])
    seen = [(int(i[5:]) % 10 + 1, int(u) * 22 + k) for k, (i, u, *_) in enumerate(visits())]
    lines = [
        f"{offer},{user // 3},OfferConverted,{1_591_803_782 + k}"
        for k, (offer, user) in enumerate(seen)
    ]
    text = "ITEM_ID,USER_ID,EVENT_TYPE,TIMESTAMP\n" + "\n".join(lines) + "\n"
    n.imported(interactions, n.upload("offer_interactions.csv", text))
    rows = "".join(f"{k},{'Action|War' if k % 2 else 'Drama'}\n" for k in range(1, 16))
    n.imported(items, n.upload("item_metadata.csv", "ITEM_ID,GENRE\n" + rows))
    cold = {"cold_start_max_duration": "5", "cold_start_relative_from": "latestItem"}
    cold["cold_start_max_interactions"] = "15"
    config = {"featureTransformationParameters": cold}
    wrong = {"featureTransformationParameters": cold | {"cold_start_relative_from": "yesterday"}}
    with pytest.raises(n.personalize.exceptions.InvalidInputException, match="latestItem"):
        n.trained("aws-hrnn-coldstart", "wrong", solutionConfig=wrong)
    _, version = n.trained("aws-hrnn-coldstart", "coldstart", solutionConfig=config)
    campaign = n.campaign(version, "coldstart")
    assert all(item.isdigit() for item in n.ask(campaignArn=campaign, userId="3"))
    _, version = n.trained("aws-user-personalization", "offers")
    campaign = n.campaign(version, "offers")
    for user in ("3", "40", "nobody"):
        answer = n.runtime.get_recommendations(campaignArn=campaign, userId=user, numResults=15)
        scores = {int(one["itemId"]): float(one["score"]) for one in answer["itemList"]}
        assert set(scores) == set(range(1, 16)) and sum(scores.values()) == pytest.approx(1.0)
    n.clean_up()
