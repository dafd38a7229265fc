"""What happens by itself: versions brought up to date, recommenders trained anew."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tailorbird import learn
from tailorbird.learn import (
    campaigns,
    datasets,
    events,
    groups,
    inspection,
    recommenders,
    schemas,
    serving,
    solutions,
    training,
    update_schedule,
)
from tailorbird.learn.tables import learn_solution_versions
from tailorbird.store import Database, Jobs, Objects
from tests.conftest import wait_for

from .conftest import CALLER, FIELDS, Study, as_csv, chains, schema_text

SECONDS = 1 / 3600
RECIPE = "arn:aws:personalize:::recipe/"


def put(study: Study, tracker: str, item: str, user: str, kind: str = "view", n: int = 1) -> None:
    moment = study.room.clock.now()
    for step in range(0, n, 10):
        some = [
            {"eventType": kind, "itemId": item, "sentAt": moment + step + k}
            for k in range(min(10, n - step))
        ]
        given = {"trackingId": tracker, "sessionId": f"s{user}", "userId": user}
        study(events.put_events, eventList=some, **given)


def first(study: Study, campaign: str = "", **more: Any) -> str:
    """The first item of a campaign's answer, or of a recommender's."""
    request = ({"campaignArn": campaign} if campaign else {}) | {"numResults": 1} | more
    return study(serving.get_recommendations, **request)["itemList"][0]["itemId"]


def artifact(study: Study, version: str) -> str:
    table = learn_solution_versions
    with study.room.db.read() as conn:
        query = table.select().where(table.c.arn == version)
        return conn.execute(query).mappings().one()["artifact"]


def test_what_is_trending_follows_the_events_without_a_new_version(
    study: Study, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(events.SETTLED_SECONDS, "postgresql", 0.0)
    settings = study.room.settings
    study.room.settings = settings.replace(learn_trend_minutes=1 / 60)
    study.interactions()
    assert study.bring(as_csv(chains()))["status"] == "ACTIVE"
    version = study.train("aws-trending-now")
    arn = version["solutionVersionArn"]
    campaign = study.deploy(arn)
    tracker = study.tracker()
    put(study, tracker, "the-new-thing", "u1", n=30)
    wait_for(lambda: first(study, campaign) == "the-new-thing", 40)
    shown = study(training.describe_solution_version, solutionVersionArn=arn)["solutionVersion"]
    assert shown["creationDateTime"] == version["creationDateTime"]
    metrics = study(training.get_solution_metrics, solutionVersionArn=arn)["metrics"]
    assert 0 <= metrics["trend_prediction_accuracy"] <= 1
    study(campaigns.delete_campaign, campaignArn=campaign)
    study(solutions.delete_solution, solutionArn=version["solutionArn"])
    study.room.settings = settings


def test_nothing_new_changes_nothing(study: Study):
    study.room.settings = study.room.settings.replace(learn_automatic_update_hours=SECONDS)
    study.interactions()
    assert study.bring(as_csv(chains(users=40, rows=20)))["status"] == "ACTIVE"
    version = study.train()["solutionVersionArn"]
    before = artifact(study, version)
    study.deploy(version)
    time.sleep(2.5)
    assert artifact(study, version) == before


def test_what_one_process_takes_another_answers_with_within_a_second(
    study: Study, database_url: str
):
    """A room of its own on the same database and objects, as a second server has it."""
    study.interactions()
    assert study.bring(as_csv(chains()))["status"] == "ACTIVE"
    campaign = study.deploy(study.train()["solutionVersionArn"])
    tracker = study.tracker()
    room = study.room
    db = Database(database_url)
    beside = learn.Learn(
        db,
        Jobs(db, room.clock),
        Objects(room.objects.root, room.settings),
        room.clock,
        room.settings,
    )

    def answer() -> list[str]:
        request = {"campaignArn": campaign, "userId": "somebody-new", "numResults": 5}
        found = serving.get_recommendations(beside, CALLER, request)["itemList"]
        return [one["itemId"] for one in found]

    before = answer()
    put(study, tracker, "i20", "somebody-new")
    taken = time.monotonic()
    wait_for(lambda: answer() != before, 5)
    assert time.monotonic() - taken < 1.0
    seen = inspection.events(beside, tracker)
    assert (seen["received"], seen["linked"], seen["unusable"]) == (1, 1, {})
    db.close()


@pytest.mark.parametrize(
    ("recipe", "definition", "hours"),
    [
        ("aws-user-personalization", {}, 2.0),
        ("aws-user-personalization-v2", {}, 2.0),
        ("aws-next-best-action", {}, 2.0),
        ("aws-ecomm-recommended-for-you", {}, 2.0),
        ("aws-trending-now", {}, 2.0),
        ("aws-vod-trending-now", {}, 2.0),
        ("aws-semantic-similarity", {"performIncrementalUpdate": True}, 0.5),
        ("aws-semantic-similarity", {}, 0.0),
        ("aws-hrnn", {}, 0.0),
        ("aws-sims", {}, 0.0),
        ("aws-popularity-count", {}, 0.0),
    ],
)
def test_who_is_updated_how_often(study_once: Any, recipe: str, definition: dict, hours: float):
    found = update_schedule.seconds(study_once, RECIPE + recipe, definition)
    assert found == hours * 3600


def test_a_short_frequency_is_kept(study_once: Any):
    config = {"featureTransformationParameters": {"trend_discovery_frequency": "30 minutes"}}
    definition = {"solutionConfig": config}
    assert update_schedule.seconds(study_once, RECIPE + "aws-trending-now", definition) == 1800


@pytest.fixture
def study_once(settings: Any) -> Any:
    class Room:
        pass

    room = Room()
    room.settings = settings  # type: ignore[attr-defined]
    return room


def test_a_recommender_trains_anew_and_answers_all_the_while(
    study: Study, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(events.SETTLED_SECONDS, "postgresql", 0.0)
    study.room.settings = study.room.settings.replace(learn_recommender_days=2 / 86_400)
    shop(study)
    arn = study(
        recommenders.create_recommender,
        name="views",
        datasetGroupArn=study.group,
        recipeArn=RECIPE + "aws-ecomm-popular-items-by-views",
    )["recommenderArn"]
    describe = recommenders.describe_recommender
    assert study.settled(lambda: study(describe, recommenderArn=arn)["recommender"])["status"] == (
        "ACTIVE"
    )
    ask = {"recommenderArn": arn, "userId": "u1"}
    seen = first(study, **ask)
    tracker = study.tracker()
    for n in range(70):
        put(study, tracker, "everybody-s-darling", f"v{n}", kind="View")

    def changed() -> bool:
        assert study(describe, recommenderArn=arn)["recommender"]["status"] == "ACTIVE"
        return first(study, **ask) == "everybody-s-darling" != seen

    wait_for(changed, 60)
    config = {"trainingDataConfig": {"excludedDatasetColumns": {"INTERACTIONS": ["EVENT_TYPE"]}}}
    study(recommenders.update_recommender, recommenderArn=arn, recommenderConfig=config)

    def update() -> dict[str, Any]:
        return study(describe, recommenderArn=arn)["recommender"]["latestRecommenderUpdate"]

    assert update()["recommenderConfig"] == config
    wait_for(lambda: update()["status"] == "ACTIVE", 60)
    stop = study(recommenders.stop_recommender, recommenderArn=arn)
    assert stop == {"recommenderArn": arn}
    assert study(describe, recommenderArn=arn)["recommender"]["status"] == "INACTIVE"


def shop(study: Study) -> None:
    """A domain group with views."""
    study.interactions()
    name = study.name("domain")
    schema = study(
        schemas.create_schema, name=name, schema=schema_text(FIELDS), domain="ECOMMERCE"
    )["schemaArn"]
    study.group = study(groups.create_dataset_group, name=name, domain="ECOMMERCE")[
        "datasetGroupArn"
    ]
    study.dataset = study(
        datasets.create_dataset,
        name=name,
        schemaArn=schema,
        datasetGroupArn=study.group,
        datasetType="Interactions",
    )["datasetArn"]
    rows = [(user, item, "View", at) for user, item, _, at in chains()]
    assert study.bring(as_csv(rows))["status"] == "ACTIVE"
