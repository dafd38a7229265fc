"""Direct messages through the real boto3, on every channel, with what really arrived."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Server

NUMBER = "+31612345678"


@pytest.fixture(scope="module")
def pinpoint(server: Server) -> Any:
    return server.client("pinpoint")


@pytest.fixture
def app_id(pinpoint: Any) -> str:
    """An application with all channels that need no credentials."""
    made = pinpoint.create_app(CreateApplicationRequest={"Name": "shop"})
    app = str(made["ApplicationResponse"]["Id"])
    mail = {"FromAddress": "shop@example.com", "Identity": "example.com"}
    pinpoint.update_email_channel(ApplicationId=app, EmailChannelRequest=mail)
    pinpoint.update_sms_channel(ApplicationId=app, SMSChannelRequest={"SenderId": "SHOP"})
    pinpoint.update_gcm_channel(ApplicationId=app, GCMChannelRequest={"Enabled": True})
    pinpoint.update_adm_channel(
        ApplicationId=app, ADMChannelRequest={"ClientId": "i", "ClientSecret": "s"}
    )
    return app


def send(pinpoint: Any, app_id: str, **wanted: Any) -> dict[str, Any]:
    answer = pinpoint.send_messages(ApplicationId=app_id, MessageRequest=wanted)
    return dict(answer["MessageResponse"])


def arrived(server: Server, app_id: str) -> dict[str, dict[str, Any]]:
    """What is in the inbox besides mail, by address."""
    folder = server.data / "inbox" / app_id / "direct"
    documents = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    return {document["to"]: document for document in documents}


def test_each_address_gets_what_its_channel_says(
    server: Server, pinpoint: Any, app_id: str
) -> None:
    found = send(
        pinpoint, app_id,
        Addresses={
            NUMBER: {"ChannelType": "SMS", "Substitutions": {"code": ["42"]}},
            "token1": {"ChannelType": "GCM", "TitleOverride": "Own", "Context": {"a": "b"}},
            "ana@example.com": {"ChannelType": "EMAIL"},
            "token2": {"ChannelType": "ADM"},
            "token3": {"ChannelType": "APNS"},
        },
        MessageConfiguration={
            "DefaultMessage": {"Body": "Code {{code}}", "Substitutions": {"code": ["none"]}},
            "DefaultPushNotificationMessage": {"Title": "Push", "Action": "URL"},
            "GCMMessage": {"Url": "https://x.y/{{Address}}", "Data": {"k": "v"}},
            "SMSMessage": {"MessageType": "TRANSACTIONAL"},
            "EmailMessage": {"SimpleEmail": {"TextPart": {"Data": "Mail {{code}}"}}},
        },
    )["Result"]  # fmt: skip
    assert {address: result["DeliveryStatus"] for address, result in found.items()} == {
        NUMBER: "SUCCESSFUL", "token1": "SUCCESSFUL", "ana@example.com": "SUCCESSFUL",
        "token2": "PERMANENT_FAILURE", "token3": "PERMANENT_FAILURE",
    }  # fmt: skip
    assert "ADM is not built" in found["token2"]["StatusMessage"]
    assert "update-apns-channel" in found["token3"]["StatusMessage"]
    there = arrived(server, app_id)
    assert (there[NUMBER]["body"], there[NUMBER]["from"]) == ("Code 42", "SHOP")
    assert there[NUMBER]["data"]["MessageType"] == "TRANSACTIONAL"
    push = there["token1"]
    assert (push["title"], push["body"]) == ("Own", "Code none")
    assert push["data"]["Url"] == "https://x.y/token1"
    assert push["data"]["Context"] == {"a": "b"}


def test_a_template_gives_the_words(server: Server, pinpoint: Any, app_id: str) -> None:
    pinpoint.create_sms_template(
        TemplateName=f"code-{app_id}",
        SMSTemplateRequest={
            "Body": "Code {{code}}, {{name}}", "DefaultSubstitutions": '{"name": "you"}',
        },
    )  # fmt: skip
    pinpoint.create_push_template(
        TemplateName=f"news-{app_id}",
        PushNotificationTemplateRequest={
            "Default": {"Title": "Hello {{name}}", "Body": "b", "Action": "OPEN_APP"},
        },
    )
    found = send(
        pinpoint, app_id,
        Addresses={
            NUMBER: {"ChannelType": "SMS"},
            "token1": {"ChannelType": "GCM", "Substitutions": {"name": ["Ana"]}},
        },
        MessageConfiguration={"SMSMessage": {"SenderId": "OWN", "Substitutions": {"code": ["1"]}}},
        TemplateConfiguration={
            "SMSTemplate": {"Name": f"code-{app_id}"}, "PushTemplate": {"Name": f"news-{app_id}"},
        },
    )["Result"]  # fmt: skip
    assert {result["StatusCode"] for result in found.values()} == {200}
    there = arrived(server, app_id)
    assert (there[NUMBER]["body"], there[NUMBER]["from"]) == ("Code 1, you", "OWN")
    assert there["token1"]["title"] == "Hello Ana"


def test_people_are_reached_where_there_is_a_message_for_them(
    server: Server, pinpoint: Any, app_id: str
) -> None:
    for channel, address in (("SMS", NUMBER), ("EMAIL", "ana@example.com"), ("GCM", "token1")):
        pinpoint.update_endpoint(
            ApplicationId=app_id, EndpointId=channel,
            EndpointRequest={
                "ChannelType": channel, "Address": address,
                "User": {"UserId": "ana", "UserAttributes": {"Name": ["Ana"]}},
            },
        )  # fmt: skip
    answer = pinpoint.send_users_messages(
        ApplicationId=app_id,
        SendUsersMessageRequest={
            "Users": {"ana": {}, "nobody": {}},
            "MessageConfiguration": {
                "SMSMessage": {"Body": "Hi {{User.UserAttributes.Name}}"},
                "EmailMessage": {"SimpleEmail": {"TextPart": {"Data": "m"}}},
            },
        },
    )["SendUsersMessageResponse"]
    result = answer["Result"]
    assert {k: r["DeliveryStatus"] for k, r in result["ana"].items()} == {
        "SMS": "SUCCESSFUL", "EMAIL": "SUCCESSFUL",
    }  # fmt: skip
    assert result["ana"]["SMS"]["Address"] == NUMBER
    assert result["nobody"] == {}
    assert arrived(server, app_id)[NUMBER]["body"] == "Hi Ana"


def test_a_channel_switched_off_is_each_recipient_s_failure(pinpoint: Any, app_id: str) -> None:
    pinpoint.update_sms_channel(ApplicationId=app_id, SMSChannelRequest={"Enabled": False})
    found = send(
        pinpoint, app_id, Addresses={NUMBER: {"ChannelType": "SMS"}},
        MessageConfiguration={"SMSMessage": {"Body": "b"}},
    )["Result"][NUMBER]  # fmt: skip
    assert (found["DeliveryStatus"], found["StatusCode"]) == ("PERMANENT_FAILURE", 400)
    assert "switched off" in found["StatusMessage"]


def test_what_does_not_compile_is_said_with_its_place(pinpoint: Any, app_id: str) -> None:
    with pytest.raises(pinpoint.exceptions.BadRequestException, match="line 1"):
        send(
            pinpoint, app_id, Addresses={NUMBER: {"ChannelType": "SMS"}},
            MessageConfiguration={"SMSMessage": {"Body": "{{#if}}"}},
        )  # fmt: skip
