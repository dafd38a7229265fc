"""Domain dataset groups: use cases that are trained and answer as recommenders; trends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tailorbird.errors import AlreadyExists, InUse, Invalid, NotFound
from tailorbird.learn import (
    catalogue,
    datasets,
    events,
    groups,
    recommenders,
    schemas,
    serving,
    solutions,
    training,
)
from tailorbird.learn.recipes import RECIPES, trending_now

from .conftest import Study, as_csv, chains, schema_text

ARN = "arn:aws:personalize:::recipe/"


def shop(
    study: Study, domain: str = "ECOMMERCE", kinds: tuple[str, ...] = ("View", "Purchase")
) -> None:
    """A domain group; users walk through the items, every third row is of the second type."""
    schema = study(schemas.create_schema, name="d", schema=schema_text(), domain=domain)
    study.group = study(groups.create_dataset_group, name="d", domain=domain)["datasetGroupArn"]
    study.dataset = study(
        datasets.create_dataset,
        name="d",
        schemaArn=schema["schemaArn"],
        datasetGroupArn=study.group,
        datasetType="Interactions",
    )["datasetArn"]
    rows = [
        (user, item, kinds[-1] if n % 3 == 2 else kinds[0], at)
        for n, (user, item, _, at) in enumerate(chains(rows=31))
    ]
    assert study.bring(as_csv(rows))["status"] == "ACTIVE"


def create(study: Study, recipe: str, **more: Any) -> dict[str, Any]:
    arn = study(
        recommenders.create_recommender,
        name=study.name("rec"),
        datasetGroupArn=study.group,
        recipeArn=ARN + recipe,
        **more,
    )["recommenderArn"]
    return study.settled(
        lambda: study(recommenders.describe_recommender, recommenderArn=arn)["recommender"]
    )


def ask(study: Study, made: dict[str, Any], **more: Any) -> list[str]:
    answer = study(serving.get_recommendations, recommenderArn=made["recommenderArn"], **more)
    return [one["itemId"] for one in answer["itemList"]]


def test_a_use_case_is_trained_measured_and_answers_without_what_was_bought(study: Study):
    shop(study)
    made = create(study, "aws-ecomm-recommended-for-you")
    assert made["status"] == "ACTIVE", made
    assert "mean_reciprocal_rank_at_25" in made["modelMetrics"]
    assert training_versions(study) == []
    tracker = study.tracker()
    first = ask(study, made, userId="u1", numResults=5)
    assert len(first) == 5
    study(
        events.put_events,
        trackingId=tracker,
        sessionId="s",
        userId="u1",
        eventList=[{"eventType": "Purchase", "sentAt": 1_800_000_000.0, "itemId": first[0]}],
    )
    assert first[0] not in ask(study, made, userId="u1", numResults=25)


def training_versions(study: Study) -> list[dict[str, Any]]:
    return study(training.list_solution_versions)["solutionVersions"]


def test_popular_use_cases_count_their_own_event_and_ask_for_a_user(study: Study):
    shop(study)
    made = create(study, "aws-ecomm-popular-items-by-purchases")
    with pytest.raises(Invalid, match="userId is missing"):
        ask(study, made)
    assert len(ask(study, made, userId="anyone")) == 25


def test_the_other_domain_has_its_own_use_cases(study: Study):
    shop(study, "VIDEO_ON_DEMAND", ("Watch",))
    made = create(study, "aws-vod-because-you-watched-x")
    beside = ask(study, made, itemId="i5", userId="u1")
    assert "i5" not in beside
    trending = create(study, "aws-vod-trending-now")
    assert len(ask(study, trending, numResults=3)) == 3
    with pytest.raises(Invalid, match="needs an Items dataset"):
        create(study, "aws-vod-more-like-x")


def test_a_recommender_is_stopped_started_updated_and_deleted(study: Study):
    shop(study)
    made = create(study, "aws-ecomm-frequently-bought-together")
    arn = made["recommenderArn"]
    with pytest.raises(InUse, match="dataset group"):
        study(groups.delete_dataset_group, datasetGroupArn=study.group)
    with pytest.raises(InUse, match="ACTIVE"):
        study(recommenders.start_recommender, recommenderArn=arn)
    study(recommenders.stop_recommender, recommenderArn=arn)
    with pytest.raises(NotFound, match="INACTIVE"):
        ask(study, made, itemId="i1")
    study(recommenders.start_recommender, recommenderArn=arn)
    config = {"minRecommendationRequestsPerSecond": 2}
    study(recommenders.update_recommender, recommenderArn=arn, recommenderConfig=config)
    shown = study(recommenders.describe_recommender, recommenderArn=arn)["recommender"]
    assert (
        shown["recommenderConfig"]
        == shown["latestRecommenderUpdate"]["recommenderConfig"]
        == config
    )
    listed = study(recommenders.list_recommenders, datasetGroupArn=study.group)["recommenders"]
    assert [one["recommenderArn"] for one in listed] == [arn]
    assert ask(study, made, itemId="i1")
    study(recommenders.delete_recommender, recommenderArn=arn)
    with pytest.raises(NotFound):
        ask(study, made, itemId="i1")
    assert not list(study.room.objects.list("s3://tailorbird-learn/models/"))


def test_a_recommender_that_cannot_be_trained_fails_with_the_reason(study: Study):
    shop(study, kinds=("View",))
    made = create(study, "aws-ecomm-popular-items-by-purchases")
    assert made["status"] == "CREATE FAILED"
    assert "event type: Purchase" in made["failureReason"]
    study(recommenders.delete_recommender, recommenderArn=made["recommenderArn"])


def test_domains_and_custom_groups_are_kept_apart(study: Study):
    shop(study)
    request = {"name": "x", "datasetGroupArn": study.group}
    for recipe, reason in (
        ("aws-vod-top-picks", "has ECOMMERCE"),
        ("aws-sims", "no use case"),
    ):
        with pytest.raises(Invalid, match=reason):
            study(recommenders.create_recommender, recipeArn=ARN + recipe, **request)
    with pytest.raises(Invalid, match="CreateRecommender"):
        study(solutions.create_solution, recipeArn=ARN + "aws-vod-top-picks", **request)
    plain = study(schemas.create_schema, name="plain", schema=schema_text())["schemaArn"]
    with pytest.raises(Invalid, match="both have to be of the same"):
        study(
            datasets.create_dataset,
            name="u",
            schemaArn=plain,
            datasetGroupArn=study.group,
            datasetType="Interactions",
        )
    made = create(study, "aws-ecomm-popular-items-by-views")
    with pytest.raises(AlreadyExists):
        study(
            recommenders.create_recommender,
            name=made["name"],
            datasetGroupArn=study.group,
            recipeArn=made["recipeArn"],
        )


def test_every_domain_lists_its_five_use_cases(study: Study):
    for domain in ("ECOMMERCE", "VIDEO_ON_DEMAND"):
        listed = study(catalogue.list_recipes, domain=domain)["recipes"]
        assert len(listed) == 5
        assert {one["domain"] for one in listed} == {domain}
        assert all(one["recipeArn"] in RECIPES for one in listed)


HOUR = 3_600.0
TRENDS = {
    "the one that grew": ([(0, -2), (1, -2), (1, -1), (1, -0.5)], 1, 1),
    "not the merely popular": ([(0, -n / 10) for n in range(20)] + [(1, -0.5)] * 9, 1, 1),
    "nothing but old rows": ([(0, 0)] + [(1, -100)] * 9, 1, 0),
}


@pytest.mark.parametrize("rows, hours, winner", TRENDS.values(), ids=TRENDS)
def test_growth_from_one_interval_to_the_next(rows: list, hours: float, winner: int):
    item = np.array([one for one, _ in rows])
    time = np.array([1e9 + hour * HOUR for _, hour in rows])
    assert int(np.argmax(trending_now.growth(item, time, 2, hours * HOUR))) == winner


@pytest.mark.parametrize("text", ["4 hours", "soon", "0 minutes", ""])
def test_an_interval_the_service_does_not_have_is_refused(text: str):
    with pytest.raises(Invalid, match="30 minutes"):
        trending_now.seconds(text)


def test_trending_now_takes_its_interval_from_the_solution(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    given = {"featureTransformationParameters": {"trend_discovery_frequency": "30 minutes"}}
    version = study.train("aws-trending-now", solutionConfig=given)
    assert version["status"] == "ACTIVE"
    answer = study(
        serving.get_recommendations, campaignArn=study.deploy(version["solutionVersionArn"])
    )
    assert len(answer["itemList"]) == 25
    with pytest.raises(Invalid, match="30 minutes"):
        bad = {"featureTransformationParameters": {"trend_discovery_frequency": "4 hours"}}
        study.train("aws-trending-now", solutionConfig=bad)
