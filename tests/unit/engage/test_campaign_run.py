"""A campaign from its creation to the last ledger row."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tailorbird.engage import (
    Engage,
    activities,
    app_settings,
    apps,
    campaigns,
    job_kinds,
    ledger,
    segments,
)
from tailorbird.store import Jobs, Worker
from tests.unit.engage.conftest import CALLER, put, quiet, wait_for

MAIL = {"EmailMessage": {"Title": "Hello {{User.UserId}}", "Body": "New tea"}}


def segment(room: Engage, app_id: str, **dimensions: Any) -> str:
    wanted = {"Name": "all", "Dimensions": dimensions}
    request = {"ApplicationId": app_id, "WriteSegmentRequest": wanted}
    return str(segments.create_segment(room, CALLER, request)["SegmentResponse"]["Id"])


def campaign(room: Engage, app_id: str, **given: Any) -> dict[str, Any]:
    wanted = {
        "Name": "news", "MessageConfiguration": MAIL,
        "Schedule": {"StartTime": "IMMEDIATE"}, **given,
    }  # fmt: skip
    wanted.setdefault("SegmentId", segment(room, app_id))
    request = {"ApplicationId": app_id, "WriteCampaignRequest": wanted}
    return dict(campaigns.create_campaign(room, CALLER, request)["CampaignResponse"])


def activity(room: Engage, made: dict[str, Any]) -> dict[str, Any]:
    request = {"ApplicationId": made["ApplicationId"], "CampaignId": made["Id"]}
    return dict(
        activities.get_campaign_activities(room, CALLER, request)["ActivitiesResponse"]["Item"][0]
    )


def ended(room: Engage, made: dict[str, Any]) -> dict[str, Any]:
    """The activity, once it is over."""
    over = (activities.COMPLETED, activities.CANCELLED)
    return dict(
        wait_for(
            lambda: (a := activity(room, made))["State"] in over and a["ExecutionMetrics"] and a
        )
    )


def states(room: Engage, activity_id: str) -> dict[str, str]:
    rows = ledger.of_activity(room, activity_id, limit=10_000)
    assert len({row["endpoint_id"] for row in rows}) == len(rows)
    return {row["endpoint_id"]: row["state"] for row in rows}


def state(room: Engage, made: dict[str, Any]) -> str:
    request = {"ApplicationId": made["ApplicationId"], "CampaignId": made["Id"]}
    found = campaigns.get_campaign(room, CALLER, request)["CampaignResponse"]
    return str(found["State"]["CampaignStatus"])


def test_the_first_activity_is_there_before_anything_runs(engage: Engage, app_id: str) -> None:
    made = campaign(engage, app_id)
    planned = activity(engage, made)
    assert (planned["State"], planned["TotalEndpointCount"]) == ("PENDING", 0)
    assert state(engage, made) == "SCHEDULED"


def test_every_endpoint_of_the_segment_ends_with_a_state(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(
        engage, app_id,
        {"Id": "ana"},
        {"Id": "out", "OptOut": "ALL"},
        {"Id": "off", "EndpointStatus": "INACTIVE"},
        {"Id": "sms", "ChannelType": "SMS", "Address": "+31612345678"},
        {"Id": "bare", "ChannelType": None, "Address": None},
        {"Id": "lost", "Address": None},
        {"Id": "bad", "Address": "no address"},
    )  # fmt: skip
    over = ended(engage, campaign(engage, app_id))
    assert states(engage, over["Id"]) == {
        "ana": "sent", "out": "opted_out", "off": "inactive", "sms": "wrong_channel",
        "bare": "missing_channel", "lost": "missing_address", "bad": "channel_failed",
    }  # fmt: skip
    assert over["Result"] == "SUCCESS"
    assert (over["TotalEndpointCount"], over["SuccessfulEndpointCount"]) == (7, 1)
    assert over["ExecutionMetrics"]["ENDPOINT_PRODUCED"] == "7"
    assert over["ExecutionMetrics"]["ENDPOINT_OPT_OUT"] == "1"


def test_many_batches_are_all_settled_once(engage: Engage, app_id: str, worker: Worker) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(1234)))
    made = campaign(engage, app_id)
    over = ended(engage, made)
    assert Counter(states(engage, over["Id"]).values()) == {"sent": 1234}
    assert state(engage, made) == "COMPLETED"
    mails = list((engage.settings.data / "inbox" / app_id / made["Id"]).glob("*.eml"))
    assert len(mails) == 1234


def test_a_mail_carries_the_values_of_its_endpoint(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, {"Id": "ana", "User": {"UserId": "u1"}})
    made = campaign(engage, app_id)
    ended(engage, made)
    (mail,) = (engage.settings.data / "inbox" / app_id / made["Id"]).glob("*.eml")
    assert "Subject: Hello u1" in mail.read_text()
    assert "From: shop@example.com" in mail.read_text()


def test_only_the_segment_is_sent_to(engage: Engage, app_id: str, worker: Worker) -> None:
    put(
        engage, app_id,
        {"Id": "tea", "Attributes": {"Likes": ["tea"]}},
        {"Id": "rum", "Attributes": {"Likes": ["rum"]}},
    )  # fmt: skip
    likes = {"Likes": {"AttributeType": "INCLUSIVE", "Values": ["tea"]}}
    made = campaign(engage, app_id, SegmentId=segment(engage, app_id, Attributes=likes))
    assert states(engage, ended(engage, made)["Id"]) == {"tea": "sent"}


def test_an_empty_segment_completes(engage: Engage, app_id: str, worker: Worker) -> None:
    made = campaign(engage, app_id)
    assert ended(engage, made)["TotalEndpointCount"] == 0
    assert state(engage, made) == "COMPLETED"


def test_the_holdout_is_the_same_people_each_time(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(400)))
    runs = [
        states(engage, ended(engage, campaign(engage, app_id, HoldoutPercent=25))["Id"])
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert 60 < Counter(runs[0].values())["held_out"] < 140


def test_without_an_email_channel_everybody_gets_the_remedy(engage: Engage, worker: Worker) -> None:
    wanted = {"CreateApplicationRequest": {"Name": "bare"}}
    app_id = apps.create_app(engage, CALLER, wanted)["ApplicationResponse"]["Id"]
    put(engage, app_id, {"Id": "ana"})
    over = ended(engage, campaign(engage, app_id))
    assert over["Result"] == "FAIL"
    (row,) = ledger.of_activity(engage, over["Id"])
    assert f"aws pinpoint update-email-channel --application-id {app_id}" in row["reason"]


def test_a_daily_limit_counts_all_campaigns_of_the_application(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    seen = []
    for hours in (0, 1, 1, 24):
        clock.advance(hours * 3600)
        over = ended(engage, campaign(engage, app_id, Limits={"Daily": 2}))
        seen.append(states(engage, over["Id"])["ana"])
    assert seen == ["sent", "sent", "capped", "sent"]


def test_a_daily_limit_holds_between_campaigns_that_run_at_the_same_time(
    engage: Engage, app_id: str, jobs: Jobs
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = [campaign(engage, app_id, Limits={"Daily": 1}) for _ in range(2)]
    kinds = job_kinds(engage)
    starts = jobs.claim(["engage"], "one", 2)
    for job in starts:  # both audiences are frozen before anything is sent
        kinds[job.kind].run(job)
    for job in jobs.claim(["engage"], "one", 2):
        kinds[job.kind].run(job)
    ends = [states(engage, activity(engage, one)["Id"])["ana"] for one in made]
    assert sorted(ends) == ["capped", "sent"]


def test_a_total_limit_counts_what_was_tried(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana", "Attributes": {"price": ["many"]}}, {"Id": "ben"})
    price = {"EmailMessage": {"Title": "t", "Body": "It costs {{add Attributes.price.[0] 1}}"}}
    schedule = {"StartTime": "2026-11-21T12:00:00Z", "Frequency": "DAILY"}
    limits = {"Total": 1}
    made = campaign(engage, app_id, MessageConfiguration=price, Schedule=schedule, Limits=limits)

    def ends(run: int) -> dict[str, str]:
        return states(engage, ledger.activities_of(engage, made["Id"])[-1 - run])

    assert wait_for(lambda: ends(0) == {"ana": "render_failed", "ben": "sent"})
    quiet(engage, clock).advance(86_400)
    engage.jobs.nudge()
    assert wait_for(lambda: ends(1) == {"ana": "capped", "ben": "capped"})


def test_a_scheduled_campaign_waits_for_its_time(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule={"StartTime": "2026-11-21T13:00:00"})
    assert activity(engage, made)["ScheduledStart"] == "2026-11-21T13:00:00.000Z"
    clock.advance(3599)
    engage.jobs.nudge()
    assert activity(engage, made)["State"] == "PENDING"
    clock.advance(2)
    engage.jobs.nudge()
    assert ended(engage, made)["Start"] == "2026-11-21T13:00:01.000Z"


def update(room: Engage, made: dict[str, Any], **given: Any) -> dict[str, Any]:
    request = {
        "ApplicationId": made["ApplicationId"], "CampaignId": made["Id"],
        "WriteCampaignRequest": given,
    }  # fmt: skip
    return dict(campaigns.update_campaign(room, CALLER, request)["CampaignResponse"])


def test_a_paused_campaign_waits_and_keeps_everything_else(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule={"StartTime": "2026-11-21T13:00:00Z"})
    paused = update(engage, made, IsPaused=True)
    assert (paused["State"], paused["Version"]) == ({"CampaignStatus": "PAUSED"}, 2)
    assert paused["MessageConfiguration"] == made["MessageConfiguration"]
    clock.advance(7200)
    engage.jobs.nudge()
    assert activity(engage, made)["State"] == "PENDING"
    assert update(engage, made, IsPaused=False)["Name"] == "news"
    assert ended(engage, made)["Result"] == "SUCCESS"


def test_a_new_schedule_moves_a_waiting_run(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    made = campaign(engage, app_id, Schedule={"StartTime": "2026-11-21T13:00:00Z"})
    update(engage, made, Schedule={"StartTime": "2026-11-21T12:10:00Z"})
    clock.advance(601)
    engage.jobs.nudge()
    assert ended(engage, made)["ScheduledStart"] == "2026-11-21T12:10:00.000Z"


def test_a_deleted_campaign_does_not_run(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule={"StartTime": "2026-11-21T13:00:00Z"})
    request = {"ApplicationId": app_id, "CampaignId": made["Id"]}
    gone = campaigns.delete_campaign(engage, CALLER, request)["CampaignResponse"]
    assert gone["State"] == {"CampaignStatus": "DELETED"}
    clock.advance(7200)
    assert activity(engage, made)["State"] == "CANCELLED"
    listed = campaigns.get_campaigns(engage, CALLER, {"ApplicationId": app_id})
    assert listed["CampaignsResponse"]["Item"] == []


def test_a_campaign_whose_segment_is_gone_is_invalid(engage: Engage, app_id: str) -> None:
    made = campaign(engage, app_id, Schedule={"StartTime": "2026-11-21T13:00:00Z"})
    request = {"ApplicationId": app_id, "SegmentId": made["SegmentId"]}
    segments.delete_segment(engage, CALLER, request)
    assert state(engage, made) == "INVALID"


def test_a_message_that_fails_for_one_person_is_sent_to_the_others(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, {"Id": "ana", "Metrics": {"n": 2.0}}, {"Id": "ben", "Metrics": {"n": 0.0}})
    template = {"EmailMessage": {"Title": "hi", "Body": "{{divide 4 Metrics.n}}"}}
    over = ended(engage, campaign(engage, app_id, MessageConfiguration=template))
    assert states(engage, over["Id"])["ana"] == "sent"


def test_the_ledger_of_a_person_spans_campaigns(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, {"Id": "ana", "User": {"UserId": "u"}}, {"Id": "ben"})
    made = [campaign(engage, app_id, Name=name) for name in ("one", "two")]
    for one in made:
        ended(engage, one)
    rows = ledger.of_person(engage, app_id, "u")
    assert [row["campaign_id"] for row in rows] == [made[1]["Id"], made[0]["Id"]]
    assert {row["reason"][:12] for row in rows} == {"In the inbox"}


def test_default_limits_and_hook_are_those_of_the_application_at_creation(
    engage: Engage, app_id: str
) -> None:
    hook = {"LambdaFunctionName": "keep", "Mode": "FILTER"}
    wanted = {"CampaignHook": hook, "Limits": {"Daily": 3}}
    early = campaign(engage, app_id)
    request = {"ApplicationId": app_id, "WriteApplicationSettingsRequest": wanted}
    app_settings.update_application_settings(engage, CALLER, request)
    late = campaign(engage, app_id, Hook={})
    own = campaign(engage, app_id, Hook={"LambdaFunctionName": "own", "Mode": "FILTER"})
    assert "Hook" not in early
    assert (late["Hook"], late["Limits"]) == (hook, {"Daily": 3})
    assert own["Hook"]["LambdaFunctionName"] == "own"
