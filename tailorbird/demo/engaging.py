"""Pinpoint from outside, with boto3: an application, endpoints, segments, campaigns with hooks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tailorbird.errors import Unavailable
from tailorbird.ids import arn
from tailorbird.remote import Remote

ENDPOINTS_PER_CALL = 100
POLL_SECONDS = 0.2
CAMPAIGN_SECONDS = 300.0
FROM_ADDRESS = "shop@example.com"
SUBJECT = "Picked for you"
HTML = """<!doctype html><html><body style="font-family: Georgia, serif; color: #22281f">
<h1 style="font-size: 22px">Hello {{User.UserAttributes.name.[0]}},</h1>
<p>we thought of you when these came in:</p>
<ul>{{#each User.UserAttributes.recommended_names}}<li>{{this}}</li>{{/each}}</ul>
{{#if Attributes.CreditScore}}<p>Your score with us: {{Attributes.CreditScore.[0]}}.</p>{{/if}}
<p>See you in the shop.</p></body></html>"""
TEXT = """Hello {{User.UserAttributes.name.[0]}},
{{#each User.UserAttributes.recommended_names}}- {{this}}
{{/each}}"""


@dataclass(frozen=True)
class Ran:
    """What became of a campaign, as its activity and the hook's function say."""

    campaign: str
    name: str
    endpoints: int
    sent: int
    seconds: float
    reasons: dict[str, int] = field(default_factory=dict)


def create_application(server: Remote, name: str, account: str) -> str:
    client = server.client("pinpoint")
    made = client.create_app(CreateApplicationRequest={"Name": name})
    application_id = str(made["ApplicationResponse"]["Id"])
    client.update_email_channel(
        ApplicationId=application_id,
        EmailChannelRequest={
            "Enabled": True,
            "FromAddress": FROM_ADDRESS,
            "Identity": arn("ses", server.region, account, "identity/example.com"),
        },
    )
    return application_id


def give_recommendations(
    server: Remote,
    application_id: str,
    endpoints: dict[str, str],
    recommended: dict[str, list[str]],
    name_of: Callable[[str], str],
    told: Callable[[int, int], None],
) -> None:
    """Write each person's recommendations to the user attributes of their endpoint."""
    client, people = server.client("pinpoint"), list(recommended)
    for at in range(0, len(people), ENDPOINTS_PER_CALL):
        items = [
            {
                "Id": endpoints[person],
                "User": {
                    "UserId": person,
                    "UserAttributes": {
                        "recommended_products": recommended[person],
                        "recommended_names": [name_of(item) for item in recommended[person]],
                    },
                },
            }
            for person in people[at : at + ENDPOINTS_PER_CALL]
        ]
        client.update_endpoints_batch(
            ApplicationId=application_id, EndpointBatchRequest={"Item": items}
        )
        told(min(at + ENDPOINTS_PER_CALL, len(people)), len(people))


def create_segment(
    server: Remote, application_id: str, name: str, dimensions: dict[str, Any]
) -> str:
    made = server.client("pinpoint").create_segment(
        ApplicationId=application_id, WriteSegmentRequest={"Name": name, "Dimensions": dimensions}
    )
    return str(made["SegmentResponse"]["Id"])


def run_campaign(
    server: Remote,
    application_id: str,
    name: str,
    segment_id: str,
    hook: str,
    told: Callable[[int, int], None],
) -> dict[str, Any]:
    """A campaign that starts at once, with a FILTER hook; its activity when it is completed."""
    client = server.client("pinpoint")
    made = client.create_campaign(
        ApplicationId=application_id,
        WriteCampaignRequest={
            "Name": name,
            "SegmentId": segment_id,
            "SegmentVersion": 1,
            "Schedule": {"StartTime": "IMMEDIATE"},
            "Hook": {"LambdaFunctionName": hook, "Mode": "FILTER"},
            "MessageConfiguration": {
                "EmailMessage": {"Title": SUBJECT, "HtmlBody": HTML, "Body": TEXT}
            },
        },
    )
    campaign = str(made["CampaignResponse"]["Id"])
    until = time.monotonic() + CAMPAIGN_SECONDS
    while time.monotonic() < until:
        found = client.get_campaign_activities(ApplicationId=application_id, CampaignId=campaign)
        for activity in found["ActivitiesResponse"]["Item"]:
            told(activity.get("SuccessfulEndpointCount", 0), activity.get("TotalEndpointCount", 0))
            if activity["State"] == "COMPLETED":
                return dict(activity)
        time.sleep(POLL_SECONDS)
    raise Unavailable(f"Campaign {campaign} is not completed after {CAMPAIGN_SECONDS:.0f} s")


def count_reasons(rows: list[dict[str, Any]]) -> dict[str, int]:
    return dict(Counter(row["state"] for row in rows).most_common())
