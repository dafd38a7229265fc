"""SMS by an HTTP provider that is described in the settings."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from tailorbird.channels import SUCCESSFUL, Message, send_batch
from tailorbird.errors import Invalid, Unavailable
from tests.unit.channels.conftest import OpenRoom, mail
from tests.unit.channels.providers import Provider


def sms(number: str = "+31612345678", **fields: Any) -> Message:
    given = {"channel_type": "SMS", "text": "Hi", "html": "", "subject": "", "from_address": "SHOP"}
    return mail(number, **{**given, **fields})


def test_each_message_is_one_request_with_its_values(
    open_room: OpenRoom, provider: Provider
) -> None:
    provider.answer = lambda taken: (201, {"sid": f"SM{taken.json['to']}"})
    room = open_room(
        sms_url=provider.url + "/messages",
        sms_headers='{"Authorization": "Bearer secret"}',
        sms_id="sid",
    )
    text = 'He said "hi"\n{id} and \\ é'
    first, second = send_batch(room, "SMS", [sms(text=text), sms("+1 (212) 555-0100")])
    assert (first.status, first.provider_id) == (SUCCESSFUL, "SM+31612345678")
    assert second.provider_id == "SM+12125550100"
    taken = next(t for t in provider.taken if t.json["to"] == "+31612345678")
    assert taken.json == {"to": "+31612345678", "from": "SHOP", "text": text}
    assert taken.headers["authorization"] == "Bearer secret"
    assert taken.headers["idempotency-key"] == "id-+31612345678"


def test_a_form_is_a_form(open_room: OpenRoom, provider: Provider) -> None:
    room = open_room(sms_url=provider.url, sms_body="To={to}&From={from}&Body={text}")
    send_batch(room, "SMS", [sms(text="a&b=c d")])
    (taken,) = provider.taken
    assert taken.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(taken.body.decode())["Body"] == ["a&b=c d"]


ANSWERS = [
    (200, {"messages": [{"status": "0"}]}, "SUCCESSFUL"),
    (200, {"messages": [{"status": "4"}]}, "PERMANENT_FAILURE"),
    (400, {"error": "no such number"}, "PERMANENT_FAILURE"),
    (401, {}, "PERMANENT_FAILURE"),
    (429, {}, "THROTTLED"),
    (500, {}, "TEMPORARY_FAILURE"),
    (302, {}, "PERMANENT_FAILURE"),
]


@pytest.mark.parametrize(("status", "body", "expected"), ANSWERS)
def test_what_an_answer_means(
    open_room: OpenRoom, provider: Provider, status: int, body: Any, expected: str
) -> None:
    provider.answer = lambda taken: (status, body)
    room = open_room(sms_url=provider.url, sms_ok="messages.0.status=0|queued")
    (receipt,) = send_batch(room, "SMS", [sms()])
    assert receipt.status == expected


def test_a_provider_that_is_away_gets_the_batch_again(open_room: OpenRoom) -> None:
    with pytest.raises(Unavailable, match="SMS provider is away"):
        send_batch(open_room(sms_url="http://127.0.0.1:1"), "SMS", [sms()])


def test_a_provider_that_does_not_answer_may_have_it_or_not(
    open_room: OpenRoom, provider: Provider
) -> None:
    provider.delay = 5
    room = open_room(sms_url=provider.url, outgoing_timeout_seconds=0.3)
    (receipt,) = send_batch(room, "SMS", [sms()])
    assert receipt.status == "UNKNOWN_FAILURE"
    assert "did not answer in 0.3 s" in receipt.message


REFUSED = [
    ({"number": "ana@example.com"}, "not a phone number"),
    ({"text": ""}, "no text"),
    ({"text": "x" * 1601}, "1601 characters; at most 1600"),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED)
def test_what_is_no_sms_is_not_sent(
    open_room: OpenRoom, provider: Provider, fields: dict[str, str], words: str
) -> None:
    (receipt,) = send_batch(open_room(sms_url=provider.url), "SMS", [sms(**fields)])
    assert (receipt.status, provider.taken) == ("PERMANENT_FAILURE", [])
    assert words in receipt.message


WRONG = [
    ({"sms_url": "mailto:x"}, "not a URL"),
    ({"sms_headers": "[]"}, "sms_headers"),
    ({"sms_body": '{"to": {to}}'}, "sms_body"),
    ({"sms_ok": "status"}, "sms_ok"),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_wrong_settings_are_said_at_start(
    open_room: OpenRoom, given: dict[str, str], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        open_room(**{"sms_url": "http://127.0.0.1:1", **given}).start()
