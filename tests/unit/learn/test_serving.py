"""Campaigns, live events and answers: one trained model, asked in every way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tailorbird import learn
from tailorbird.clock import SystemClock
from tailorbird.errors import Conflict, InUse, Invalid, NotFound
from tailorbird.learn import campaigns, events, serving, solutions, trackers
from tailorbird.store import Database, Objects

from .conftest import CALLER, Study, as_csv, chains

NEW = 1_800_000_000.0


@pytest.fixture
def shop(study: Study) -> Iterator[Study]:
    """A group with rows in it and a tracker."""
    study.interactions()
    assert study.bring(as_csv(chains()))["status"] == "ACTIVE"
    study.tracking = study.tracker()  # type: ignore[attr-defined]
    yield study


def put(study: Study, *items: str | None, **more: Any) -> None:
    """PutEvents of views of these items."""
    found = [{"eventType": "view", "sentAt": NEW + n} for n in range(len(items))]
    for event, item in zip(found, items, strict=True):
        event |= {"itemId": item} if item else {}
    request = {"trackingId": study.tracking, "sessionId": "s1", "eventList": found}  # type: ignore[attr-defined]
    study(events.put_events, **request | more)


def items(answer: dict[str, Any]) -> list[str]:
    return [one["itemId"] for one in answer["itemList"]]


def test_a_user_campaign_from_first_answer_to_last(shop: Study):
    version = shop.train()
    arn = shop.deploy(version["solutionVersionArn"])

    def ask(user: str, **more: Any) -> dict[str, Any]:
        return shop(serving.get_recommendations, campaignArn=arn, userId=user, **more)

    nobody = ask("nobody")
    assert len(nobody["itemList"]) == 25
    assert nobody["recommendationId"].startswith("RID-")
    scores = [one["score"] for one in nobody["itemList"]]
    assert scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) <= 1.000001
    assert len(items(ask("u1", numResults=3))) == 3
    assert len(items(ask("u1", numResults=500))) == 40

    put(shop, "i5", userId="ana")
    seen = items(ask("ana"))
    assert seen != items(nobody)
    assert seen[0] in {"i6", "i7", "i8", "i9"}

    put(shop, "i30", sessionId="anonymous")
    before = items(ask("anonymous"))
    assert before != items(nobody)
    put(shop, "i31", sessionId="anonymous", userId="ben")
    assert items(ask("ben")) != items(nobody)
    assert items(ask("anonymous")) == items(ask("ben"))

    elsewhere = learn.Learn(
        Database(str(shop.room.db.engine.url.render_as_string(hide_password=False))),
        shop.room.jobs,
        Objects(shop.room.objects.root, shop.room.settings),
        SystemClock(),
        shop.room.settings,
    )
    put(shop, "i12", userId="ben")
    there = serving.get_recommendations(elsewhere, CALLER, {"campaignArn": arn, "userId": "ben"})
    assert items(there) == items(ask("ben"))
    assert learn.recommend(elsewhere, arn, "ben", 3) == items(ask("ben"))[:3]
    elsewhere.db.close()

    ranking = shop(
        serving.get_personalized_ranking,
        campaignArn=arn,
        userId="ana",
        inputList=["i39", "never", "i6", "i6"],
    )["personalizedRanking"]
    assert [one["itemId"] for one in ranking] == ["i6", "i39", "never"]
    assert "score" not in ranking[2]
    assert sum(one["score"] for one in ranking[:2]) == pytest.approx(1, abs=1e-6)

    assert items(ask("ana", context={"WEATHER": "rain", "event_type": "view"})) == seen
    with pytest.raises(Invalid, match="userId"):
        shop(serving.get_recommendations, campaignArn=arn)
    with pytest.raises(Invalid, match="campaignArn"):
        shop(serving.get_recommendations, userId="ana")
    with pytest.raises(NotFound):
        shop(serving.get_recommendations, campaignArn=arn + "x", userId="ana")
    stranger = replace(CALLER, account="999999999999")
    with pytest.raises(NotFound):
        serving.get_recommendations(shop.room, stranger, {"campaignArn": arn, "userId": "ana"})

    campaign_rules(shop, arn, version)


def campaign_rules(shop: Study, arn: str, version: dict[str, Any]) -> None:
    """Update, $LATEST and delete, on the campaign that is there."""
    solution = version["solutionArn"]
    first = shop(campaigns.describe_campaign, campaignArn=arn)["campaign"]
    assert first["solutionVersionArn"] == version["solutionVersionArn"]
    assert "latestCampaignUpdate" not in first
    latest = f"{solution}/$LATEST"
    config = {"syncWithLatestSolutionVersion": True}
    given = {"solutionVersionArn": latest, "minProvisionedTPS": 2, "campaignConfig": config}
    shop(campaigns.update_campaign, campaignArn=arn, **given)
    shown = shop(campaigns.describe_campaign, campaignArn=arn)["campaign"]
    assert given.items() <= shown.items()
    assert shown["latestCampaignUpdate"]["status"] == "ACTIVE"

    again = shop.train_again(solution)
    served = campaigns_version(shop, arn)
    assert served == again["solutionVersionArn"] != version["solutionVersionArn"]

    with pytest.raises(InUse, match="has a campaign"):
        shop(solutions.delete_solution, solutionArn=solution)
    with pytest.raises(NotFound):
        shop(campaigns.create_campaign, name="bare", solutionVersionArn=solution)
    with pytest.raises(Invalid, match="LATEST"):
        shop(
            campaigns.create_campaign,
            name="sync",
            solutionVersionArn=version["solutionVersionArn"],
            campaignConfig=config,
        )
    for name, value, reason in (
        ("itemExplorationConfig", {"explorationWeight": "1.3"}, "0 to 1 is right"),
        ("itemExplorationConfig", {"explorationWeight": "much"}, "a number is right"),
        ("itemExplorationConfig", {"explorationItemAgeCutOff": "inf"}, "0 or more"),
        ("itemExplorationConfig", {"weight": "1"}, "does not know weight"),
        ("rankingInfluence", {"POPULARITY": 0.5}, "rankingInfluence is for aws-semantic"),
    ):
        with pytest.raises(Invalid, match=reason):
            shop(
                campaigns.create_campaign,
                name="no",
                solutionVersionArn=latest,
                campaignConfig={name: value},
            )
    shop(campaigns.delete_campaign, campaignArn=arn)
    with pytest.raises(NotFound):
        shop(serving.get_recommendations, campaignArn=arn, userId="u1")
    shop(solutions.delete_solution, solutionArn=solution)


def campaigns_version(shop: Study, arn: str) -> str:
    from tailorbird.learn.tables import learn_campaigns

    with shop.room.db.read() as conn:
        query = learn_campaigns.select().where(learn_campaigns.c.arn == arn)
        return conn.execute(query).mappings().one()["version_arn"]


def test_similar_items_answer_beside_an_item(shop: Study):
    arn = shop.deploy(shop.train("aws-sims")["solutionVersionArn"])
    beside = shop(serving.get_recommendations, campaignArn=arn, itemId="i5", numResults=5)
    assert "i5" not in items(beside)
    assert len(items(beside)) == 5
    assert "score" not in beside["itemList"][0]
    assert items(shop(serving.get_recommendations, campaignArn=arn, itemId="unknown"))
    with pytest.raises(Invalid, match="itemId is missing"):
        shop(serving.get_recommendations, campaignArn=arn, userId="u1")
    with pytest.raises(Invalid, match="ranks no lists"):
        shop(serving.get_personalized_ranking, campaignArn=arn, userId="u1", inputList=["i5"])
    with pytest.raises(Invalid, match="for items only"):
        learn.recommend(shop.room, arn, "u1")


def test_popularity_is_the_same_for_everybody_and_needs_no_user(shop: Study):
    shop.bring(as_csv([(f"v{n}", "hit", "view", 5) for n in range(100)]), importMode="INCREMENTAL")
    arn = shop.deploy(shop.train("aws-popularity-count")["solutionVersionArn"])
    answer = shop(serving.get_recommendations, campaignArn=arn)
    assert items(answer)[0] == "hit"
    assert "score" not in answer["itemList"][0]


def test_a_ranking_campaign_ranks_and_does_not_recommend(shop: Study):
    arn = shop.deploy(shop.train("aws-personalized-ranking")["solutionVersionArn"])
    with pytest.raises(Invalid, match="GetPersonalizedRanking"):
        shop(serving.get_recommendations, campaignArn=arn, userId="u1")
    request = {"campaignArn": arn, "userId": "u1", "inputList": ["i1", "i2"]}
    assert len(shop(serving.get_personalized_ranking, **request)["personalizedRanking"]) == 2
    request["inputList"] = [f"i{n}" for n in range(501)]
    with pytest.raises(Invalid, match="501 items; 500 are allowed"):
        shop(serving.get_personalized_ranking, **request)


def stored(study: Study) -> list[dict[str, Any]]:
    from tailorbird.learn.tables import learn_events

    with study.room.db.read() as conn:
        rows = conn.execute(learn_events.select().order_by(learn_events.c.id)).mappings()
        return [dict(row) for row in rows]


def test_both_shapes_of_an_event_are_kept_alike(shop: Study):
    old = {"eventType": "rate", "sentAt": NEW, "properties": '{"itemId":"i1","eventValue":"4.5"}'}
    new = {"eventType": "rate", "sentAt": NEW, "itemId": "i1", "eventValue": 4.5}
    put(shop, userId="u", eventList=[old, new])
    first, second = stored(shop)
    for name in ("item_id", "event_value", "person", "time", "unusable"):
        assert first[name] == second[name]
    assert first["event_value"] == 4.5


def test_the_item_of_segments_published_function_is_called_id(shop: Study):
    """segment-lambda-recipes sends properties={"id": sku}; a setting names the keys that count."""
    event = {"eventType": "Product Viewed", "sentAt": NEW, "properties": '{"id": 17}'}
    put(shop, userId="u", eventList=[event])
    shop.room.settings = shop.room.settings.replace(learn_event_item_keys="itemId")
    put(shop, userId="u", eventList=[event])
    assert [row["item_id"] for row in stored(shop)] == ["17", None]


def test_an_event_id_counts_once(shop: Study):
    event = {"eventType": "view", "sentAt": NEW, "itemId": "i1", "eventId": "m-1"}
    put(shop, userId="u", eventList=[event])
    put(shop, userId="u", eventList=[event | {"itemId": "i2"}, event | {"eventId": "m-2"}])
    assert [(row["event_id"], row["item_id"]) for row in stored(shop)] == [
        ("m-1", "i1"),
        ("m-2", "i1"),
    ]


def test_a_session_hands_over_what_it_did_when_it_gets_a_user(shop: Study):
    put(shop, "i1", sessionId="s9")
    put(shop, "i2", sessionId="s9", userId="cat")
    put(shop, "i3", sessionId="s9")
    assert [row["person"] for row in stored(shop)] == ["cat", "cat", "cat"]


def test_a_value_that_is_no_number_is_none(shop: Study):
    values = ['"nan"', '"inf"', '"1_0"', '"true"', "true", "{}"]
    texts = [f'{{"itemId": "i1", "eventValue": {value}}}' for value in values]
    odd = [{"eventType": "rate", "sentAt": NEW, "properties": text} for text in texts]
    put(shop, userId="u", eventList=odd)
    assert [row["event_value"] for row in stored(shop)] == [None] * len(values)


def test_an_event_without_an_item_is_kept_with_its_reason(shop: Study):
    put(shop, "  ", userId="u")
    put(
        shop,
        userId="u",
        eventList=[{"eventType": "view", "sentAt": NEW, "properties": '{"sku":1}'}],
    )
    found = events.inspect(shop.room, shop.group)
    assert found["received"] == 2
    assert found["unusable"] == {events.NO_ITEM: 2}


REFUSED = {
    "unknown tracker": ({"trackingId": "none"}, "no event tracker with trackingId none"),
    "broken JSON": (
        {"eventList": [{"eventType": "v", "sentAt": NEW, "properties": "{"}]},
        r"eventList\[0\].properties is not JSON",
    ),
    "a list": (
        {"eventList": [{"eventType": "v", "sentAt": NEW, "properties": "[1]"}]},
        "JSON object",
    ),
    "a forbidden key": (
        {"eventList": [{"eventType": "v", "sentAt": NEW, "properties": '{"UserId": "x"}'}]},
        "may not hold 'UserId'",
    ),
    "NUL": (
        {"eventList": [{"eventType": "v", "sentAt": NEW, "properties": '{"x": ["\\u0000"]}'}]},
        r"eventList\[0\].properties.'x' holds the character NUL",
    ),
    "an object for an item": (
        {"eventList": [{"eventType": "v", "sentAt": NEW, "properties": '{"itemId": {"a": 1}}'}]},
        "an id is right",
    ),
    "a long item": (
        {"eventList": [{"eventType": "v", "sentAt": NEW, "itemId": "i" * 257}]},
        "257 characters",
    ),
}


@pytest.mark.parametrize("more, reason", REFUSED.values(), ids=REFUSED)
def test_events_that_cannot_be_kept_are_refused_whole(study: Study, more: dict, reason: str):
    study.interactions()
    study.tracking = study.tracker()  # type: ignore[attr-defined]
    with pytest.raises(Invalid, match=reason):
        put(study, "i1", **more)
    assert stored(study) == []


def test_live_events_are_trained_on_with_what_was_imported(shop: Study):
    shop.room.clock = Shifted(-3600)  # events of an hour ago are settled
    for n in range(3):
        put(shop, "fresh", userId=f"u{n}", eventList=[view("fresh")])
    put(shop, sessionId="ghost", eventList=[view("ghostly")])
    shop.room.clock = SystemClock()
    arn = shop.deploy(shop.train("aws-popularity-count")["solutionVersionArn"])
    known = items(shop(serving.get_recommendations, campaignArn=arn, numResults=500))
    assert "fresh" in known
    assert "ghostly" not in known


def view(item: str) -> dict[str, Any]:
    return {"eventType": "view", "itemId": item, "sentAt": NEW}


class Shifted(SystemClock):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return super().now() + self.seconds


def test_a_group_has_one_tracker(shop: Study):
    with pytest.raises(Conflict, match="one tracker"):
        shop.tracker()
    (listed,) = shop(trackers.list_event_trackers, datasetGroupArn=shop.group)["eventTrackers"]
    shown = shop(trackers.describe_event_tracker, eventTrackerArn=listed["eventTrackerArn"])
    assert shown["eventTracker"]["trackingId"] == shop.tracking  # type: ignore[attr-defined]
    shop(trackers.delete_event_tracker, eventTrackerArn=listed["eventTrackerArn"])
    with pytest.raises(Invalid, match="no event tracker"):
        put(shop, "i1")
