"""Receipts and incoming texts of an SMS provider; messages that are sent at most once; rates."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tailorbird.channels import Channels, intake, send_batch
from tailorbird.errors import Denied, Invalid, Unavailable
from tests.unit.channels.conftest import OpenRoom, mail
from tests.unit.channels.providers import Provider, Taken
from tests.unit.channels.test_sms import sms

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
BODY = '{"to": "{to}", "text": "{text}", "report": "{callback}"}'


@pytest.fixture
def room(stored_room: OpenRoom, provider: Provider) -> Channels:
    provider.answer = lambda taken: (200, {"sid": "SM1"})
    room = stored_room(sms_url=provider.url, sms_id="sid", sms_body=BODY, public_url="https://x.y")
    heard: list[Any] = []
    room.on_feedback = lambda conn, one: heard.append((one.kind, one.origin.address))
    room.heard = heard  # type: ignore[attr-defined]
    return room


def test_a_receipt_comes_to_the_address_the_message_named(
    room: Channels, provider: Provider
) -> None:
    send_batch(room, "SMS", [sms()])
    link = provider.taken[0].json["report"]
    assert link.startswith("https://x.y/_/intake/sms/receipts/")
    token = link.rpartition("/")[2]
    queued = intake.take_receipt(room, b'{"status": "queued"}', JSON, token)
    assert queued == {"taken": 0, "passing": 1}
    for taken in (1, 0):
        found = intake.take_receipt(room, b"status=Delivered", FORM, token)
        assert found == {"taken": taken}
    with pytest.raises(Denied):
        intake.take_receipt(room, b"status=delivered", FORM, token[:-3])
    assert room.heard == [("delivered", "+31612345678")]  # type: ignore[attr-defined]


def test_a_receipt_may_name_the_provider_s_own_id(room: Channels) -> None:
    send_batch(room, "SMS", [sms()])
    found = intake.take_receipt(room, b'{"sid": "SM1", "status": "undelivered"}', JSON)
    assert found == {"taken": 1}
    other = intake.take_receipt(room, b'{"sid": "SM2", "status": "failed"}', JSON)
    assert other == {"taken": 0, "unknown": 1}
    with pytest.raises(Invalid, match="no sid"):
        intake.take_receipt(room, b'{"status": "failed"}', JSON)


TEXTS = [("STOP", "stop"), (" stop ", "stop"), ("Start", "start"), ("stop it please", None)]


@pytest.mark.parametrize(("text", "kind"), TEXTS)
def test_a_text_opts_out_and_in(room: Channels, text: str, kind: str | None) -> None:
    body = json.dumps({"from": "+31 6 12345678", "text": text}).encode()
    found = intake.take_text(room, body, JSON)
    assert found.get("kind") == kind
    assert room.heard == ([(kind, "+31612345678")] if kind else [])  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [b"[1, 2]", b"{", b"\xff", b'"x"', b"{}"])
def test_what_is_no_text_is_refused(room: Channels, body: bytes) -> None:
    with pytest.raises(Invalid):
        intake.take_text(room, body, JSON)


def once(stored_room: OpenRoom, provider: Provider, **given: Any) -> Channels:
    return stored_room(sms_url=provider.url, channel_at_most_once="SMS", **given)


def test_at_most_once_remembers_how_a_message_ended(
    stored_room: OpenRoom, provider: Provider
) -> None:
    room = once(stored_room, provider)
    first, second = (send_batch(room, "SMS", [sms()])[0] for _ in range(2))
    assert (first.status, second.status) == ("SUCCESSFUL", "SUCCESSFUL")
    assert len(provider.taken) == 1


def test_at_most_once_does_not_repeat_what_may_have_arrived(
    stored_room: OpenRoom, provider: Provider
) -> None:
    provider.delay = 5
    room = once(stored_room, provider, outgoing_timeout_seconds=0.3)
    first, second = (send_batch(room, "SMS", [sms()])[0] for _ in range(2))
    assert (first.status, second.status) == ("UNKNOWN_FAILURE", "UNKNOWN_FAILURE")
    assert "sends at most once" in second.message
    assert len(provider.taken) == 1


def test_at_most_once_repeats_what_was_certainly_not_taken(
    stored_room: OpenRoom, provider: Provider
) -> None:
    room = once(stored_room, provider)
    provider.answer = lambda taken: (503, {})
    assert send_batch(room, "SMS", [sms()])[0].status == "TEMPORARY_FAILURE"
    provider.stop()
    with pytest.raises(Unavailable):
        send_batch(room, "SMS", [sms()])
    again = Provider(port=provider.port).start()
    assert send_batch(room, "SMS", [sms()])[0].status == "SUCCESSFUL"
    again.stop()


def test_a_channel_that_is_not_there_cannot_be_at_most_once(open_room: OpenRoom) -> None:
    with pytest.raises(Invalid, match="no channel PIGEON"):
        open_room(channel_at_most_once="PIGEON").start()


def test_a_rate_is_kept_across_batches(open_room: OpenRoom) -> None:
    room = open_room(channel_rates="EMAIL=20")
    start = time.monotonic()
    for n in range(3):
        batch = [mail(f"p{m}@example.com", id=f"m{n}-{m}") for m in range(10)]
        assert {one.status for one in send_batch(room, "EMAIL", batch)} == {"SUCCESSFUL"}
    assert 0.95 <= time.monotonic() - start < 3
    send_batch(room, "SMS", [sms()])


def test_a_channel_that_goes_away_in_the_middle_leaves_what_it_took(
    open_room: OpenRoom, provider: Provider
) -> None:
    def answer(taken: Taken) -> tuple[int, Any]:
        if len(provider.taken) == 2:
            provider._loop.call_soon(provider._loop.create_task, provider._runner.cleanup())  # type: ignore[union-attr]
        return 200, {}

    provider.answer = answer
    room = open_room(sms_url=provider.url, channel_rates="SMS=2", outgoing_timeout_seconds=2)
    receipts = send_batch(room, "SMS", [sms(id=f"m{n}") for n in range(6)])
    assert [one.status for one in receipts[:2]] == ["SUCCESSFUL", "SUCCESSFUL"]
    assert {one.status for one in receipts[2:]} == {"TEMPORARY_FAILURE"}


@pytest.mark.parametrize("text", ["EMAIL", "EMAIL=fast", "EMAIL=0", "EMAIL=-1"])
def test_a_wrong_rate_is_said_at_start(open_room: OpenRoom, text: str) -> None:
    with pytest.raises(Invalid, match="channel_rates"):
        open_room(channel_rates=text).start()
