"""In-app campaigns: an application asks what it may show to an endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.clock import TestClock
from tailorbird.engage import Engage, campaigns, in_app, segments, templates
from tailorbird.errors import Invalid, LimitExceeded, NotFound
from tailorbird.store import Worker
from tests.unit.engage.conftest import CALLER, put, wait_for

BUTTON = {"DefaultConfig": {"ButtonAction": "LINK", "Link": "https://x.example", "Text": "Go"}}
CONTENT = {
    "BackgroundColor": "#FFFFFF", "PrimaryBtn": BUTTON,
    "BodyConfig": {"Alignment": "LEFT", "Body": "Pots at half price", "TextColor": "#000000"},
    "HeaderConfig": {"Alignment": "LEFT", "Header": "Sale", "TextColor": "#000000"},
}  # fmt: skip
SALE = {"Layout": "MIDDLE_BANNER", "Content": [CONTENT], "CustomConfig": {"sku": "pot"}}
FILTER = {
    "FilterType": "ENDPOINT",
    "Dimensions": {"EventType": {"DimensionType": "INCLUSIVE", "Values": ["cart"]}},
}


def made(engage: Engage, app_id: str, **more: Any) -> dict[str, Any]:
    dimensions = more.pop("dimensions", {})
    wanted = {"ApplicationId": app_id, "WriteSegmentRequest": {"Dimensions": dimensions}}
    segment = segments.create_segment(engage, CALLER, wanted)["SegmentResponse"]["Id"]
    schedule = {
        "StartTime": "IMMEDIATE", "Frequency": "IN_APP_EVENT", "EventFilter": FILTER,
        **more.pop("schedule", {}),
    }  # fmt: skip
    body = {
        "SegmentId": segment, "Schedule": schedule,
        "MessageConfiguration": {"InAppMessage": SALE}, **more,
    }  # fmt: skip
    asked = {"ApplicationId": app_id, "WriteCampaignRequest": body}
    return dict(campaigns.create_campaign(engage, CALLER, asked)["CampaignResponse"])


def shown(engage: Engage, app_id: str, endpoint: str = "ana") -> list[dict[str, Any]]:
    asked = {"ApplicationId": app_id, "EndpointId": endpoint}
    answer = in_app.get_in_app_messages(engage, CALLER, asked)["InAppMessagesResponse"]
    return list(answer["InAppMessageCampaigns"])


def test_an_endpoint_of_the_segment_gets_message_filter_caps_and_priority(
    engage: Engage, app_id: str
) -> None:
    put(engage, app_id, {"Id": "ana"})
    one = made(
        engage, app_id, Priority=2, Limits={"Session": 1, "Daily": 2, "Total": 3},
        schedule={
            "EndTime": "2026-12-01T00:00:00Z", "QuietTime": {"Start": "22:00", "End": "07:00"},
        },
    )  # fmt: skip
    assert shown(engage, app_id) == [
        {
            "CampaignId": one["Id"], "TreatmentId": "0", "InAppMessage": SALE, "Priority": 2,
            "SessionCap": 1, "DailyCap": 2, "TotalCap": 3,
            "Schedule": {
                "EndDate": "2026-12-01T00:00:00.000Z", "EventFilter": FILTER,
                "QuietTime": {"Start": "22:00", "End": "07:00"},
            },
        }
    ]  # fmt: skip


def test_campaigns_come_in_the_order_of_their_priority(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana"})
    last, second, first = (
        made(engage, app_id, **p) for p in ({}, {"Priority": 5}, {"Priority": 1})
    )
    assert [one["CampaignId"] for one in shown(engage, app_id)] == [
        first["Id"], second["Id"], last["Id"],
    ]  # fmt: skip


def test_a_campaign_is_shown_only_while_it_runs(
    engage: Engage, app_id: str, clock: TestClock
) -> None:
    put(engage, app_id, {"Id": "ana"})
    times = {"StartTime": "2026-11-21T13:00:00Z", "EndTime": "2026-11-21T14:00:00Z"}
    one = made(engage, app_id, schedule=times)
    assert shown(engage, app_id) == []
    clock.advance(3700)
    assert len(shown(engage, app_id)) == 1
    pause(engage, app_id, one["Id"], True)
    assert shown(engage, app_id) == []
    pause(engage, app_id, one["Id"], False)
    assert len(shown(engage, app_id)) == 1
    clock.advance(3600)
    assert shown(engage, app_id) == []


def test_a_campaign_is_over_at_its_end_time(
    engage: Engage, app_id: str, clock: TestClock, worker: Worker
) -> None:
    one = made(engage, app_id, schedule={"EndTime": "2026-11-21T13:00:00Z"})
    wait_for(lambda: state(engage, app_id, one["Id"]) == "EXECUTING")
    clock.advance(3601)
    engage.jobs.nudge()
    assert wait_for(lambda: state(engage, app_id, one["Id"]) == "COMPLETED")


def test_who_is_not_in_the_segment_held_out_or_opted_out_gets_none(
    engage: Engage, app_id: str
) -> None:
    inclusive = {"tier": {"AttributeType": "INCLUSIVE", "Values": ["gold"]}}
    put(
        engage, app_id, {"Id": "ana", "Attributes": {"tier": ["gold"]}}, {"Id": "ben"},
        {"Id": "cy", "Attributes": {"tier": ["gold"]}, "OptOut": "ALL"},
    )  # fmt: skip
    made(engage, app_id, dimensions={"Attributes": inclusive})
    made(engage, app_id, HoldoutPercent=100)
    assert [len(shown(engage, app_id, who)) for who in ("ana", "ben", "cy")] == [1, 0, 0]
    with pytest.raises(NotFound, match="no endpoint dora"):
        shown(engage, app_id, "dora")


def test_a_treatment_shows_its_own_template(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana"})
    body = {"Layout": "OVERLAYS", "Content": [CONTENT]}
    wanted = {"TemplateName": "sale", "InAppTemplateRequest": body}
    templates.TEMPLATE_OPERATIONS["CreateInAppTemplate"](engage, CALLER, wanted)
    made(
        engage, app_id,
        AdditionalTreatments=[
            {"SizePercent": 100, "TemplateConfiguration": {"InAppTemplate": {"Name": "sale"}}}
        ],
    )  # fmt: skip
    (one,) = shown(engage, app_id)
    assert (one["TreatmentId"], one["InAppMessage"]) == ("1", body)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"MessageConfiguration": {}}, "IN_APP_EVENT needs MessageConfiguration.InAppMessage"),
        ({"schedule": {"EventFilter": None}}, "Schedule.EventFilter is missing"),
        ({"schedule": {"Frequency": "ONCE", "EventFilter": None}}, "goes with Schedule.Frequency"),
        ({"schedule": {"Frequency": "YEARLY"}}, "right are ONCE"),
        ({"MessageConfiguration": {"InAppMessage": {"Layout": "OVERLAYS"}}}, "Content is missing"),
        (
            {"MessageConfiguration": {"InAppMessage": {**SALE, "Content": [CONTENT] * 2}}},
            "MIDDLE_BANNER shows one part",
        ),
        (
            {"MessageConfiguration": {"InAppMessage": {"Content": [CONTENT] * 6}}},
            "6 parts; 5 are allowed",
        ),
        (
            {
                "MessageConfiguration": {
                    "InAppMessage": {
                        "Content": [{"PrimaryBtn": {"IOS": {"ButtonAction": "DEEP_LINK"}}}]
                    }
                }
            },
            r"PrimaryBtn\.IOS\.Link is missing",
        ),
        ({"Limits": {"Session": -1}}, "Limits.Session"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    engage: Engage, app_id: str, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        made(engage, app_id, **more)


def test_an_application_has_at_most_25_in_app_campaigns(engage: Engage, app_id: str) -> None:
    for _ in range(25):
        made(engage, app_id)
    with pytest.raises(LimitExceeded, match="25 in-app campaigns"):
        made(engage, app_id)


def pause(engage: Engage, app_id: str, campaign: str, paused: bool) -> None:
    wanted = {"IsPaused": paused}
    asked = {"ApplicationId": app_id, "CampaignId": campaign, "WriteCampaignRequest": wanted}
    campaigns.update_campaign(engage, CALLER, asked)


def state(engage: Engage, app_id: str, campaign: str) -> str:
    asked = {"ApplicationId": app_id, "CampaignId": campaign}
    found = campaigns.get_campaign(engage, CALLER, asked)["CampaignResponse"]
    return str(found["State"]["CampaignStatus"])
