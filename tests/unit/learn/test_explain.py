"""Why an item is recommended, and what became of the events."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.errors import NotFound
from tailorbird.learn import events, explain, inspection, serving

from .conftest import Study, as_csv, chains

NEW = 1_800_000_000.0


def put(
    study: Study, tracking: str, session: str, user: str | None, *found: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"trackingId": tracking, "sessionId": session}
    given |= {"userId": user} if user else {}
    study(events.put_events, eventList=list(found), **given)


def test_an_explanation_names_the_models_and_the_items_of_the_history(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    arn = study.deploy(study.train()["solutionVersionArn"])
    tracking = study.tracker()
    for n, item in enumerate(("i20", "i5")):
        put(study, tracking, "s", "ana", {"eventType": "view", "itemId": item, "sentAt": NEW + n})
    best = study(serving.get_recommendations, campaignArn=arn, userId="ana")["itemList"][0]
    found = explain.explain(study.room, arn, "ana", best["itemId"])
    assert (found["rank"], found["items"], found["rowsOfHistory"]) == (1, 40, 2)
    assert found["history"][0]["itemId"] == "i5"
    assert found["history"][0]["adds"] > 0
    added = sum(part["adds"] for part in found["models"])
    assert added == pytest.approx(found["score"], abs=0.05)
    assert explain.explain(study.room, arn, "ana", "i5")["seen"] is True
    with pytest.raises(NotFound, match="wait for the next training"):
        explain.explain(study.room, arn, "ana", "nowhere")


def test_the_inspector_says_what_became_of_the_events(study: Study):
    study.interactions()
    tracking = study.tracker()
    view = {"eventType": "view", "itemId": "i1", "sentAt": study.room.clock.now()}
    put(study, tracking, "s1", "ana", view, view | {"eventType": "buy"})
    put(study, tracking, "s2", None, view, view | {"sentAt": 5.0}, view | {"sentAt": NEW * 2})
    put(study, tracking, "s3", "ben", {"eventType": "view", "sentAt": view["sentAt"]})
    found = inspection.events(study.room, tracking)
    assert (found["received"], found["usable"], found["linked"], found["people"]) == (6, 5, 2, 3)
    assert found["eventTypes"] == {"view": 5, "buy": 1}
    assert found["unusable"] == {events.NO_ITEM: 1}
    assert found["warnings"] == {
        inspection.WAITING: 3,
        inspection.FUTURE: 1,
        inspection.OLD: 1,
    }
    assert found["newest"][0]["state"] == events.NO_ITEM
    assert inspection.events(study.room, study.group) == found
    assert inspection.events(study.room, found["eventTrackerArn"]) == found
    with pytest.raises(NotFound, match="neither an event tracker nor a dataset group"):
        inspection.events(study.room, "nothing")
