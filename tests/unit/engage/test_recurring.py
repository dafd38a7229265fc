"""Campaigns that come again, at local time, and not in quiet time."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tailorbird.clock import parse_iso
from tailorbird.engage import Engage, activities, app_settings, campaign_run, ledger, planning
from tailorbird.store import Worker
from tests.unit.engage.conftest import CALLER, put, quiet, wait_for
from tests.unit.engage.test_campaign_run import campaign, state, states, update


def runs(room: Engage, made: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a campaign, the first one first."""
    request = {"ApplicationId": made["ApplicationId"], "CampaignId": made["Id"]}
    found = activities.get_campaign_activities(room, CALLER, request)["ActivitiesResponse"]
    return list(reversed(found["Item"]))


def over(room: Engage, made: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The runs, once so many are over."""

    def enough() -> list[dict[str, Any]] | None:
        found = runs(room, made)
        return found if sum(r["State"] == "COMPLETED" for r in found) >= count else None

    room.jobs.nudge()
    return list(wait_for(enough))


DAILY = {"StartTime": "2026-11-21T13:00:00Z", "Frequency": "DAILY"}


def test_a_daily_campaign_runs_each_day_until_its_end(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule={**DAILY, "EndTime": "2026-11-23T20:00:00Z"})
    assert (len(runs(engage, made)), state(engage, made)) == (1, "SCHEDULED")
    for day in range(3):
        quiet(engage, clock).set(parse_iso(f"2026-11-{21 + day}T13:00:10Z"))
        over(engage, made, day + 1)
        expected = "PENDING_NEXT_RUN" if day < 2 else "COMPLETED"
        wait_for(lambda expected=expected: state(engage, made) == expected)
    quiet(engage, clock).advance(10 * 86_400)
    engage.jobs.nudge()
    found = runs(engage, made)
    assert [r["ScheduledStart"][:16] for r in found] == [
        "2026-11-21T13:00", "2026-11-22T13:00", "2026-11-23T13:00",
    ]  # fmt: skip
    assert [states(engage, r["Id"]) for r in found] == [{"ana": "sent"}] * 3


def test_people_who_join_the_segment_are_in_the_next_run(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule={**DAILY, "Frequency": "HOURLY"})
    quiet(engage, clock).advance(3601)
    over(engage, made, 1)
    put(engage, app_id, {"Id": "ben"})
    quiet(engage, clock).advance(3600)
    found = over(engage, made, 2)
    assert [set(states(engage, r["Id"])) for r in found[:2]] == [{"ana"}, {"ana", "ben"}]


@pytest.mark.parametrize("catch_up", [False, True])
def test_missed_runs_are_made_up_for_once_or_all(
    engage: Engage, app_id: str, worker: Worker, clock: Any, catch_up: bool
) -> None:
    engage.settings = engage.settings.replace(engage_catch_up=catch_up)
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule=DAILY)
    quiet(engage, clock).set(parse_iso("2026-11-25T18:00:00Z"))
    found = over(engage, made, 5 if catch_up else 1)
    wait_for(lambda: runs(engage, made)[-1]["State"] == "PENDING")
    scheduled = [r["ScheduledStart"][8:10] for r in runs(engage, made)]
    assert scheduled == (["21", "22", "23", "24", "25", "26"] if catch_up else ["21", "26"])
    assert found[0]["Start"][:10] == "2026-11-25"


def test_a_paused_campaign_holds_its_next_run(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule=DAILY)
    quiet(engage, clock).advance(3601)
    over(engage, made, 1)
    assert update(engage, made, IsPaused=True)["State"] == {"CampaignStatus": "PAUSED"}
    quiet(engage, clock).advance(2 * 86_400)
    engage.jobs.nudge()
    wait_for(lambda: not engage.jobs.list(kind=activities.START, state="ready"))
    assert [r["State"] for r in runs(engage, made)] == ["COMPLETED", "PENDING"]
    resumed = update(engage, made, IsPaused=False)
    assert resumed["State"] == {"CampaignStatus": "PENDING_NEXT_RUN"}
    assert [r["ScheduledStart"][8:10] for r in over(engage, made, 2)] == ["21", "22", "24"]


def test_an_update_keeps_the_next_run_and_a_new_schedule_moves_it(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    made = campaign(engage, app_id, Schedule=DAILY)
    quiet(engage, clock).advance(3601)
    over(engage, made, 1)
    update(engage, made, Name="other", Schedule=DAILY)  # as clients do that send everything back
    assert runs(engage, made)[1]["ScheduledStart"][:16] == "2026-11-22T13:00"
    update(engage, made, Schedule={**DAILY, "StartTime": "2026-11-22T09:00:00Z"})
    assert [r["ScheduledStart"][:16] for r in runs(engage, made)[1:]] == ["2026-11-22T09:00"]
    quiet(engage, clock).advance(86_400)
    assert over(engage, made, 2)[2]["ScheduledStart"][:16] == "2026-11-23T09:00"


def place(name: str, zone: str | None) -> dict[str, Any]:
    return {"Id": name, **({"Demographic": {"Timezone": zone}} if zone else {})}


def test_at_local_time_everybody_has_the_same_hour(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(
        engage, app_id,
        place("tokyo", "Asia/Tokyo"), place("delft", "Europe/Amsterdam"),
        place("paris", "Europe/Paris"), place("lima", "America/Lima"),
        place("kiri", "Pacific/Kiritimati"), place("lost", None), place("mars", "Mars/Olympus"),
    )  # fmt: skip
    made = campaign(
        engage, app_id, Schedule={"StartTime": "2026-11-22T09:00:00", "IsLocalTime": True}
    )  # fmt: skip
    seen: dict[str, str] = {}
    hours = {"21T18:59": 0, "21T19:00": 1, "22T00:00": 2, "22T08:00": 3, "22T14:00": 4}
    for hour, done in hours.items():
        quiet(engage, clock).set(parse_iso(f"2026-11-{hour}:01Z"))
        engage.jobs.nudge()
        wait_for(lambda done=done: _done(engage, made) == done)
        for name, end in states(engage, runs(engage, made)[0]["Id"]).items():
            seen.setdefault(name, f"{hour} {end}")
    (run,) = over(engage, made, 1)
    assert (run["TimezonesCompletedCount"], run["TimezonesTotalCount"]) == (4, 4)
    assert seen == {
        "kiri": "21T19:00 sent", "tokyo": "22T00:00 sent", "delft": "22T08:00 sent",
        "paris": "22T08:00 sent", "lima": "22T14:00 sent",
        "lost": "21T19:00 missing_timezone", "mars": "21T19:00 missing_timezone",
    }  # fmt: skip
    assert run["ExecutionMetrics"]["ENDPOINT_MISSING_TIMEZONE"] == "2"


def _done(room: Engage, made: dict[str, Any]) -> int:
    return int(runs(room, made)[0]["TimezonesCompletedCount"])


def test_an_hour_that_had_passed_somewhere_is_not_made_up_for(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, place("tokyo", "Asia/Tokyo"), place("delft", "Europe/Amsterdam"))
    made = campaign(
        engage, app_id, Schedule={"StartTime": "2026-11-21T14:00:00", "IsLocalTime": True}
    )  # fmt: skip
    quiet(engage, clock).advance(3601)
    (run,) = over(engage, made, 1)
    assert states(engage, run["Id"]) == {"tokyo": "past_there", "delft": "sent"}


def test_nothing_is_sent_in_quiet_time_where_the_endpoint_is(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(
        engage, app_id, place("delft", "Europe/Amsterdam"), place("lima", "America/Lima"),
        place("lost", None), place("mars", "Mars/Olympus"),
    )  # fmt: skip
    quiet = {"Start": "22:00", "End": "07:00"}  # at noon in Delft (13:00) it is 07:00 in Lima
    made = campaign(engage, app_id, Schedule={"StartTime": "IMMEDIATE", "QuietTime": quiet})
    (run,) = over(engage, made, 1)
    assert states(engage, run["Id"]) == {
        "delft": "sent", "lima": "quiet_time", "lost": "sent", "mars": "sent",
    }  # fmt: skip


def test_the_applications_quiet_time_is_taken_over_at_creation(engage: Engage, app_id: str) -> None:
    quiet, own = {"Start": "22:00", "End": "07:00"}, {"Start": "12:00", "End": "13:00"}
    request = {
        "ApplicationId": app_id, "WriteApplicationSettingsRequest": {"QuietTime": quiet},
    }  # fmt: skip
    app_settings.update_application_settings(engage, CALLER, request)
    start = {"StartTime": "2026-11-22T09:00:00"}
    assert campaign(engage, app_id, Schedule=start)["Schedule"]["QuietTime"] == quiet
    made = campaign(engage, app_id, Schedule={**start, "QuietTime": own})
    assert made["Schedule"]["QuietTime"] == own


def test_a_run_whose_start_was_cut_off_plans_the_next_one_once(
    engage: Engage, app_id: str, clock: Any, request: pytest.FixtureRequest
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule=DAILY)
    clock.advance(3601)
    (job,) = engage.jobs.claim(["engage"], "w")
    assert campaign_run._begin(engage, job.payload["activity"]) is not None  # and here it died
    clock.advance(60)
    request.getfixturevalue("worker")
    found = over(engage, made, 1)
    assert [(r["ScheduledStart"][8:10], r["State"]) for r in found] == [
        ("21", "COMPLETED"), ("22", "PENDING"),
    ]  # fmt: skip
    assert states(engage, found[0]["Id"]) == {"ana": "sent"}


def test_the_same_run_cannot_be_planned_twice(engage: Engage, app_id: str) -> None:
    made = campaign(engage, app_id, Schedule=DAILY)
    with pytest.raises(sa.exc.IntegrityError), engage.db.write() as conn:
        planning.begin(
            engage, conn, {"id": made["Id"], "application_id": app_id, "version": 1, "body": made}
        )
    assert len(runs(engage, made)) == 1


def test_the_ledger_is_searched_by_reason(engage: Engage, app_id: str, worker: Worker) -> None:
    put(
        engage, app_id, {"Id": "ana"}, {"Id": "out", "OptOut": "ALL"}, {"Id": "bad", "Address": "x"}
    )
    (run,) = over(engage, campaign(engage, app_id), 1)

    def found(words: str) -> list[str]:
        return [row["endpoint_id"] for row in ledger.of_activity(engage, run["Id"], reason=words)]

    assert (found("opted OUT"), found("in the inbox"), found("%")) == (["out"], ["ana"], [])
