"""The calls of AWS's published notebooks for Personalize, in their order, to their last cell.

Retyped from aws-samples' amazon-personalize-samples (getting_started, temporal holdout, similar
items, updating datasets) and amazon-personalize-immersion-day (Retail 01 to 06).
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server

from .notebook import (
    ACCOUNT,
    CATEGORIES,
    INTERACTIONS,
    ITEMS,
    MORE_ITEMS,
    RECIPE,
    REGION,
    Notebook,
    code,
    interactions_csv,
    items_csv,
    schema,
    visits,
)


@pytest.fixture
def notebook(server: Server, tmp_path: Path) -> Notebook:
    return Notebook(server, tmp_path)


def test_getting_started_and_the_temporal_holdout(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.group(domain=None)
    fields = [INTERACTIONS[1], INTERACTIONS[0], INTERACTIONS[3]]
    dataset = n.dataset("Interactions", fields)
    lines = [f"{user},{item[5:]},{at}" for item, user, _, at, _ in visits()]
    text = "USER_ID,ITEM_ID,TIMESTAMP\n" + "\n".join(lines) + "\n"
    job = n.imported(dataset, n.upload("DEMO-temporal-holdout.csv", text))
    assert "latestDatasetImportJobRun" not in job
    recipes = [one["recipeArn"] for one in p.list_recipes()["recipes"]]
    assert RECIPE + "aws-hrnn" in recipes and RECIPE + "aws-user-personalization" in recipes
    solution, version = n.trained("aws-hrnn", "temporal")
    json.dumps(p.get_solution_metrics(solutionVersionArn=version), indent=2)
    exploring = {"itemExplorationConfig": {"explorationWeight": "0.5"}}
    campaign = n.campaign(version, "camp", campaignConfig=exploring)
    before = n.ask(campaignArn=campaign, userId="5")
    assert len(before) == 25 and all(str(int(item)) == item for item in before)
    tracker = p.create_event_tracker(name="MovieClickTracker", datasetGroupArn=n.group_arn)
    clicked = {
        "sentAt": int(time.time()),
        "eventType": "EVENT_TYPE",
        "properties": json.dumps({"itemId": "27"}),
    }
    session = str(uuid.uuid1())
    n.events.put_events(
        trackingId=tracker["trackingId"], userId="5", sessionId=session, eventList=[clicked]
    )
    assert n.ask(campaignArn=campaign, userId="5") != before
    p.delete_campaign(campaignArn=campaign)
    assert not p.list_campaigns(solutionArn=solution)["campaigns"]
    p.delete_solution(solutionArn=solution)
    assert not p.list_solutions(datasetGroupArn=n.group_arn)["solutions"]
    p.delete_event_tracker(eventTrackerArn=tracker["eventTrackerArn"])
    shown = p.describe_dataset(datasetArn=dataset)["dataset"]
    p.delete_dataset(datasetArn=dataset)
    events = dataset.replace("INTERACTIONS", "EVENT_INTERACTIONS")  # of 2019, gone since 2020
    assert code(p.delete_dataset, datasetArn=events) == "ResourceNotFoundException"
    p.delete_schema(schemaArn=shown["schemaArn"])
    p.delete_dataset_group(datasetGroupArn=n.group_arn)


def test_sims_beside_similar_items(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.group(domain=None)
    dataset = n.dataset("Interactions", INTERACTIONS)
    n.imported(dataset, n.upload("amazon-pantry-interactions.csv", interactions_csv()))
    fields = [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "BRAND", "type": ["null", "string"], "categorical": True},
        {"name": "PRICE", "type": ["null", "float"]},
        {"name": "DESCRIPTION", "type": ["null", "string"], "textual": True},
    ]
    items = n.dataset("Items", fields)
    rows = [f'item-{i},Brand {i % 4},,"Sweet {CATEGORIES[i // 10]}, 19 Oz"' for i in range(40)]
    text = "ITEM_ID,BRAND,PRICE,DESCRIPTION\n" + "\n".join(rows) + "\n"
    n.imported(items, n.upload("amazon-pantry-items.csv", text))
    for recipe in ("aws-sims", "aws-similar-items"):
        _, version = n.trained(recipe, recipe)
        campaign = n.campaign(version, recipe)
        found = n.ask(campaignArn=campaign, itemId="item-5")
        assert 0 < len(found) <= 25 and "item-5" not in found
        assert n.ask(campaignArn=campaign, itemId="B00NOBODY"), "an item nobody knows"
        json.dumps(p.get_solution_metrics(solutionVersionArn=version)["metrics"])
    n.clean_up()


def test_updating_datasets_of_user_personalization(notebook: Notebook):
    n, p = notebook, notebook.personalize
    _, items, interactions = n.shop()
    solution, version = n.trained("aws-user-personalization", "personal")
    asked = "".join(json.dumps({"userId": str(user)}) + "\n" for user in (5, 17, 23))
    n.batch(version, n.upload("batch-job-input/orig.json", asked), "out/original/", 10)
    first = n.download("out/original/orig.json.out")
    assert [sorted(one) for one in first] == [["error", "input", "output"]] * 3
    assert all(len(one["output"]["recommendedItems"]) == 10 for one in first)
    metrics = p.get_solution_metrics(solutionVersionArn=version)["metrics"]
    more = items_csv() + items_csv("new_").partition("\n")[2]
    n.imported(items, n.upload("items.csv", more))
    seen = [row for row in visits(8) if int(row[1]) < 20]
    lines = [f"new_{i},{u},{kind},{at + 90_000},{d}" for i, u, kind, at, d in seen]
    text = interactions_csv() + "\n".join(lines) + "\n"
    n.imported(interactions, n.upload("interactions_all.csv", text))
    n.batch(version, n.upload("batch-job-input/au.json", asked), "out/auto-update/", 10)
    assert len(n.download("out/auto-update/au.json.out")) == 3
    assert p.get_solution_metrics(solutionVersionArn=version)["metrics"] == metrics
    retrained = n.version(solution, trainingMode="FULL")
    n.batch(retrained, n.upload("batch-job-input/fr.json", asked), "out/fully-retrained/", 10)
    last = n.download("out/fully-retrained/fr.json.out")
    found = {item for one in last for item in one["output"]["recommendedItems"]}
    assert any(item.startswith("new_") for item in found)
    n.clean_up()


def test_updating_the_schema_of_items(notebook: Notebook):
    n, p = notebook, notebook.personalize
    _, items, _ = n.shop()
    old = p.describe_dataset(datasetArn=items)["dataset"]["schemaArn"]
    assert json.loads(p.describe_schema(schemaArn=old)["schema"]["schema"])["version"] == "1.0"
    _, version = n.trained("aws-item-attribute-affinity", "original")
    asked = "".join(
        json.dumps({"itemAttributes": f'ITEMS.CATEGORY_L1 = "{one}"'}) + "\n" for one in CATEGORIES
    )
    before = segments(n, version, n.upload("in/job_input.json", asked))
    fields = ITEMS + MORE_ITEMS
    new = p.create_schema(
        name=n.name("updated"), domain="ECOMMERCE", schema=schema("Items", fields, version="1.1")
    )["schemaArn"]
    p.update_dataset(datasetArn=items, schemaArn=new)
    updated = n.active("dataset", items)
    assert updated["latestDatasetUpdate"]["schemaArn"] == updated["schemaArn"] == new
    wide = n.upload("items.csv", items_csv(wide=True))
    n.imported(items, wide, importMode="FULL")
    _, version = n.trained("aws-item-attribute-affinity", "updated")
    after = segments(n, version, n.upload("in/job_input_updated.json", asked))
    assert [one["input"] for one in before] == [one["input"] for one in after]
    assert {"coverage", "hits_at_1_percent", "recall_at_1_percent"} <= set(
        p.get_solution_metrics(solutionVersionArn=version)["metrics"]
    )
    n.clean_up()
    p.delete_schema(schemaArn=old)


def segments(n: Notebook, version: str, source: str) -> list[dict[str, Any]]:
    job = n.personalize.create_batch_segment_job(
        solutionVersionArn=version,
        jobName="segment-" + uuid.uuid4().hex[:8],
        roleArn=n.role,
        jobInput={"s3DataSource": {"path": source}},
        jobOutput={"s3DataDestination": {"path": f"s3://{n.bucket}/segments/"}},
        numResults=10,
    )["batchSegmentJobArn"]
    n.active("batchSegmentJob", job)
    found = n.download("segments/" + source.rpartition("/")[2] + ".out")
    assert all(len(one["output"]["usersList"]) == 10 for one in found)
    return found


def test_retail_from_data_to_clean_up(notebook: Notebook):
    n, p = notebook, notebook.personalize
    _, _, interactions = n.shop()
    jobs = p.list_dataset_import_jobs(datasetArn=interactions, maxResults=100)["datasetImportJobs"]
    assert [job["jobName"][:7] for job in jobs] == ["import-"]
    viewed = n.recommender("aws-ecomm-customers-who-viewed-x-also-viewed")
    for_you = n.recommender("aws-ecomm-recommended-for-you")
    _, ranking = n.trained("aws-personalized-ranking", "rerank", performAutoTraining=False)
    campaign = n.campaign(ranking, "rerank")
    user = "5"
    beside = n.ask(recommenderArn=viewed, itemId="item-5", userId=user, numResults=20)
    plain = n.ask(recommenderArn=for_you, userId=user, numResults=20)
    within = n.ask(recommenderArn=for_you, userId=user, numResults=20, context={"DISCOUNT": "Yes"})
    assert len(beside) > 0 and len(plain) == len(within) == 20
    unranked = [f"item-{n}" for n in range(16)]
    answer = n.runtime.get_personalized_ranking(
        campaignArn=campaign, userId=user, inputList=unranked
    )
    ranked = [one["itemId"] for one in answer["personalizedRanking"]]
    assert sorted(ranked) == sorted(unranked)
    category = n.filter("filter-category", "INCLUDE ItemID WHERE Items.CATEGORY_L1 IN ($CATEGORY)")
    bought = n.filter(
        "filter-purchased", 'EXCLUDE itemId WHERE INTERACTIONS.event_type in ("Purchase")'
    )
    again = {"name": n.name("filter-category"), "datasetGroupArn": n.group_arn}
    refused = code(
        p.create_filter, filterExpression="INCLUDE ItemID WHERE Items.PRICE > 1", **again
    )
    assert refused == "ResourceAlreadyExistsException"
    assert category == f"arn:aws:personalize:{REGION}:{ACCOUNT}:filter/{again['name']}"
    tools = n.ask(
        recommenderArn=for_you,
        userId=user,
        filterArn=category,
        filterValues={"CATEGORY": '"food service"'},
    )
    assert {int(item[5:]) // 10 for item in tools} == {3}
    tracked = {"name": n.name("tracker"), "datasetGroupArn": n.group_arn}
    tracking = p.create_event_tracker(**tracked)["trackingId"]
    assert code(p.create_event_tracker, **tracked) == "ResourceAlreadyExistsException"
    found = p.list_event_trackers(datasetGroupArn=n.group_arn)["eventTrackers"][0]
    shown = p.describe_event_tracker(eventTrackerArn=found["eventTrackerArn"])["eventTracker"]
    assert (shown["trackingId"], shown["status"]) == (tracking, "ACTIVE")
    event = {
        "eventId": "event1",
        "sentAt": int(time.time()),
        "eventType": "Purchase",
        "itemId": ranked[0],
        "properties": json.dumps({"discount": "No"}),
    }
    n.events.put_events(
        trackingId=tracking, userId=user, sessionId=str(uuid.uuid1()), eventList=[event]
    )
    answer = n.runtime.get_personalized_ranking(
        campaignArn=campaign, userId=user, inputList=unranked, filterArn=bought
    )
    left = [one["itemId"] for one in answer["personalizedRanking"]]
    assert ranked[0] not in left and set(left) < set(ranked)
    line = json.dumps({"userId": user, "itemList": unranked}) + "\n"
    n.batch(ranking, n.upload("json_input.json", line), "", None)
    [out] = n.download("json_input.json.out")
    assert sorted(out["output"]["recommendedItems"]) == sorted(unranked)
    n.clean_up()
