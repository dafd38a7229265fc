"""Recommender configurations, and what a campaign makes of them."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Mapping
from typing import Any

import pytest

from tailorbird.engage import (
    Engage,
    activities,
    campaigns,
    ledger,
    recommenders,
    replay,
    segments,
    templates,
)
from tailorbird.engage.room import Items, Recommend
from tailorbird.errors import Invalid, NotFound, TailorbirdError
from tailorbird.store import Worker
from tests.conftest import wait_for
from tests.unit.engage.conftest import CALLER, add_function, allow, put

ARN = "arn:aws:personalize:us-east-1:123456789012:campaign/shop"
ROLE = "arn:aws:iam::123456789012:role/pinpoint"
RECOMMENDERS = "arn:aws:mobiletargeting:us-east-1:123456789012:recommenders/*"
WORDS = """
exports.handler = async (event) => {
  for (const e of Object.values(event.Endpoints))
    e.Recommendations = { Names: e.RecommendationItems.map((i) => "The " + i), One: "only" };
  return event.Endpoints;
};
"""
TURNS = """
def handler(event, context):
    for endpoint in event["Endpoints"].values():
        endpoint["RecommendationItems"] = endpoint.get("RecommendationItems", [])[::-1]
    return event["Endpoints"]
"""
LEAVES_OUT = """
exports.handler = async (event) => {
  delete event.Endpoints.ana;
  for (const e of Object.values(event.Endpoints)) e.Recommendations = { Names: [e.ChannelType] };
  return event.Endpoints;
};
"""


def request(**more: Any) -> dict[str, Any]:
    return {
        "RecommendationProviderUri": ARN, "RecommendationProviderRoleArn": ROLE,
        "RecommendationsDisplayName": "picks", **more,
    }  # fmt: skip


def made(engage: Engage, **more: Any) -> dict[str, Any]:
    wanted = {"CreateRecommenderConfiguration": request(**more)}
    answer = recommenders.create(engage, CALLER, wanted)["RecommenderConfigurationResponse"]
    return dict(answer)


def test_a_configuration_is_kept_with_its_defaults(engage: Engage) -> None:
    one = made(engage, Name="picks")
    assert one["RecommendationsPerMessage"] == 5
    assert one["RecommendationProviderIdType"] == "PINPOINT_ENDPOINT_ID"
    asked = {"RecommenderId": one["Id"]}
    found = recommenders.get(engage, CALLER, asked)["RecommenderConfigurationResponse"]
    assert found == one
    listed = recommenders.list_all(engage, CALLER, {})
    assert listed["ListRecommenderConfigurationsResponse"]["Item"] == [one]
    changed = {"UpdateRecommenderConfiguration": request(RecommendationsPerMessage=2)} | asked
    after = recommenders.update(engage, CALLER, changed)["RecommenderConfigurationResponse"]
    assert after["RecommendationsPerMessage"] == 2 and "Name" not in after
    recommenders.delete(engage, CALLER, asked)
    with pytest.raises(NotFound, match="no recommender configuration"):
        recommenders.get(engage, CALLER, asked)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"RecommendationProviderUri": "arn:aws:s3:::x"}, "RecommendationProviderUri"),
        ({"RecommendationProviderUri": ARN.replace("123456789012", "1" * 12)}, "this account"),
        ({"RecommendationProviderRoleArn": "me"}, "RoleArn"),
        ({"RecommendationProviderIdType": "USER"}, "PINPOINT_USER_ID"),
        ({"RecommendationsPerMessage": 6}, "1 to 5"),
        ({"RecommendationsPerMessage": 0}, "1 to 5"),
        ({"RecommendationsDisplayName": None}, "RecommendationsDisplayName is missing"),
        ({"RecommendationsDisplayName": "x" * 26}, "25"),
        ({"RecommendationTransformerUri": "f"}, "Attributes is missing"),
        ({"Attributes": {f"a{n}": "x" for n in range(11)}}, "10 at most"),
        ({"Attributes": {"-a": "x"}}, "Attributes has '-a'"),
        ({"Attributes": {"a": "x" * 26}}, "display name"),
        ({"Name": "-x"}, "Name"),
        ({"Description": "x" * 129}, "128"),
    ],
)
def test_what_cannot_be_configured_is_refused_by_name(
    engage: Engage, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        made(engage, **more)


def to_all(*items: tuple[str, dict[str, Any]]) -> Recommend:
    """A model that recommends the same to everybody."""
    return lambda _, people, *__: {person: list(items) for person in people}


def test_a_template_cannot_name_a_recommender_that_is_not_there(engage: Engage) -> None:
    with pytest.raises(Invalid, match="RecommenderId: there is no recommender configuration none"):
        template(engage, "none", "x")


def test_recommended_items_are_in_the_mail(engage: Engage, app_id: str, worker: Worker) -> None:
    asked: list[tuple[Any, ...]] = []

    def recommend(*given: Any) -> Mapping[str, Items | TailorbirdError]:
        asked.append(given)
        return to_all(("tea", {}), ("pot", {}))(*given)

    engage.recommend = recommend
    one = made(engage, RecommendationsPerMessage=2)
    template(engage, one["Id"], "{{RecommendationItems.[0]}} and {{RecommendationItems.[1]}}")
    send(engage, app_id)
    assert inbox_texts(engage, app_id) == {
        "ana@example.com": "tea and pot", "ben@example.com": "tea and pot",
    }  # fmt: skip
    assert asked == [(ARN, ["ana", "ben"], 2, [])], "a batch is one question"


def test_columns_of_the_items_are_attributes_without_a_function(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    engage.recommend = to_all(*((n, {"TITLE": f"{n} pot"}) for n in ("red", "blue")))
    one = made(engage, Attributes={"Recommendations.TITLE": "title"})
    template(engage, one["Id"], "{{Recommendations.TITLE.[1]}}: {{Recommendations.TITLE}}")
    send(engage, app_id)
    assert inbox_texts(engage, app_id)["ana@example.com"] == "blue pot: red pot,blue pot"


def test_a_function_makes_words_of_the_items(engage: Engage, app_id: str, worker: Worker) -> None:
    engage.recommend = lambda _, people, *__: {one: [(f"pot of {one}", {})] for one in people}
    add_function(engage, "words", WORDS, "nodejs20.x")
    allow(engage, "words", RECOMMENDERS)
    one = made(
        engage, RecommendationTransformerUri="words", Attributes={"Names": "n", "One": "o"},
        RecommendationProviderIdType="PINPOINT_USER_ID",
    )  # fmt: skip
    template(engage, one["Id"], "{{Recommendations.Names.[0]}} {{Recommendations.One}}")
    campaign = send(engage, app_id)
    assert inbox_texts(engage, app_id) == {"ana@example.com": "The pot of u-ana only"}
    assert ends(engage, campaign)["ben"] == (
        "recommendation_failed", "It has no User.UserId, by which the recommender knows people",
    )  # fmt: skip


def test_who_gets_no_recommendation_is_not_sent_to(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    away = TailorbirdError(f"{ARN} is away")
    engage.recommend = lambda *_: {"ana": away, "ben": [("tea", {})]}
    template(engage, made(engage)["Id"], "{{RecommendationItems.[0]}}")
    campaign = send(engage, app_id)
    assert inbox_texts(engage, app_id) == {"ben@example.com": "tea"}
    assert ends(engage, campaign)["ana"] == (
        "recommendation_failed", f"The recommender gave nothing: {ARN} is away",
    )  # fmt: skip


@pytest.mark.parametrize(("first", "said"), [(True, "pot, tea"), (False, "tea, pot")])
def test_a_hook_may_change_recommendations_when_the_recommender_is_first(
    engage: Engage, app_id: str, worker: Worker, first: bool, said: str
) -> None:
    engage.settings = engage.settings.replace(engage_recommend_before_hook=first)
    engage.recommend = to_all(("tea", {}), ("pot", {}))
    add_function(engage, "turns", TURNS)
    allow(engage, "turns", "arn:aws:mobiletargeting:us-east-1:123456789012:apps/*")
    template(engage, made(engage)["Id"], "{{RecommendationItems.[0]}}, {{RecommendationItems.[1]}}")
    send(engage, app_id, Hook={"LambdaFunctionName": "turns", "Mode": "FILTER"})
    assert set(inbox_texts(engage, app_id).values()) == {said}


def test_they_get_their_message_once_the_recommender_is_back(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    template(engage, made(engage)["Id"], "{{RecommendationItems.[0]}}")
    campaign = send(engage, app_id)
    assert {state for state, _ in ends(engage, campaign).values()} == {"recommendation_failed"}
    engage.recommend = to_all(("tea", {}))
    replay.start(engage, campaign)
    wait_for(lambda: {state for state, _ in ends(engage, campaign).values()} == {"sent"})
    assert set(inbox_texts(engage, app_id).values()) == {"tea"}


def test_whom_the_transformer_leaves_out_is_not_sent_to(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    engage.recommend = to_all(("tea", {}))
    add_function(engage, "leaves", LEAVES_OUT, "nodejs20.x")
    allow(engage, "leaves", RECOMMENDERS)
    one = made(engage, RecommendationTransformerUri="leaves", Attributes={"Names": "n"})
    template(engage, one["Id"], "{{Recommendations.Names}}")
    campaign = send(engage, app_id)
    assert inbox_texts(engage, app_id) == {"ben@example.com": "EMAIL"}
    assert "left it out" in ends(engage, campaign)["ana"][1]


def test_a_deleted_configuration_is_the_reason_nobody_is_sent_to(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    one = made(engage)
    template(engage, one["Id"], "{{RecommendationItems.[0]}}")
    recommenders.delete(engage, CALLER, {"RecommenderId": one["Id"]})
    campaign = send(engage, app_id)
    assert {state for state, _ in ends(engage, campaign).values()} == {"recommendation_failed"}


def template(engage: Engage, recommender_id: str, text: str) -> None:
    body = {"Subject": "For you", "TextPart": text, "RecommenderId": recommender_id}
    wanted = {"TemplateName": "picks", "EmailTemplateRequest": body}
    templates.TEMPLATE_OPERATIONS["CreateEmailTemplate"](engage, CALLER, wanted)


def send(engage: Engage, app_id: str, **more: Any) -> str:
    """A campaign with the template to Ana, who has a user id, and Ben, who has none."""
    put(engage, app_id, {"Id": "ana", "User": {"UserId": "u-ana"}}, {"Id": "ben"})
    everybody = {"ApplicationId": app_id, "WriteSegmentRequest": {"Dimensions": {}}}
    segment = segments.create_segment(engage, CALLER, everybody)["SegmentResponse"]["Id"]
    wanted = {
        "Name": "picks", "SegmentId": segment,
        "TemplateConfiguration": {"EmailTemplate": {"Name": "picks"}},
        "Schedule": {"StartTime": "IMMEDIATE"}, **more,
    }  # fmt: skip
    asked = {"ApplicationId": app_id, "WriteCampaignRequest": wanted}
    campaign = campaigns.create_campaign(engage, CALLER, asked)["CampaignResponse"]["Id"]
    wait_for(lambda: shown(engage, app_id, campaign)["State"] == "COMPLETED")
    return str(campaign)


def shown(engage: Engage, app_id: str, campaign: str) -> dict[str, Any]:
    asked = {"ApplicationId": app_id, "CampaignId": campaign}
    found = activities.get_campaign_activities(engage, CALLER, asked)["ActivitiesResponse"]["Item"]
    return dict(found[0])


def ends(engage: Engage, campaign: str) -> dict[str, tuple[str, str]]:
    (activity,) = ledger.activities_of(engage, campaign)
    rows = ledger.of_activity(engage, activity)
    return {row["endpoint_id"]: (row["state"], row["reason"]) for row in rows}


def inbox_texts(engage: Engage, app_id: str) -> dict[str, str]:
    """The text of each mail, by its address."""
    found = {}
    for file in (engage.settings.data / "inbox" / app_id).rglob("*.eml"):
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        found[str(mail["To"])] = mail.get_content().strip()
    return found
