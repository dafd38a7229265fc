"""The calls of AWS's notebooks for domain dataset groups, in their order, to their last cell.

Retyped from amazon-personalize-immersion-day (Media 01 to 06), amazon-personalize-samples
(promotions, measuring the impact of recommendations) and the retail demo store's labs 2 to 10.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server

from .notebook import INTERACTIONS, ITEMS, RECIPE, TRUST, Notebook, code, interactions_csv, visits

USER, ITEM, EVENT, TIME = (INTERACTIONS[n] for n in (1, 0, 2, 3))
GENRES = ("Drama", "Comedy", "Film-Noir", "Sci-Fi")
TITLE = {"ITEMS": ["TITLE"]}
UNKNOWN = "9dbf7c1a-3936-42ee-8c36-a28e94a35265"


@pytest.fixture
def notebook(server: Server, tmp_path: Path) -> Notebook:
    return Notebook(server, tmp_path)


def film_items() -> list[dict[str, Any]]:
    texts = [
        {"name": "TITLE", "type": "string"},
        {"name": "YEAR", "type": "int"},
        {"name": "IMDB_RATING", "type": "int"},
        {"name": "PLOT", "type": "string", "textual": True},
        {"name": "US_MATURITY_RATING_STRING", "type": "string"},
        {"name": "GENRES", "type": "string", "categorical": True},
        {"name": "CREATION_TIMESTAMP", "type": "long"},
        {"name": "PROMOTION", "type": "string"},
    ]
    return [ITEM, *texts]


def film_rows() -> str:
    head = ",".join(field["name"] for field in film_items())
    lines = [
        f'tt{i:07},"Film {i}, or The {i}th",{1970 + i},7,"A ""plot"" of {GENRES[i % 4]}.",PG,'
        f"{GENRES[i % 4]}|Family,{1_167_609_600 + i},{'True' if i % 10 == 0 else 'False'}"
        for i in range(40)
    ]
    return head + "\n" + "\n".join(lines) + "\n"


def test_media_from_data_to_clean_up(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.group(domain="VIDEO_ON_DEMAND")
    again = {"name": n.name("DSG"), "domain": "VIDEO_ON_DEMAND"}
    with pytest.raises(p.exceptions.ResourceAlreadyExistsException):
        p.create_dataset_group(**again)
    interactions = n.dataset("Interactions", [USER, ITEM, EVENT, TIME])
    items = n.dataset("Items", film_items())
    users = n.dataset("Users", [USER, {"name": "MEMBERLEVEL", "type": "string"}])
    kinds = {"View": "Watch", "Purchase": "Click"}
    lines = [f"{u},tt{int(i[5:]):07},{kinds[k]},{at}" for i, u, k, at, _ in visits()]
    text = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "\n".join(lines) + "\n"
    n.imported(interactions, n.upload("interactions.csv", text))
    n.imported(items, n.upload("items.csv", film_rows()))
    levels = "".join(f"{u},{'gold' if u % 2 else 'basic'}\n" for u in range(50))
    n.imported(users, n.upload("users.csv", "USER_ID,MEMBERLEVEL\n" + levels))
    for domain in ({"domain": "VIDEO_ON_DEMAND"}, {}):
        first = p.list_recipes(**domain)
        second = p.list_recipes(nextToken=first["nextToken"], **domain)
        listed = {one["name"] for one in first["recipes"] + second["recipes"]}
        assert {"aws-vod-more-like-x", "aws-vod-top-picks"} <= listed
    config = {"enableMetadataWithRecommendations": True}
    recommenders = {}
    for name in ("more-like-x", "top-picks"):
        made = {"name": n.name(name), "datasetGroupArn": n.group_arn}
        made |= {"recipeArn": f"{RECIPE}aws-vod-{name}", "recommenderConfig": config}
        recommenders[name] = p.create_recommender(**made)["recommenderArn"]
        with pytest.raises(p.exceptions.ResourceAlreadyExistsException):
            p.create_recommender(**made)
    for arn in recommenders.values():
        shown = n.active("recommender", arn)
        assert shown["recommenderConfig"] == config
        assert shown["modelMetrics"]["precision_at_5"] >= 0
        p.update_recommender(recommenderArn=arn, recommenderConfig=config)
        n.active("recommender", arn)
    _, version = n.trained("aws-personalized-ranking", "rerank")
    with_metadata = {"campaignConfig": {"enableMetadataWithRecommendations": True}}
    rerank = n.campaign(version, "rerank", **with_metadata)
    like, picks = recommenders["more-like-x"], recommenders["top-picks"]
    asked = {"recommenderArn": like, "itemId": "tt0000005", "userId": "1"}
    answer = n.runtime.get_recommendations(numResults=15, metadataColumns=TITLE, **asked)
    assert all(one["metadata"]["title"].startswith("Film ") for one in answer["itemList"])
    by_genre = n.filter("genre", "INCLUDE ItemID WHERE Items.GENRES IN ($GENRE)")
    for place, genre in enumerate(GENRES):
        found = n.ask(
            recommenderArn=picks,
            userId="1",
            filterArn=by_genre,
            filterValues={"GENRE": f'"{genre}"'},
            metadataColumns=TITLE,
        )
        assert {int(item[2:]) % 4 for item in found} == {place}
    promoted = n.filter("promotion", 'INCLUDE ItemID WHERE ITEMS.PROMOTION IN ("True")')
    promotion = {"name": "promoted", "percentPromotedItems": 20, "filterArn": promoted}
    answer = n.runtime.get_recommendations(
        recommenderArn=picks, userId="1", numResults=15, promotions=[promotion]
    )
    named = [one["itemId"] for one in answer["itemList"] if one.get("promotionName") == "promoted"]
    assert len(named) == 3 and {int(item[2:]) % 10 for item in named} == {0}
    watched = n.filter("watched", 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("Watch")')
    unwatched = n.filter("unwatched", 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("Watch")')
    tracking = p.create_event_tracker(name=n.name("t"), datasetGroupArn=n.group_arn)["trackingId"]
    wanted = [f"tt{i:07}" for i in range(0, 40, 2)]

    def ranked(filter_arn: str) -> list[dict[str, Any]]:
        answer = n.runtime.get_personalized_ranking(
            campaignArn=rerank,
            userId="8",
            inputList=wanted,
            filterArn=filter_arn,
            metadataColumns=TITLE,
        )
        assert all("title" in one["metadata"] for one in answer["personalizedRanking"])
        return list(answer["personalizedRanking"])

    before = [one["itemId"] for one in ranked(unwatched)][:4]
    for item in before:
        event = {"sentAt": int(time.time()), "eventType": "Watch"}
        event |= {"properties": json.dumps({"itemId": item})}
        told = {"trackingId": tracking, "userId": "8", "sessionId": str(uuid.uuid1())}
        n.events.put_events(eventList=[event], **told)
    assert set(before) <= {one["itemId"] for one in ranked(watched)}
    assert not set(before) & {one["itemId"] for one in ranked(unwatched)}
    n.clean_up()


def test_promotions_and_measuring_their_impact(notebook: Notebook, server: Server):
    n, p = notebook, notebook.personalize
    kept = n.s3.get_bucket_policy(Bucket=n.bucket)["Policy"]
    assert json.loads(kept)["Statement"][0]["Sid"] == "PersonalizeS3BucketAccessPolicy"
    with pytest.raises(n.iam.exceptions.EntityAlreadyExistsException):
        n.iam.create_role(RoleName=n.role_name, AssumeRolePolicyDocument=json.dumps(TRUST))
    full = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    n.iam.attach_role_policy(RoleName=n.role_name, PolicyArn=full)
    attached = n.iam.list_attached_role_policies(RoleName=n.role_name)["AttachedPolicies"]
    assert full in [one["PolicyArn"] for one in attached]
    n.group()
    interactions = n.dataset("Interactions", [ITEM, USER, EVENT, TIME])
    category = {"type": ["string"], "categorical": True}
    fields = [
        ITEM,
        {"name": "PRICE", "type": "float"},
        {"name": "CATEGORY_L1"} | category,
        {"name": "CATEGORY_L2"} | category,
        {"name": "MARGIN", "type": "double"},
    ]
    items = n.dataset("Items", fields)
    wanted = {"datasetGroupArn": n.group_arn}
    assert p.list_metric_attributions(**wanted)["metricAttributions"] == []
    metrics = [
        {"eventType": "View", "expression": "SAMPLECOUNT()", "metricName": "countViews"},
        {"eventType": "Purchase", "expression": "SUM(ITEMS.MARGIN)", "metricName": "sumMargin"},
    ]
    place = {"path": f"s3://{n.bucket}/metrics/"}
    made = p.create_metric_attribution(
        name="my-first-metric-attribution",
        metrics=metrics,
        metricsOutputConfig={"roleArn": n.role, "s3DataDestination": place},
        **wanted,
    )
    attribution = made["metricAttributionArn"]
    assert n.active("metricAttribution", attribution)["name"] == "my-first-metric-attribution"
    lines = [f"{k},{i},{u},{e},{t}" for k, (i, u, e, t, _) in enumerate(visits())]
    text = ",ITEM_ID,USER_ID,EVENT_TYPE,TIMESTAMP\n" + "\n".join(lines) + "\n"
    n.imported(interactions, n.upload("cleaned_interactions_training_data.csv", text))
    kinds = ("halloween", "decorative")
    rows = [f"{k},item-{k},{9 + k}.5,seasonal,{kinds[k % 2]},1.5" for k in range(40)]
    text = ",ITEM_ID,PRICE,CATEGORY_L1,CATEGORY_L2,MARGIN\n" + "\n".join(rows) + "\n"
    n.imported(items, n.upload("cleaned_item_training_data.csv", text))
    for_you = n.recommender("aws-ecomm-recommended-for-you")
    beside = n.recommender("aws-ecomm-customers-who-viewed-x-also-viewed")
    shelf = n.filter("category_filter", "INCLUDE ItemID WHERE Items.CATEGORY_L2 IN ($CATEGORY)")
    promotion = {
        "name": "halloween_promotion",
        "percentPromotedItems": 20,
        "filterArn": shelf,
        "filterValues": {"CATEGORY": '"halloween"'},
    }
    found = n.runtime.get_recommendations(
        recommenderArn=for_you,
        userId="7",
        numResults=10,
        filterArn=shelf,
        filterValues={"CATEGORY": '"decorative"'},
        promotions=[promotion],
    )["itemList"]
    odd = {bool(one.get("promotionName")): int(one["itemId"][5:]) % 2 for one in found}
    assert odd == {True: 0, False: 1}
    tracking = p.create_event_tracker(name=n.name("t"), **wanted)["trackingId"]
    today = int(time.time())
    for source, item in (("recommended_for_you", None), ("viewed_X_also_viewed", UNKNOWN)):
        asked = {"recommenderArn": beside, "itemId": item} if item else {"recommenderArn": for_you}
        for number, one in enumerate(n.ask(userId="5", numResults=20, **asked)):
            event = {
                "eventId": str(uuid.uuid4()),
                "eventType": "Purchase" if number % 5 == 0 else "View",
                "itemId": one,
                "metricAttribution": {"eventAttributionSource": source},
                "sentAt": today - 120 * (number + 1),
            }
            told = {"trackingId": tracking, "userId": "5", "sessionId": str(uuid.uuid4())}
            n.events.put_events(eventList=[event], **told)
    check_cloudwatch(n, server.client("cloudwatch"), today)
    p.delete_metric_attribution(metricAttributionArn=attribution)
    n.iam.detach_role_policy(RoleName=n.role_name, PolicyArn=full)
    for one in n.s3.list_objects_v2(Bucket=n.bucket).get("Contents", ()):
        n.s3.delete_object(Bucket=n.bucket, Key=one["Key"])
    n.clean_up()


def check_cloudwatch(n: Notebook, watch: Any, today: int) -> None:
    """What the notebook draws: a line for each metric and source."""
    pages = watch.get_paginator("list_metrics").paginate(Namespace="AWS/Personalize")
    listed = {one["MetricName"] for page in pages for one in page["Metrics"]}
    assert {"SUMMARGIN", "COUNTVIEWS"} <= listed
    for source in ("RECOMMENDED_FOR_YOU", "VIEWED_X_ALSO_VIEWED"):
        for name, whole in (("SUMMARGIN", 4 * 1.5), ("COUNTVIEWS", 16)):
            stated = {"EventAttributionSource": source, "DatasetGroupArn": n.group_arn}
            metric = {
                "Namespace": "AWS/Personalize",
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in stated.items()],
            }
            query = {"Id": "q1", "MetricStat": {"Metric": metric, "Period": 900, "Stat": "Sum"}}
            [result] = watch.get_metric_data(
                StartTime=today - 5 * 3600, EndTime=today, MetricDataQueries=[query]
            )["MetricDataResults"]
            assert len(result["Timestamps"]) == len(result["Values"])
            assert sum(result["Values"]) == pytest.approx(whole)


def test_the_labs_of_the_retail_demo_store(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.group()
    interactions = n.dataset("Interactions", INTERACTIONS)
    named = [{"name": name, "type": "string"} for name in ("PRODUCT_NAME", "PROMOTED")]
    items = n.dataset("Items", [*ITEMS, *named])
    n.imported(interactions, n.upload("interactions.csv", interactions_csv()))
    rows = [f"item-{k},{k}.99,{('tools', 'floral')[k % 2]},Thing {k},Y" for k in range(40)]
    text = "ITEM_ID,PRICE,CATEGORY_L1,PRODUCT_NAME,PROMOTED\n" + "\n".join(rows) + "\n"
    n.imported(items, n.upload("items.csv", text))
    left_out = {"excludedDatasetColumns": {"ITEMS": ["PRODUCT_NAME", "PROMOTED"]}}
    config = {"trainingDataConfig": left_out}
    arns = {}
    for recipe in ("recommended-for-you", "popular-items-by-views"):
        arns[recipe] = p.create_recommender(
            name=n.name(recipe),
            recipeArn=f"{RECIPE}aws-ecomm-{recipe}",
            datasetGroupArn=n.group_arn,
            recommenderConfig=config,
        )["recommenderArn"]
    recipes = ("aws-similar-items", "aws-personalized-ranking", "aws-item-attribute-affinity")
    versions = {}
    for recipe in recipes:
        solution, versions[recipe] = n.trained(recipe, recipe, solutionConfig=config)
        listed = p.list_solution_versions(solutionArn=solution, maxResults=100)
        assert listed["solutionVersions"][-1]["solutionVersionArn"] == versions[recipe]
    for arn in arns.values():
        n.active("recommender", arn)
        assert len(n.ask(recommenderArn=arn, userId="5", numResults=12)) == 12
    similar = n.campaign(versions["aws-similar-items"], "similar")
    same = n.filter(
        "similar-same-category",
        'EXCLUDE ItemID WHERE INTERACTIONS.event_type IN ("Purchase") | '
        "INCLUDE ItemID WHERE ITEMS.CATEGORY_L1 IN CurrentItem.CATEGORY_L1",
    )
    found = n.ask(campaignArn=similar, itemId="item-6", userId="5", filterArn=same)
    assert found and {int(item[5:]) % 2 for item in found} == {0}
    ranking = n.campaign(versions["aws-personalized-ranking"], "ranking")
    featured = {"inputList": [f"item-{k}" for k in range(20)], "campaignArn": ranking}
    scores = {}
    for discount in ({}, {"context": {"DISCOUNT": "Yes"}}):
        answer = n.runtime.get_personalized_ranking(userId="5", **featured, **discount)
        ranked = {one["itemId"]: one["score"] for one in answer["personalizedRanking"]}
        scores[len(discount)] = ranked
        assert set(ranked) == set(featured["inputList"])
    assert scores[0] != scores[1]
    asked = "".join(
        f'{{"itemAttributes": "ITEMS.CATEGORY_L1 = \\"{one}\\""}}\n' for one in ("tools", "floral")
    )
    job = p.create_batch_segment_job(
        solutionVersionArn=versions["aws-item-attribute-affinity"],
        jobName="item-attrib-affinity_" + str(round(time.time() * 1000)),
        roleArn=n.role,
        jobInput={"s3DataSource": {"path": n.upload("affinity_input.json", asked)}},
        jobOutput={"s3DataDestination": {"path": f"s3://{n.bucket}/segmentation/affinity/"}},
        numResults=25,
    )
    n.active("batchSegmentJob", job["batchSegmentJobArn"])
    out = n.download("segmentation/affinity/affinity_input.json.out")
    assert [len(one["output"]["usersList"]) for one in out] == [25, 25]
    assert code(p.delete_schema, schemaArn="arn:aws:personalize:us-east-1:123456789012:schema/no")
    n.clean_up()
