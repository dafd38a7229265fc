"""Treatments and holdout: the same people in each share, each share its own words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tailorbird.engage import Engage, activities, campaigns, ledger, treatments
from tailorbird.errors import Invalid
from tailorbird.store import Worker
from tests.unit.engage.conftest import CALLER, put, wait_for
from tests.unit.engage.test_campaign_run import campaign, states


def runs(room: Engage, made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    request = {"ApplicationId": made["ApplicationId"], "CampaignId": made["Id"]}
    found = activities.get_campaign_activities(room, CALLER, request)["ActivitiesResponse"]
    return {item["TreatmentId"]: item for item in found["Item"]}


def all_over(room: Engage, made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    def over() -> dict[str, dict[str, Any]] | None:
        found = runs(room, made)
        return found if all(r["State"] == "COMPLETED" for r in found.values()) else None

    return dict(wait_for(over))


def words(text: str) -> dict[str, Any]:
    return {"EmailMessage": {"Title": text, "Body": text}}


def test_cohorts_are_shared_out_in_order() -> None:
    body = {
        "HoldoutPercent": 10,
        "AdditionalTreatments": [{"Id": "1", "SizePercent": 20}, {"Id": "2", "SizePercent": 30}],
    }
    shares = Counter(treatments.assigned(body, cohort) for cohort in range(100))
    assert shares == {None: 10, "1": 20, "2": 30, "0": 40}


def test_every_person_gets_the_words_of_one_treatment(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(300)))
    made = campaign(
        engage, app_id, HoldoutPercent=10, MessageConfiguration=words("zero"),
        AdditionalTreatments=[
            {"SizePercent": 20, "TreatmentName": "b", "MessageConfiguration": words("one")},
            {"SizePercent": 30, "MessageConfiguration": words("two")},
            {"SizePercent": 5},
        ],
    )  # fmt: skip
    assert [t["Id"] for t in made["AdditionalTreatments"]] == ["1", "2", "3"]
    assert made["DefaultState"] == {"CampaignStatus": "SCHEDULED"}
    over = all_over(engage, made)
    assert list(over) == ["3", "2", "1", "0"]
    ends = [states(engage, run["Id"]) for run in over.values()]
    assert Counter(name for end in ends for name in end) == Counter(f"e{n}" for n in range(300))
    assert "held_out" in states(engage, over["0"]["Id"]).values()
    folder = engage.settings.data / "inbox" / app_id / made["Id"]
    for treatment, subject in (("1", "one"), ("2", "two")):
        sent = set(states(engage, over[treatment]["Id"]))
        assert len(sent) == over[treatment]["SuccessfulEndpointCount"] > 0
        told = [f for f in folder.glob("*.eml") if f"Subject: {subject}" in f.read_text()]
        assert len(told) == len(sent)
    zeros = [f for f in folder.glob("*.eml") if "Subject: zero" in f.read_text()]
    assert len(zeros) == sum(over[t]["SuccessfulEndpointCount"] for t in ("0", "3"))


def test_people_stay_in_their_treatment(engage: Engage, app_id: str, worker: Worker) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(60)))
    share = {"AdditionalTreatments": [{"SizePercent": 50}]}
    first, second = (all_over(engage, campaign(engage, app_id, **share)) for _ in range(2))
    assert states(engage, first["1"]["Id"]) == states(engage, second["1"]["Id"])


def test_each_treatment_shows_its_own_state(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    later = {"StartTime": "2026-11-21T14:00:00Z"}
    made = campaign(
        engage, app_id, AdditionalTreatments=[{"SizePercent": 50, "Schedule": later}]
    )  # fmt: skip
    wait_for(lambda: runs(engage, made)["0"]["State"] == "COMPLETED")
    request = {"ApplicationId": app_id, "CampaignId": made["Id"]}
    shown = campaigns.get_campaign(engage, CALLER, request)["CampaignResponse"]
    assert shown["State"] == {"CampaignStatus": "PENDING_NEXT_RUN"}
    assert runs(engage, made)["1"]["ScheduledStart"] == "2026-11-21T14:00:00.000Z"
    clock.advance(7201)
    all_over(engage, made)
    shown = campaigns.get_campaign(engage, CALLER, request)["CampaignResponse"]
    assert shown["State"] == shown["DefaultState"] == {"CampaignStatus": "COMPLETED"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"AdditionalTreatments": [{"SizePercent": 1}] * 5}, "4 is the limit"),
        ({"HoldoutPercent": 101}, "HoldoutPercent is 101"),
        ({"AdditionalTreatments": [{"SizePercent": -1}]}, "SizePercent is -1"),
        ({"HoldoutPercent": 60, "AdditionalTreatments": [{"SizePercent": 41}]}, "make 101"),
    ],
)
def test_shares_that_do_not_fit_are_refused(
    engage: Engage, app_id: str, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        campaign(engage, app_id, **given)


def test_an_update_adds_and_takes_away_treatments_of_a_waiting_run(
    engage: Engage, app_id: str
) -> None:
    later = {"StartTime": "2026-11-21T14:00:00Z"}
    made = campaign(
        engage, app_id, Schedule=later, AdditionalTreatments=[{"SizePercent": 10}] * 2
    )  # fmt: skip
    assert sorted(runs(engage, made)) == ["0", "1", "2"]
    for count in (1, 3):
        request = {
            "ApplicationId": app_id, "CampaignId": made["Id"],
            "WriteCampaignRequest": {"AdditionalTreatments": [{"SizePercent": 10}] * count},
        }  # fmt: skip
        campaigns.update_campaign(engage, CALLER, request)
        waiting = runs(engage, made)
        assert sorted(waiting) == [str(n) for n in range(count + 1)]
        assert {run["ScheduledStart"] for run in waiting.values()} == {"2026-11-21T14:00:00.000Z"}


def test_the_ledger_of_a_campaign_spans_its_treatments(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(20)))
    made = campaign(engage, app_id, AdditionalTreatments=[{"SizePercent": 50}])
    all_over(engage, made)
    assert len(ledger.activities_of(engage, made["Id"])) == 2


def test_an_update_plans_no_run_again_of_a_treatment_that_is_through(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    """One treatment is sent at once, another waits for its own hour."""
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(50)))
    later = {"SizePercent": 40, "Schedule": {"StartTime": "2026-12-01T00:00:00Z"}}
    made = campaign(engage, app_id, AdditionalTreatments=[later])
    wait_for(lambda: runs(engage, made)["0"]["State"] == "COMPLETED")
    where = {"ApplicationId": app_id, "CampaignId": made["Id"]}
    for wanted in ({"IsPaused": True}, {"Name": "other"}, {"IsPaused": False}):
        request = {**where, "WriteCampaignRequest": wanted}
        shown = campaigns.update_campaign(engage, CALLER, request)["CampaignResponse"]
        assert shown["DefaultState"] == {"CampaignStatus": "COMPLETED"}
        found = activities.get_campaign_activities(engage, CALLER, where)["ActivitiesResponse"]
        assert sorted((a["TreatmentId"], a["State"]) for a in found["Item"]) == [
            ("0", "COMPLETED"), ("1", "PENDING"),
        ]  # fmt: skip
