"""Channels of an application through the real boto3: what is set, what is shown, what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests import aws
from tests.conftest import Server

PLAIN = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
TOKEN_KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(*PLAIN, serialization.NoEncryption())
    .decode()
)
SERVICE_KEY = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(*PLAIN, serialization.NoEncryption())
    .decode()
)
SERVICE_JSON = json.dumps(
    {"project_id": "shop", "client_email": "push@shop.iam", "private_key": SERVICE_KEY}
)
APNS = {"TokenKey": TOKEN_KEY, "TokenKeyId": "KEY1", "TeamId": "TEAM", "BundleId": "com.shop"}
# snake name -> (payload's name, request, members of the answer)
CHANNELS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "email": ("Email", {"FromAddress": "shop@x.nl", "Identity": "x.nl"}, {"Platform": "EMAIL",
              "FromAddress": "shop@x.nl", "HasCredential": True}),
    "sms": ("SMS", {"SenderId": "SHOP", "ShortCode": "1234"}, {"Platform": "SMS",
            "SenderId": "SHOP", "ShortCode": "1234"}),
    "gcm": ("GCM", {"ServiceJson": SERVICE_JSON, "DefaultAuthenticationMethod": "TOKEN"},
            {"Platform": "GCM", "HasFcmServiceCredentials": True, "HasCredential": True,
             "DefaultAuthenticationMethod": "TOKEN"}),
    "apns": ("APNS", APNS, {"Platform": "APNS", "HasTokenKey": True, "HasCredential": True}),
    "apns_sandbox": ("APNSSandbox", APNS, {"Platform": "APNS_SANDBOX", "HasTokenKey": True}),
    "apns_voip": ("APNSVoip", APNS, {"Platform": "APNS_VOIP", "HasTokenKey": True}),
    "apns_voip_sandbox": ("APNSVoipSandbox", APNS, {"Platform": "APNS_VOIP_SANDBOX"}),
    "adm": ("ADM", {"ClientId": "id", "ClientSecret": "hush"}, {"Platform": "ADM",
            "HasCredential": True}),
    "baidu": ("Baidu", {"ApiKey": "hush", "SecretKey": "hush"}, {"Platform": "BAIDU",
              "Credential": "********"}),
    "voice": ("Voice", {"Enabled": True}, {"Platform": "VOICE", "HasCredential": True}),
}  # fmt: skip


@pytest.fixture(scope="module")
def pinpoint(server: Server) -> Any:
    return server.client("pinpoint")


@pytest.fixture
def app_id(pinpoint: Any) -> str:
    made = pinpoint.create_app(CreateApplicationRequest={"Name": "shop"})
    return str(made["ApplicationResponse"]["Id"])


def update(pinpoint: Any, name: str, app_id: str, **wanted: Any) -> dict[str, Any]:
    shape = CHANNELS[name][0]
    call = getattr(pinpoint, f"update_{name}_channel")
    answer = call(ApplicationId=app_id, **{f"{shape}ChannelRequest": wanted})
    return dict(answer[f"{shape}ChannelResponse"])


@pytest.mark.parametrize("name", list(CHANNELS))
def test_a_channel_is_set_read_and_deleted(pinpoint: Any, app_id: str, name: str) -> None:
    shape, wanted, shown = CHANNELS[name]
    read: Callable[..., Any] = getattr(pinpoint, f"get_{name}_channel")
    with pytest.raises(pinpoint.exceptions.NotFoundException, match="not set up"):
        read(ApplicationId=app_id)
    made = update(pinpoint, name, app_id, **wanted)
    assert made.items() >= shown.items()
    assert (made["Enabled"], made["Version"], made["ApplicationId"]) == (True, 1, app_id)
    switched = update(pinpoint, name, app_id, **{**wanted, "Enabled": False})
    assert (switched["Enabled"], switched["Version"]) == (False, 2)
    answer = read(ApplicationId=app_id)
    assert answer[f"{shape}ChannelResponse"] == switched
    for secret in ("hush", "PRIVATE KEY", "TEAM", "com.shop"):
        assert secret not in json.dumps(answer, default=str)
    listed = pinpoint.get_channels(ApplicationId=app_id)["ChannelsResponse"]["Channels"]
    assert list(listed) == [shown["Platform"]]
    gone = getattr(pinpoint, f"delete_{name}_channel")(ApplicationId=app_id)
    assert gone[f"{shape}ChannelResponse"] == switched
    with pytest.raises(pinpoint.exceptions.NotFoundException):
        read(ApplicationId=app_id)


def test_what_is_not_given_stays_as_it_is(pinpoint: Any, app_id: str) -> None:
    update(pinpoint, "sms", app_id, SenderId="SHOP")
    changed = update(pinpoint, "sms", app_id, ShortCode="1234")
    assert (changed["SenderId"], changed["ShortCode"]) == ("SHOP", "1234")
    update(pinpoint, "apns", app_id, **APNS)
    changed = update(pinpoint, "apns", app_id, Enabled=False)
    assert (changed["HasTokenKey"], changed["Enabled"]) == (True, False)


WRONG = [
    ("gcm", {"ServiceJson": "{}"}, "ServiceJson is not a service account"),
    ("gcm", {"ServiceJson": SERVICE_JSON.replace("BEGIN", "BEGONE")}, "private_key"),
    ("gcm", {"ApiKey": "k", "DefaultAuthenticationMethod": "MAGIC"}, "KEY or TOKEN"),
    ("apns", {**APNS, "TokenKey": "no key"}, "TokenKey is not"),
    ("apns", {"TokenKey": TOKEN_KEY}, "no TokenKeyId, TeamId, BundleId"),
    ("apns", {"BundleId": "com.shop"}, "or a Certificate is missing"),
]


@pytest.mark.parametrize(("name", "wanted", "words"), WRONG)
def test_credentials_that_cannot_work_are_refused(
    pinpoint: Any, app_id: str, name: str, wanted: dict[str, Any], words: str
) -> None:
    with pytest.raises(pinpoint.exceptions.BadRequestException, match=words):
        update(pinpoint, name, app_id, **wanted)
    with pytest.raises(pinpoint.exceptions.NotFoundException):
        getattr(pinpoint, f"get_{name}_channel")(ApplicationId=app_id)


def test_secrets_are_not_on_the_disk_in_plain(server: Server, pinpoint: Any, app_id: str) -> None:
    update(pinpoint, "adm", app_id, ClientId="someone", ClientSecret="a-very-secret-secret")
    aws.create_app(server)
    files = [file for file in server.data.rglob("*") if file.is_file()]
    assert files
    assert not [f for f in files if b"a-very-secret-secret" in f.read_bytes()]
