"""In-app messages as an application fetches them with the real SDK."""

from __future__ import annotations

from tests import aws
from tests.conftest import Server

CONTENT = {
    "BackgroundColor": "#FFFFFF",
    "BodyConfig": {"Alignment": "LEFT", "Body": "Half price", "TextColor": "#000000"},
    "HeaderConfig": {"Alignment": "CENTER", "Header": "Sale", "TextColor": "#000000"},
    "PrimaryBtn": {
        "DefaultConfig": {"ButtonAction": "LINK", "Link": "https://x.example", "Text": "Go"}
    },
}
FILTER = {
    "FilterType": "ENDPOINT",
    "Dimensions": {"EventType": {"DimensionType": "INCLUSIVE", "Values": ["cart.opened"]}},
}


def test_an_application_gets_its_in_app_messages_and_tells_what_it_has_shown(
    server: Server,
) -> None:
    client, app = server.client("pinpoint"), aws.create_app(server)
    aws.put_people(server, app, ["ana"])
    client.create_in_app_template(
        TemplateName="half-price",
        InAppTemplateRequest={"Layout": "TOP_BANNER", "Content": [CONTENT]},
    )
    made = client.create_campaign(
        ApplicationId=app,
        WriteCampaignRequest={
            "Name": "sale", "Priority": 1, "Limits": {"Session": 1, "Total": 3},
            "SegmentId": aws.create_segment(server, app),
            "TemplateConfiguration": {"InAppTemplate": {"Name": "half-price"}},
            "Schedule": {
                "StartTime": "IMMEDIATE", "Frequency": "IN_APP_EVENT", "EventFilter": FILTER,
            },
        },
    )["CampaignResponse"]  # fmt: skip
    asked = {"ApplicationId": app, "EndpointId": "ana"}
    (one,) = client.get_in_app_messages(**asked)["InAppMessagesResponse"]["InAppMessageCampaigns"]
    assert one == {
        "CampaignId": made["Id"], "TreatmentId": "0", "Priority": 1, "SessionCap": 1, "TotalCap": 3,
        "InAppMessage": {"Layout": "TOP_BANNER", "Content": [CONTENT]},
        "Schedule": {"EventFilter": FILTER},
    }  # fmt: skip
    event = {
        "EventType": "_inapp.message_displayed", "Timestamp": "2026-11-21T12:00:00Z",
        "Attributes": {"campaign_id": made["Id"], "treatment_id": "0"},
    }  # fmt: skip
    batch = {"ana": {"Endpoint": {}, "Events": {"shown": event}}}
    told = client.put_events(ApplicationId=app, EventsRequest={"BatchItem": batch})
    results = told["EventsResponse"]["Results"]["ana"]["EventsItemResponse"]
    assert results["shown"]["StatusCode"] == 202
