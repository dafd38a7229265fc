"""Push to Android and Apple, against servers that speak their protocols."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tailorbird.channels import (
    PERMANENT_FAILURE,
    SUCCESSFUL,
    Channels,
    Message,
    credentials,
    feedback,
    inbox,
    send_batch,
)
from tailorbird.channels.fcm import GRANT, SCOPE
from tailorbird.errors import Unavailable
from tests.unit.channels.conftest import NOON, OpenRoom, mail
from tests.unit.channels.providers import Apple, Provider, Taken

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, form, plain).decode())


def push(token: str = "token1", channel: str = "GCM", **fields: Any) -> Message:
    given = {
        "channel_type": channel, "html": "", "subject": "News", "text": "Hello",
        "id": f"{abs(hash(token)):032x}"[:32], "activity_id": "act1",
    }  # fmt: skip
    return mail(token, **{**given, **fields})


def set_up(room: Channels, channel: str, secret: dict[str, str], app: str = "app1") -> None:
    assert room.db is not None
    with room.db.write() as conn:
        credentials.put(room, conn, app, channel, secret)


def google(replies: dict[str, tuple[int, Any]] | None = None) -> Any:
    """Answers as Google's token and message addresses do."""

    def answer(taken: Taken) -> tuple[int, Any]:
        if taken.path == "/token":
            return 200, {"access_token": "ya29", "expires_in": 3599}
        token = taken.json["message"]["token"]
        return (replies or {}).get(token, (200, {"name": f"projects/shop/messages/{token}"}))

    return answer


def service_account(provider: Provider, **members: Any) -> str:
    account = {
        "type": "service_account", "project_id": "shop", "client_email": "push@shop.iam",
        "private_key": pem(RSA_KEY), "token_uri": f"{provider.url}/token", **members,
    }  # fmt: skip
    return json.dumps(account)


@pytest.fixture
def android(stored_room: OpenRoom, provider: Provider) -> Channels:
    provider.answer = google()
    room = stored_room(fcm_url=provider.url, outgoing_allow="127.0.0.0/8")
    set_up(room, "GCM", {"ServiceJson": service_account(provider)})
    return room


def test_a_message_goes_with_a_token_of_the_service_account(
    android: Channels, provider: Provider
) -> None:
    data = {
        "Action": "DEEP_LINK", "Url": "shop://sale", "ImageUrl": "https://x.y/i.png",
        "Data": {"n": 1}, "TimeToLive": 60, "Priority": "high", "CollapseKey": "k",
    }  # fmt: skip
    receipts = send_batch(android, "GCM", [push("t1", data=data), push("t2")])
    assert [one.status for one in receipts] == [SUCCESSFUL, SUCCESSFUL]
    assert receipts[0].message == "projects/shop/messages/t1"
    asked = [taken for taken in provider.taken if taken.path == "/token"]
    assert len(asked) == 1
    form = parse_qs(asked[0].body.decode())
    assert form["grant_type"] == [GRANT]
    claims = jwt.decode(
        form["assertion"][0], RSA_KEY.public_key(), algorithms=["RS256"],
        audience=f"{provider.url}/token", options={"verify_exp": False, "verify_iat": False},
    )  # fmt: skip
    assert (claims["iss"], claims["scope"], claims["iat"]) == ("push@shop.iam", SCOPE, int(NOON))
    sent = {t.json["message"]["token"]: t for t in provider.taken if t.path != "/token"}
    assert sent["t1"].path == "/v1/projects/shop/messages:send"
    assert sent["t1"].headers["authorization"] == "Bearer ya29"
    message = sent["t1"].json["message"]
    assert message["android"] == {"collapse_key": "k", "priority": "HIGH", "ttl": "60s"}
    assert message["data"] == {
        "pinpoint.notification.title": "News", "pinpoint.notification.body": "Hello",
        "pinpoint.notification.silentPush": "0", "pinpoint.campaign.campaign_id": "camp1",
        "pinpoint.campaign.campaign_activity_id": "act1", "pinpoint.deeplink": "shop://sale",
        "pinpoint.notification.imageUrl": "https://x.y/i.png", "n": "1",
    }  # fmt: skip


def error(code: str) -> dict[str, Any]:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    return {"error": {"message": "no", "status": "X", "details": [
        {"@type": kind, "errorCode": code}]}}  # fmt: skip


def test_what_google_answers_is_each_message_s_own_end(
    android: Channels, provider: Provider
) -> None:
    heard: list[Any] = []
    android.on_feedback = lambda conn, one: heard.append(one)
    provider.answer = google({
        "gone": (404, error("UNREGISTERED")), "bad": (400, error("INVALID_ARGUMENT")),
        "many": (429, error("QUOTA_EXCEEDED")), "away": (503, error("UNAVAILABLE")),
    })  # fmt: skip
    names = ["good", "gone", "bad", "many", "away"]
    found = dict(zip(names, send_batch(android, "GCM", [push(n) for n in names]), strict=True))
    assert {name: one.status for name, one in found.items()} == {
        "good": "SUCCESSFUL", "gone": "PERMANENT_FAILURE", "bad": "PERMANENT_FAILURE",
        "many": "THROTTLED", "away": "TEMPORARY_FAILURE",
    }  # fmt: skip
    assert "UNREGISTERED" in found["gone"].message
    assert [(one.kind, one.origin.address) for one in heard] == [(feedback.GONE, "gone")]


def test_raw_content_stands_for_the_whole_message(android: Channels, provider: Provider) -> None:
    raw = '{"notification": {"title": "T"}, "data": {"a": 1}, "to": "nobody"}'
    receipts = send_batch(
        android, "GCM", [push("t1", data={"RawContent": raw}), push("t2", data={"RawContent": "["})]
    )
    (sent,) = [t.json for t in provider.taken if t.path != "/token"]
    assert sent == {"message": {"notification": {"title": "T"}, "data": {"a": "1"}, "token": "t1"}}
    assert receipts[1].status == PERMANENT_FAILURE and "not JSON" in receipts[1].message


def test_a_token_that_google_refuses_is_everybody_s_failure(
    stored_room: OpenRoom, provider: Provider
) -> None:
    provider.answer = lambda taken: (400, {"error": "invalid_grant"})
    room = stored_room(fcm_url=provider.url, outgoing_allow="127.0.0.0/8")
    set_up(room, "GCM", {"ServiceJson": service_account(provider)})
    (receipt,) = send_batch(room, "GCM", [push()])
    assert receipt.status == PERMANENT_FAILURE and "invalid_grant" in receipt.message
    provider.answer = lambda taken: (503, {})
    with pytest.raises(Unavailable):
        send_batch(room, "GCM", [push()])


def test_a_token_address_in_our_own_network_is_not_asked(
    stored_room: OpenRoom, provider: Provider
) -> None:
    room = stored_room(fcm_url=provider.url)
    set_up(room, "GCM", {"ServiceJson": service_account(provider)})
    (receipt,) = send_batch(room, "GCM", [push()])
    assert receipt.status == PERMANENT_FAILURE and "private address" in receipt.message
    assert provider.taken == []


def test_a_key_of_the_old_api_says_what_is_needed(stored_room: OpenRoom) -> None:
    room = stored_room()
    set_up(room, "GCM", {"ApiKey": "AAAA"})
    (receipt,) = send_batch(room, "GCM", [push()])
    assert receipt.status == PERMANENT_FAILURE and "ServiceJson" in receipt.message


def test_without_credentials_push_goes_into_the_inbox(stored_room: OpenRoom) -> None:
    room = stored_room()
    for channel in ("GCM", "APNS"):
        assert send_batch(room, channel, [push(channel=channel)])[0].status == SUCCESSFUL
    assert inbox.count(room.settings) == 1  # one id, one file


@pytest.fixture
def ios(apple: Apple, stored_room: OpenRoom, certificate_files: Path) -> Channels:
    """`apple` comes first, so that its clients are gone when it ends: it waits for them."""
    room = stored_room(
        apns_url=apple.url,
        apns_sandbox_url=apple.url,
        outgoing_ca_file=certificate_files / "certificate.pem",
    )
    secret = {"TokenKey": pem(EC_KEY), "TokenKeyId": "KEY1", "TeamId": "TEAM", "BundleId": "shop"}
    for channel in ("APNS", "APNS_VOIP"):
        set_up(room, channel, secret)
    return room


def test_apple_gets_http_2_with_a_signed_token(ios: Channels, apple: Apple) -> None:
    data = {"Badge": 3, "Sound": "ding", "MediaUrl": "https://x.y/a.png", "TimeToLive": 60}
    messages = [push("aa11", "APNS", data=data), push("bb22", "APNS", data={"SilentPush": True})]
    receipts = send_batch(ios, "APNS", messages)
    assert [one.status for one in receipts] == [SUCCESSFUL, SUCCESSFUL], receipts
    alert = next(t for t in apple.taken if t.path == "/3/device/aa11")
    assert alert.http_version == "2"
    headers = alert.headers
    kind, token = headers["authorization"].split()
    assert kind == "bearer" and jwt.get_unverified_header(token)["kid"] == "KEY1"
    claims = jwt.decode(
        token, EC_KEY.public_key(), algorithms=["ES256"], options={"verify_iat": False}
    )
    assert claims == {"iss": "TEAM", "iat": int(NOON)}
    named = ("apns-topic", "apns-push-type", "apns-priority", "apns-expiration")
    assert [headers[n] for n in named] == ["shop", "alert", "10", str(int(NOON) + 60)]
    assert headers["apns-id"].replace("-", "") == messages[0].id
    assert alert.json["aps"] == {
        "alert": {"title": "News", "body": "Hello"}, "badge": 3, "sound": "ding",
        "mutable-content": 1,
    }  # fmt: skip
    assert alert.json["data"]["media-url"] == "https://x.y/a.png"
    assert alert.json["data"]["pinpoint"]["campaign"]["campaign_id"] == "camp1"
    silent = next(t for t in apple.taken if t.path == "/3/device/bb22")
    assert silent.json["aps"] == {"content-available": 1}
    assert (silent.headers["apns-push-type"], silent.headers["apns-priority"]) == (
        "background", "5",
    )  # fmt: skip


def test_voip_has_its_own_topic(ios: Channels, apple: Apple) -> None:
    send_batch(ios, "APNS_VOIP", [push("aa11", "APNS_VOIP")])
    (taken,) = apple.taken
    assert (taken.headers["apns-topic"], taken.headers["apns-push-type"]) == ("shop.voip", "voip")


def test_what_apple_answers_is_each_message_s_own_end(ios: Channels, apple: Apple) -> None:
    heard: list[Any] = []
    ios.on_feedback = lambda conn, one: heard.append(one.origin.address)
    apple.replies = {
        "gone": (410, "Unregistered"), "bad": (400, "BadTopic"),
        "many": (429, "TooManyRequests"), "away": (503, "ServiceUnavailable"),
    }  # fmt: skip
    names = ["good", "gone", "bad", "many", "away"]
    receipts = send_batch(ios, "APNS", [push(name, "APNS") for name in names])
    assert [one.status for one in receipts] == [
        "SUCCESSFUL", "PERMANENT_FAILURE", "PERMANENT_FAILURE", "THROTTLED", "TEMPORARY_FAILURE",
    ]  # fmt: skip
    assert "Unregistered" in receipts[1].message
    assert heard == ["gone"]


def test_what_apple_would_not_take_is_not_sent(ios: Channels, apple: Apple) -> None:
    messages = [push("../x", "APNS"), push("aa11", "APNS", text="x" * 5000)]
    bad, long = send_batch(ios, "APNS", messages)
    assert "not a device token" in bad.message
    assert "Apple takes 4096" in long.message
    assert apple.taken == []


def test_apple_away_is_a_channel_away(stored_room: OpenRoom) -> None:
    room = stored_room(apns_url="https://127.0.0.1:1")
    set_up(
        room, "APNS", {"TokenKey": pem(EC_KEY), "TokenKeyId": "K", "TeamId": "T", "BundleId": "b"}
    )
    with pytest.raises(Unavailable, match="Apple"):
        send_batch(room, "APNS", [push("aa11", "APNS")])


def test_secrets_are_sealed_and_need_the_same_key(stored_room: OpenRoom) -> None:
    room = stored_room(channels_key="one")
    set_up(room, "GCM", {"ApiKey": "very secret"})
    assert credentials.read(room, "app1", "GCM") == {"ApiKey": "very secret"}
    assert room.db is not None
    with room.db.read() as conn:
        raw = conn.exec_driver_sql("SELECT sealed FROM channels_credentials").scalar_one()
    assert "secret" not in raw
    with pytest.raises(Unavailable, match="channels_key"):
        credentials.read(stored_room(channels_key="two"), "app1", "GCM")
