"""Webhooks: signed, and never into a network of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from tailorbird.channels import PERMANENT_FAILURE, SUCCESSFUL, send_batch, webhook
from tailorbird.channels.outgoing import refused
from tests.unit.channels.conftest import NOON, OpenRoom, mail
from tests.unit.channels.providers import Provider

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification's own libraries: github.com/standard-webhooks.
    headers = webhook.signed(
        SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_arrives_signed(open_room: OpenRoom, provider: Provider) -> None:
    room = open_room(outgoing_allow="127.0.0.1", webhook_secret=SECRET)
    answer = webhook.post(room, "app1", provider.url + "/hook?a=1", b"{}", message_id="m1")
    assert answer.status == 200
    (taken,) = provider.taken
    assert (taken.path, taken.body, taken.headers["webhook-id"]) == ("/hook?a=1", b"{}", "m1")
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    mac = hmac.new(key, f"m1.{int(NOON)}.{{}}".encode(), hashlib.sha256).digest()
    assert taken.headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"


def test_every_application_has_a_secret_of_its_own(open_room: OpenRoom) -> None:
    room = open_room()
    one, two = room.webhook_secret("app1"), room.webhook_secret("app2")
    assert one.startswith("whsec_") and one != two
    assert one == room.webhook_secret("app1")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
     "http://0.0.0.0:{port}/", "http://2130706433:{port}/", "http://127.1:{port}/"],
)  # fmt: skip
def test_an_address_of_ours_is_refused_however_it_is_named(
    open_room: OpenRoom, provider: Provider, url: str
) -> None:
    answer = webhook.post(
        open_room(), "app1", url.format(port=provider.port), b"{}", message_id="m1"
    )
    assert answer.status == 0 and not answer.reached
    assert provider.taken == []


@pytest.mark.parametrize(
    ("host", "open_to_it"),
    [("8.8.8.8", True), ("2606:4700::1111", True), ("169.254.169.254", False), ("10.0.0.1", False),
     ("172.16.0.1", False), ("192.168.1.1", False), ("100.64.0.1", False), ("fd00:ec2::254", False),
     ("fe80::1%eth0", False), ("::1", False), ("::", False), ("::ffff:10.0.0.1", False),
     ("64:ff9b::a00:1", False), ("2002:a00:1::", False), ("224.0.0.1", False)],
)  # fmt: skip
def test_which_addresses_are_private(host: str, open_to_it: bool) -> None:
    assert (refused(host, []) is None) == open_to_it


def test_a_redirect_is_not_followed(open_room: OpenRoom, provider: Provider) -> None:
    provider.answer = lambda taken: (302, {})
    provider.headers = {"Location": "http://169.254.169.254/"}
    room = open_room(outgoing_allow="127.0.0.1")
    assert webhook.post(room, "app1", provider.url, b"{}", message_id="m1").status == 302
    assert len(provider.taken) == 1


@pytest.mark.parametrize(
    "url", ["ftp://x.y/", "http://", "https://user:pw@x.y/", "x", "http://x:99999"]
)
def test_what_is_no_url_is_refused(open_room: OpenRoom, url: str) -> None:
    message = mail("id1", channel_type="CUSTOM", data={"DeliveryUri": url})
    (receipt,) = send_batch(open_room(), "CUSTOM", [message])
    assert receipt.status == PERMANENT_FAILURE
    assert "is not a URL" in receipt.message


def test_a_custom_message_is_its_payload(open_room: OpenRoom, provider: Provider) -> None:
    room = open_room(outgoing_allow="127.0.0.0/8")
    data = {"DeliveryUri": provider.url, "Payload": {"Endpoints": {"a": {}}}}
    (receipt,) = send_batch(room, "CUSTOM", [mail("id1", channel_type="CUSTOM", data=data)])
    assert receipt.status == SUCCESSFUL
    assert provider.taken[0].json == {"Endpoints": {"a": {}}}


def test_an_endless_answer_is_cut(open_room: OpenRoom, provider: Provider) -> None:
    provider.answer = lambda taken: (200, b"x" * 1_000_000)
    room = open_room(outgoing_allow="127.0.0.1")
    assert len(webhook.post(room, "app1", provider.url, b"{}", message_id="m").body) == 64_000
