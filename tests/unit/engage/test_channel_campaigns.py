"""Campaigns on SMS and push: each endpoint gets what the campaign says on its channel."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailorbird.engage import Engage, channel_content, channel_settings, templates
from tailorbird.errors import Invalid, NotFound
from tailorbird.store import Worker
from tests.unit.engage.conftest import CALLER, add_function, allow, put
from tests.unit.engage.test_campaign_run import campaign, ended, states

NUMBER = "+31612345678"
ALL = {
    "EmailMessage": {"Title": "Mail", "Body": "Mail for {{User.UserId}}"},
    "SMSMessage": {"Body": "SMS for {{User.UserId}}", "MessageType": "PROMOTIONAL"},
    "DefaultMessage": {"Title": "Push", "Body": "Push for {{User.UserId}}", "Action": "OPEN_APP"},
    "GCMMessage": {"Action": "URL", "Url": "https://x.y/{{User.UserId}}"},
}


def set_up(room: Engage, app_id: str, *kinds: str) -> None:
    for kind in kinds:
        update = channel_settings.CHANNEL_OPERATIONS[f"Update{kind}Channel"]
        shape = {"Sms": "SMS", "Gcm": "GCM"}[kind]
        wanted = {f"{shape}ChannelRequest": {"Enabled": True}}
        update(room, CALLER, {"ApplicationId": app_id, **wanted})


def people(room: Engage, app_id: str) -> None:
    put(
        room, app_id,
        {"Id": "mail", "User": {"UserId": "ana"}},
        {"Id": "sms", "ChannelType": "SMS", "Address": NUMBER, "User": {"UserId": "ana"}},
        {"Id": "push", "ChannelType": "GCM", "Address": "token1", "User": {"UserId": "ana"}},
        {"Id": "apple", "ChannelType": "APNS", "Address": "token2", "User": {"UserId": "ana"}},
    )  # fmt: skip


def arrived(room: Engage, app_id: str) -> dict[str, dict[str, Any]]:
    files = (room.settings.data / "inbox" / app_id).rglob("*.json")
    return {
        document["to"]: document for document in map(json.loads, (f.read_text() for f in files))
    }


def test_each_channel_says_its_own(engage: Engage, app_id: str, worker: Worker) -> None:
    set_up(engage, app_id, "Sms", "Gcm")
    people(engage, app_id)
    over = ended(engage, campaign(engage, app_id, MessageConfiguration=ALL))
    assert states(engage, over["Id"]) == {
        "mail": "sent", "sms": "sent", "push": "sent", "apple": "channel_failed",
    }  # fmt: skip
    there = arrived(engage, app_id)
    assert there[NUMBER]["body"] == "SMS for ana"
    assert there[NUMBER]["data"] == {"MessageType": "PROMOTIONAL"}
    assert (there["token1"]["title"], there["token1"]["body"]) == ("Push", "Push for ana")
    assert there["token1"]["data"] == {"Action": "URL", "Url": "https://x.y/ana"}
    assert there["token1"]["activity_id"] == over["Id"]


def test_a_campaign_without_mail_needs_no_mail_channel(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    channel_settings.delete_email_channel(engage, CALLER, {"ApplicationId": app_id})
    set_up(engage, app_id, "Sms")
    people(engage, app_id)
    sms = {"SMSMessage": ALL["SMSMessage"]}
    over = ended(engage, campaign(engage, app_id, MessageConfiguration=sms))
    assert states(engage, over["Id"]) == {
        "mail": "wrong_channel", "sms": "sent", "push": "wrong_channel", "apple": "wrong_channel",
    }  # fmt: skip


def test_a_template_gives_sms_and_push_their_words(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    set_up(engage, app_id, "Sms", "Gcm")
    people(engage, app_id)
    for kind, shape, body in (
        ("Sms", "SMSTemplateRequest", {"Body": "T {{User.UserId}}"}),
        ("Push", "PushNotificationTemplateRequest", {"Default": {"Title": "P", "Body": "b"}}),
    ):
        create = templates.TEMPLATE_OPERATIONS[f"Create{kind}Template"]
        create(engage, CALLER, {"TemplateName": "news", shape: body})
    named = {"SMSTemplate": {"Name": "news"}, "PushTemplate": {"Name": "news"}}
    made = campaign(engage, app_id, MessageConfiguration=None, TemplateConfiguration=named)
    ended(engage, made)
    there = arrived(engage, app_id)
    assert (there[NUMBER]["body"], there["token1"]["title"]) == ("T ana", "P")


OVERRIDING = """
def handler(event, context):
    found = event["Endpoints"]
    assert event["MessageConfiguration"]["SMSMessage"]["Body"].startswith("SMS for")
    for endpoint in found.values():
        endpoint["TitleOverride"] = "Own title"
        endpoint["BodyOverride"] = "Own body"
    return found
"""


def test_a_hook_s_overrides_count_on_sms_and_push_only(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    set_up(engage, app_id, "Sms", "Gcm")
    people(engage, app_id)
    add_function(engage, "own", OVERRIDING)
    allow(engage, "own", f"arn:aws:mobiletargeting:us-east-1:{CALLER.account}:apps/{app_id}*")
    hook = {"LambdaFunctionName": "own", "Mode": "FILTER"}
    made = campaign(engage, app_id, MessageConfiguration=ALL, Hook=hook)
    assert states(engage, ended(engage, made)["Id"])["mail"] == "sent"
    there = arrived(engage, app_id)
    assert there[NUMBER]["body"] == "Own body"
    assert (there["token1"]["title"], there["token1"]["body"]) == ("Own title", "Own body")
    (mail,) = (engage.settings.data / "inbox" / app_id).rglob("*.eml")
    assert "Mail for ana" in mail.read_text()


def test_what_does_not_compile_or_exist_is_refused(engage: Engage, app_id: str) -> None:
    with pytest.raises(Invalid, match="line 1"):
        campaign(engage, app_id, MessageConfiguration={"SMSMessage": {"Body": "{{#if}}"}})
    named = {"SMSTemplate": {"Name": "nowhere"}}
    with pytest.raises(NotFound, match="nowhere"):
        campaign(engage, app_id, MessageConfiguration=None, TemplateConfiguration=named)


TYPES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"MessageConfiguration": {"EmailMessage": {"Body": "b"}}}, set()),
    ({"MessageConfiguration": {"SMSMessage": {"Body": "b"}}}, {"SMS"}),
    ({"MessageConfiguration": {"GCMMessage": {"Body": "b"}}}, {"GCM"}),
    ({"TemplateConfiguration": {"SMSTemplate": {"Name": "n"}}}, {"SMS"}),
]


@pytest.mark.parametrize(("body", "expected"), TYPES)
def test_which_channels_a_campaign_speaks_on(body: dict[str, Any], expected: set[str]) -> None:
    assert channel_content.types_of(body) == expected
    push = {"MessageConfiguration": {"DefaultMessage": {"Body": "b"}}}
    assert {"GCM", "APNS", "ADM"} <= channel_content.types_of(push)
    assert "SMS" not in channel_content.types_of(push)
