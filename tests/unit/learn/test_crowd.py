"""Many users' recommendations in one question are those that each would get alone."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.errors import NotFound, TailorbirdError
from tailorbird.learn import crowd, events, serving
from tests.unit.learn.conftest import CALLER, Study, as_csv, chains


def put(study: Study, tracking: str, session: str, user: str | None, *items: str) -> None:
    """Live views of a session, of a user or of nobody known yet."""
    for n, item in enumerate(items):
        event = {"eventType": "view", "itemId": item, "sentAt": 1_700_100_000 + n}
        request = {"trackingId": tracking, "sessionId": session, "eventList": [event]}
        events.put_events(study.room, CALLER, request | ({"userId": user} if user else {}))


@pytest.mark.parametrize("recipe", ["aws-user-personalization", "aws-popularity-count"])
def test_each_gets_what_they_would_get_alone(study: Study, recipe: str) -> None:
    study.interactions()
    study.bring(as_csv(chains()))
    arn = study.deploy(study.train(recipe)["solutionVersionArn"])
    tracking = study.tracker()
    put(study, tracking, "s1", "u1", "i3", "i4")  # known, and active since
    put(study, tracking, "s2", "fresh", "i7", "i8", "nowhere")  # new, one item unknown
    put(study, tracking, "s3", None, "i20", "i21")  # a session of nobody
    put(study, tracking, "s4", None, "i30")  # a session that gets its user
    put(study, tracking, "s4", "u2", "i31")
    people = ["u0", "u1", "fresh", "s3", "s4", "u2", "stranger", "u0"]
    request = {"campaignArn": arn, "numResults": 5}
    together = crowd.get_recommendations(study.room, CALLER, request, people)
    alone = {person: items(study, request, person) for person in people}
    assert {person: found["itemList"] for person, found in read(together).items()} == alone
    assert len({str(found) for found in alone.values()}) == (1 if "popularity" in recipe else 6)


def test_what_is_refused_is_refused_for_each(study: Study) -> None:
    arn = "arn:aws:personalize:us-east-1:123456789012:campaign/none"
    found = crowd.get_recommendations(study.room, CALLER, {"campaignArn": arn}, ["a", "b"])
    assert {type(one) for one in found.values()} == {NotFound}
    assert list(found) == ["a", "b"]


def items(study: Study, request: dict[str, Any], person: str) -> list[dict[str, Any]]:
    asked = {**request, "userId": person}
    return list(serving.get_recommendations(study.room, CALLER, asked)["itemList"])


def read(found: dict[str, dict[str, Any] | TailorbirdError]) -> dict[str, dict[str, Any]]:
    return {person: one for person, one in found.items() if isinstance(one, dict)}
