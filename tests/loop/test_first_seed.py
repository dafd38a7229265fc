"""The first seed: a Lambda function tailors a campaign's segment just before sending."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests import aws, segment
from tests.conftest import Server, wait_for

PEOPLE = [f"person-{n:03d}" for n in range(120)]
CREDIT_SCORE = aws.EXAMPLES / "hooks" / "credit-score"
KEEP_EVEN = """
def handler(event, context):
    return {k: v for k, v in event["Endpoints"].items() if int(k[-1]) % 2 == 0}
"""
LOOK = """
import json
def handler(event, context):
    print("EVENT", json.dumps(event))
    return event["Endpoints"]
"""


@pytest.fixture
def server(any_server: Server) -> Server:
    return any_server


def test_the_documented_handler_changes_what_each_customer_is_told(server: Server) -> None:
    aws.create_function(
        server,
        "credit-score",
        aws.zipped_folder(CREDIT_SCORE),
        "index.handler",
        Runtime="nodejs20.x",
    )
    application_id = aws.create_app(server)
    aws.put_people(server, application_id, PEOPLE)
    segment_id = aws.create_segment(server, application_id)
    permit_by_cli(server, "credit-score", application_id)

    campaign_id = aws.create_campaign(
        server,
        application_id,
        segment_id,
        "{{User.UserAttributes.Name}}: {{Attributes.CreditScore}}",
        Hook={"LambdaFunctionName": "credit-score", "Mode": "FILTER"},
    )
    activity = aws.finished_activity(server, application_id, campaign_id)
    told = aws.mails(server, application_id, campaign_id)

    assert (activity["Result"], activity["SuccessfulEndpointCount"]) == ("SUCCESS", len(PEOPLE))
    assert sorted(told) == [f"{name}@example.com" for name in PEOPLE]
    for address, body in told.items():
        name, score = body.split(": ")
        assert address.startswith(name)
        assert 650 <= int(score) < 850
    campaign = server.client("pinpoint").get_campaign(
        ApplicationId=application_id, CampaignId=campaign_id
    )["CampaignResponse"]
    assert campaign["State"]["CampaignStatus"] == "COMPLETED"


def test_endpoints_that_the_function_leaves_out_are_not_sent_to(server: Server) -> None:
    application_id, segment_id = shop(server)
    aws.python_function(server, "keep-even", KEEP_EVEN)
    aws.allow_pinpoint(server, "keep-even", application_id)
    campaign_id = aws.create_campaign(
        server,
        application_id,
        segment_id,
        Hook={
            "LambdaFunctionName": f"arn:aws:lambda:us-east-1:{aws.ACCOUNT}:function:keep-even",
            "Mode": "FILTER",
        },
    )
    activity = aws.finished_activity(server, application_id, campaign_id)
    even = [f"{name}@example.com" for name in PEOPLE if int(name[-1]) % 2 == 0]
    assert sorted(aws.mails(server, application_id, campaign_id)) == even
    assert activity["TotalEndpointCount"] == len(PEOPLE)


def test_the_default_hook_of_a_project_serves_campaigns_without_their_own(server: Server) -> None:
    application_id, segment_id = shop(server)
    aws.python_function(server, "keep-even", KEEP_EVEN)
    aws.allow_pinpoint(server, "keep-even", application_id)
    server.client("pinpoint").update_application_settings(
        ApplicationId=application_id,
        WriteApplicationSettingsRequest={
            "CampaignHook": {"LambdaFunctionName": "keep-even", "Mode": "FILTER"}
        },
    )
    campaign_id = aws.create_campaign(server, application_id, segment_id)
    aws.finished_activity(server, application_id, campaign_id)
    assert len(aws.mails(server, application_id, campaign_id)) == len(PEOPLE) // 2


def test_without_a_function_policy_nobody_is_told_anything_and_the_remedy_is_said(
    server: Server,
) -> None:
    application_id, segment_id = shop(server)
    aws.python_function(server, "not-permitted", KEEP_EVEN)
    campaign_id = aws.create_campaign(
        server,
        application_id,
        segment_id,
        Hook={"LambdaFunctionName": "not-permitted", "Mode": "FILTER"},
    )
    activity = aws.finished_activity(server, application_id, campaign_id)
    assert (activity["Result"], activity["SuccessfulEndpointCount"]) == ("FAIL", 0)
    assert aws.mails(server, application_id, campaign_id) == {}
    said = segment.run(server, "ledger", campaign_id)
    assert "aws lambda add-permission --function-name not-permitted" in said


def test_the_function_sees_the_documented_event(server: Server) -> None:
    application_id, segment_id = shop(server, PEOPLE[:2])
    aws.python_function(server, "look", LOOK)
    aws.allow_pinpoint(server, "look", application_id)
    campaign_id = aws.create_campaign(
        server, application_id, segment_id, Hook={"LambdaFunctionName": "look", "Mode": "FILTER"}
    )
    activity = aws.finished_activity(server, application_id, campaign_id)
    event = wait_for(lambda: logged_event(server))
    assert event["ApplicationId"] == application_id
    assert event["CampaignId"] == campaign_id
    assert event["ActivityId"] == activity["Id"]
    assert event["TreatmentId"] == "0"
    assert event["ScheduledTime"].endswith("Z")
    assert "EmailMessage" in event["MessageConfiguration"]
    assert sorted(event["Endpoints"]) == PEOPLE[:2]
    definition = event["Endpoints"][PEOPLE[0]]
    assert definition["Address"] == f"{PEOPLE[0]}@example.com"
    assert not {"Id", "ApplicationId"} & definition.keys()


def shop(server: Server, people: list[str] = PEOPLE) -> tuple[str, str]:
    application_id = aws.create_app(server)
    aws.put_people(server, application_id, people)
    return application_id, aws.create_segment(server, application_id)


def logged_event(server: Server) -> dict[str, Any] | None:
    for line in segment.run(server, "logs", "look").splitlines():
        if line.startswith("EVENT "):
            return dict(json.loads(line.removeprefix("EVENT ")))
    return None


def permit_by_cli(server: Server, function: str, application_id: str) -> None:
    """The seed's own command."""
    campaigns = f"apps/{application_id}/campaigns/*"
    subprocess.run(
        [
            "aws", "lambda", "add-permission",
            "--function-name", function,
            "--statement-id", "sid",
            "--action", "lambda:InvokeFunction",
            "--principal", "pinpoint.us-east-1.amazonaws.com",
            "--source-arn", f"arn:aws:mobiletargeting:us-east-1:{aws.ACCOUNT}:{campaigns}",
        ],
        env=server.cli_environment(),
        check=True,
        capture_output=True,
    )  # fmt: skip
