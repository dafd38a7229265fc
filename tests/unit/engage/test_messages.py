"""Direct messages: one real result for each recipient."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.engage import Engage, channel_settings, messages
from tailorbird.errors import Invalid, NotBuilt, NotFound
from tests.unit.engage.conftest import CALLER, put

SIMPLE = {
    "SimpleEmail": {
        "Subject": {"Data": "Hi {{User.UserAttributes.Name}}"},
        "TextPart": {"Data": "Code {{code}}"},
    },
    "Substitutions": {"code": ["none"]},
}


def send(room: Engage, app_id: str, **wanted: Any) -> dict[str, Any]:
    wanted.setdefault("MessageConfiguration", {"EmailMessage": SIMPLE})
    request = {"ApplicationId": app_id, "MessageRequest": wanted}
    return dict(messages.send_messages(room, CALLER, request)["MessageResponse"])


def mails(room: Engage, app_id: str) -> list[str]:
    folder = room.settings.data / "inbox" / app_id / "direct"
    return sorted(file.read_text() for file in folder.glob("*.eml"))


def test_an_address_gets_its_own_substitutions(engage: Engage, app_id: str) -> None:
    answer = send(
        engage, app_id,
        Addresses={
            "ana@example.com": {"ChannelType": "EMAIL", "Substitutions": {"code": ["42"]}},
            "ben@example.com": {"ChannelType": "EMAIL"},
        },
    )  # fmt: skip
    ana = answer["Result"]["ana@example.com"]
    assert (ana["DeliveryStatus"], ana["StatusCode"]) == ("SUCCESSFUL", 200)
    assert len(ana["MessageId"]) == 32
    assert answer["RequestId"] == "r-1"
    texts = "\n".join(mails(engage, app_id))
    assert "Code 42" in texts and "Code none" in texts


def test_an_endpoint_fills_the_message_with_its_values(engage: Engage, app_id: str) -> None:
    user = {"UserId": "u", "UserAttributes": {"Name": ["Ana"]}}
    put(engage, app_id, {"Id": "Ana", "User": user})
    answer = send(engage, app_id, Endpoints={"ana": {}})
    assert answer["EndpointResult"]["ana"]["Address"] == "ana@example.com"
    assert answer["EndpointResult"]["ana"]["DeliveryStatus"] == "SUCCESSFUL"
    (mail,) = mails(engage, app_id)
    assert "Subject: Hi Ana" in mail


def test_whoever_cannot_be_sent_to_has_a_status_that_says_so(engage: Engage, app_id: str) -> None:
    put(
        engage, app_id,
        {"Id": "out", "OptOut": "ALL"},
        {"Id": "off", "EndpointStatus": "INACTIVE"},
        {"Id": "sms", "ChannelType": "SMS", "Address": "+31612345678"},
        {"Id": "bad", "Address": "no address"},
    )  # fmt: skip
    wanted: dict[str, Any] = {"out": {}, "off": {}, "sms": {}, "bad": {}, "gone": {}}
    found = send(engage, app_id, Endpoints=wanted)["EndpointResult"]
    assert {key: result["DeliveryStatus"] for key, result in found.items()} == {
        "out": "OPT_OUT", "off": "PERMANENT_FAILURE", "sms": "PERMANENT_FAILURE",
        "bad": "PERMANENT_FAILURE", "gone": "PERMANENT_FAILURE",
    }  # fmt: skip
    assert found["gone"]["StatusMessage"] == "There is no such endpoint"
    assert mails(engage, app_id) == []


def test_two_endpoints_with_one_address_get_one_message(engage: Engage, app_id: str) -> None:
    engage.settings = engage.settings.replace(engage_address_takeover=False)
    put(engage, app_id, {"Id": "a", "Address": "x@example.com"})
    put(engage, app_id, {"Id": "b", "Address": "x@example.com"})
    found = send(engage, app_id, Endpoints={"a": {}, "b": {}})["EndpointResult"]
    assert [found[key]["DeliveryStatus"] for key in "ab"] == ["SUCCESSFUL", "DUPLICATE"]


def test_without_a_channel_each_recipient_has_the_remedy(engage: Engage, app_id: str) -> None:
    channel_settings.delete_email_channel(engage, CALLER, {"ApplicationId": app_id})
    found = send(engage, app_id, Addresses={"ana@example.com": {"ChannelType": "EMAIL"}})
    result = found["Result"]["ana@example.com"]
    assert result["StatusCode"] == 400
    assert "aws pinpoint update-email-channel" in result["StatusMessage"]


def test_people_are_reached_on_all_their_mail_endpoints(engage: Engage, app_id: str) -> None:
    put(engage, app_id, *({"Id": i, "User": {"UserId": "u"}} for i in ("home", "work")))
    wanted = {"Users": {"u": {}, "nobody": {}}, "MessageConfiguration": {"EmailMessage": SIMPLE}}
    request = {"ApplicationId": app_id, "SendUsersMessageRequest": wanted}
    answer = messages.send_users_messages(engage, CALLER, request)["SendUsersMessageResponse"]
    statuses = {key: r["DeliveryStatus"] for key, r in answer["Result"]["u"].items()}
    assert statuses == {"home": "SUCCESSFUL", "work": "SUCCESSFUL"}
    assert answer["Result"]["nobody"] == {}


def test_a_whole_mail_goes_as_it_is(engage: Engage, app_id: str) -> None:
    raw = b"Subject: Whole {{x}}\nBcc: secret@example.com\nX-Own: a\n b\n\n.line\n{{code}}"
    wanted = {"EmailMessage": {"RawEmail": {"Data": raw}, "FromAddress": "me@example.com"}}
    addresses = {"ana@example.com": {"ChannelType": "EMAIL"}}
    found = send(engage, app_id, Addresses=addresses, MessageConfiguration=wanted)
    assert found["Result"]["ana@example.com"]["DeliveryStatus"] == "SUCCESSFUL"
    (mail,) = mails(engage, app_id)
    assert "From: me@example.com" in mail and "To: ana@example.com" in mail
    assert "Subject: Whole {{x}}\nX-Own: a\n b\n\n.line\n{{code}}\n" in mail
    assert "secret" not in mail and "Message-ID: <" in mail and "Date: " in mail


@pytest.mark.parametrize(
    "raw", [b"no headers", b"Subject: x\nno header\n\nb", b"Subject: x\n\n" + b"y" * 999]
)
def test_what_is_no_mail_is_not_sent(engage: Engage, app_id: str, raw: bytes) -> None:
    found = send(
        engage, app_id, Addresses={"ana@example.com": {"ChannelType": "EMAIL"}},
        MessageConfiguration={"EmailMessage": {"RawEmail": {"Data": raw}}},
    )  # fmt: skip
    result = found["Result"]["ana@example.com"]
    assert result["DeliveryStatus"] == "PERMANENT_FAILURE"
    assert "RawEmail" in result["StatusMessage"]


REFUSED = {
    "nobody": ({}, Invalid, "nobody to send to"),
    "no message": (
        {"Addresses": {"a@b.nl": {}}, "MessageConfiguration": {}}, Invalid, "are missing",
    ),
    "a voice message": (
        {"Addresses": {"a@b.nl": {}}, "MessageConfiguration": {"VoiceMessage": {"Body": "b"}}},
        NotBuilt, "VoiceMessage",
    ),
    "an unknown template": (
        {
            "Addresses": {"a@b.nl": {}}, "MessageConfiguration": {},
            "TemplateConfiguration": {"EmailTemplate": {"Name": "nowhere"}},
        },
        NotFound, "nowhere",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wanted, kind, words", REFUSED.values(), ids=list(REFUSED))
def test_requests_that_cannot_be_sent_are_refused(
    engage: Engage, app_id: str, wanted: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        send(engage, app_id, **wanted)


def test_more_than_a_hundred_people_are_refused(engage: Engage, app_id: str) -> None:
    users = {str(n): {} for n in range(101)}
    wanted = {"Users": users, "MessageConfiguration": {"EmailMessage": SIMPLE}}
    request = {"ApplicationId": app_id, "SendUsersMessageRequest": wanted}
    with pytest.raises(Invalid, match="101 people; 1 to 100"):
        messages.send_users_messages(engage, CALLER, request)
