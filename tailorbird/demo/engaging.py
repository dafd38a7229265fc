"""Pinpoint from outside, with boto3: an application, endpoints, segments, campaigns with hooks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tailorbird.errors import Unavailable
from tailorbird.ids import arn
from tailorbird.remote import Remote

POLL_SECONDS = 0.2
CAMPAIGN_SECONDS = 300.0
FROM_ADDRESS = "shop@example.com"
SUBJECT = "Picked for you"
PICK = "User.UserAttributes.recommended_products.[%d]"
PICKED = 5  # products in a mail
ITEMS = "".join(
    f"{{{{#if {PICK % n}}}}}<li>{{{{{PICK % n}}}}}</li>{{{{/if}}}}" for n in range(PICKED)
)
LINES = "".join(f"{{{{#if {PICK % n}}}}}- {{{{{PICK % n}}}}}\n{{{{/if}}}}" for n in range(PICKED))
HTML = (
    """<!doctype html><html><body style="font-family: Georgia, serif; color: #22281f">
<h1 style="font-size: 22px">Hello {{User.UserAttributes.name.[0]}},</h1>
<p>we thought of you when these came in:</p>
<ul>"""
    + ITEMS
    + """</ul>
{{#if Attributes.CreditScore}}<p>Your score with us: {{Attributes.CreditScore.[0]}}.</p>{{/if}}
<p>See you in the shop.</p></body></html>"""
)
TEXT = "Hello {{User.UserAttributes.name.[0]}},\n" + LINES


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


def endpoint_of(client: Any, application_id: str, person: str) -> dict[str, Any] | None:
    """The first endpoint of a person, or None while there is none."""
    try:
        found = client.get_user_endpoints(ApplicationId=application_id, UserId=person)
    except client.exceptions.NotFoundException:
        return None
    items = found["EndpointsResponse"]["Item"]
    return dict(items[0]) if items else None


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


def count_mails(server: Remote, application_id: str) -> int:
    """The mails of the application in the inbox of the data folder."""
    return sum(1 for _ in (server.data / "inbox" / application_id).glob("*/*.eml"))
