"""What every channel promises, for each way a mail can go."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from tailorbird.channels import (
    CHANNELS,
    PERMANENT_FAILURE,
    SUCCESSFUL,
    UNSUPPORTED,
    Channels,
    add_headers,
    inbox,
    send_batch,
)
from tailorbird.channels.mime import header_value
from tests.conftest import free_port
from tests.unit.channels.conftest import OpenRoom, Sink, mail


class Way:
    """One way to send mail, and how to read what arrived."""

    def __init__(self, room: Channels, sink: Sink | None) -> None:
        self.room = room
        self.sink = sink

    def arrived(self) -> dict[str, EmailMessage]:
        if self.sink is not None:
            raw = [bytes(envelope.original_content or b"") for envelope in self.sink.taken]
        else:
            listed = inbox.list(self.room.settings, limit=100)
            root = self.room.settings.data / "inbox"
            raw = [(root / entry["path"]).read_bytes() for entry in listed]
        mails = [message_from_bytes(one, policy=policy.default) for one in raw]
        return {str(one["To"]): one for one in mails if isinstance(one, EmailMessage)}


@pytest.fixture(params=["inbox", "plain", "pipelining"])
def way(request: pytest.FixtureRequest, open_room: OpenRoom) -> Iterator[Way]:
    if request.param == "inbox":
        yield Way(open_room(), None)
        return
    sink = Sink(free_port(), pipelining=request.param == "pipelining")
    sink.start()
    yield Way(open_room(smtp_url=sink.url), sink)
    sink.stop()


def test_every_message_has_a_receipt_in_order(way: Way) -> None:
    people = [f"p{n}@example.com" for n in range(120)]
    receipts = send_batch(way.room, "EMAIL", [mail(person) for person in people])
    assert [receipt.message_id for receipt in receipts] == [f"id-{person}" for person in people]
    assert {(receipt.status, receipt.status_code) for receipt in receipts} == {(SUCCESSFUL, 200)}
    assert sorted(way.arrived()) == sorted(people) or len(way.arrived()) == 100


def test_a_mail_arrives_as_it_was_written(way: Way) -> None:
    message = mail(
        subject="Größe & Stil — schon gesehen?",
        text="Zeile eins\n.\n..\nÄ" + "x" * 2000 + "\nFrom here  \r\nlast",
        html="<p>" + "<b>ü</b>" * 3000 + "</p>",
        from_address="Müller & Söhne <shop@example.org>",
        headers={"List-Unsubscribe": "<https://example.org/u/1>", "X-Long": "word " * 80 + "end"},
    )
    send_batch(way.room, "EMAIL", [message])
    arrived = way.arrived()["ana@example.com"]
    assert arrived["Subject"] == message.subject
    assert arrived["From"] == "Müller & Söhne <shop@example.org>"
    assert arrived["Date"] == "Sat, 19 Sep 2020 11:00:00 +0000"
    assert arrived["Message-ID"] == "<id-ana_example.com@example.org>"
    assert arrived["List-Unsubscribe"] == "<https://example.org/u/1>"
    assert arrived["X-Long"] == "word " * 80 + "end"
    text, html = arrived.get_body(("plain",)), arrived.get_body(("html",))
    assert text is not None and html is not None
    assert text.get_content().split("\r\n") == message.text.replace("\r\n", "\n").split("\n")
    assert html.get_content() == message.html
    assert not arrived.defects


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"html": ""}, "text/plain"),
        ({"text": ""}, "text/html"),
        ({}, "multipart/alternative"),
    ],
)
def test_only_the_parts_that_are_there_are_sent(
    way: Way, fields: dict[str, str], kind: str
) -> None:
    send_batch(way.room, "EMAIL", [mail(**fields)])
    assert way.arrived()["ana@example.com"].get_content_type() == kind


BAD = [
    ({"address": "nobody"}, "'nobody' is not an email address"),
    ({"address": "a@b@example.com"}, "may not stand before the @"),
    ({"address": "ana@example..com"}, "is not a domain"),
    ({"address": "ana@-example.com"}, "is not a domain"),
    ({"address": " ana@example.com"}, "may not stand before the @"),
    ({"address": "anä@example.com"}, "may not stand before the @"),
    ({"address": "a" * 65 + "@example.com"}, "longer than"),
    ({"address": "ana@example.com\r\nBcc: all@example.com"}, "may not stand before the @"),
    ({"address": "Ana <ana@example.com>"}, "may not stand before the @"),
    ({"from_address": ""}, "is not a from address"),
    ({"from_address": "shop"}, "not an email address"),
    ({"from_address": "Shop\nBcc: x@y.z <shop@example.org>"}, "line break"),
    ({"subject": "Hi\r\nBcc: all@example.com"}, "line break or control character"),
    ({"headers": {"X-A": "1\nBcc: all@example.com"}}, "line break or control character"),
    ({"headers": {"X-A: 1\nBcc": "all@example.com"}}, "is not a header name"),
    ({"headers": {"Bcc": "all@example.com"}}, "written by the channel"),
    ({"headers": {"content-type": "text/html"}}, "written by the channel"),
    ({"html": "", "text": ""}, "no text and no HTML"),
]


@pytest.mark.parametrize(("fields", "words"), BAD)
def test_a_message_that_is_no_mail_fails_alone(
    way: Way, fields: dict[str, object], words: str
) -> None:
    messages = [mail("one@example.com"), mail(**fields), mail("two@example.com")]
    first, bad, second = send_batch(way.room, "EMAIL", messages)
    assert (first.status, second.status) == (SUCCESSFUL, SUCCESSFUL)
    assert (bad.status, bad.status_code) == (PERMANENT_FAILURE, 400)
    assert words in bad.message
    assert set(way.arrived()) == {"one@example.com", "two@example.com"}


@pytest.mark.parametrize(
    "address",
    ["o'brien+tag@example.com", '"very odd"@example.com', "a@[192.168.0.1]", "a@localhost",
     "a@xn--mnchen-3ya.de"],
)  # fmt: skip
def test_unusual_addresses_that_are_right_are_sent_to(open_room: OpenRoom, address: str) -> None:
    (receipt,) = send_batch(open_room(), "EMAIL", [mail(address)])
    assert receipt.status == SUCCESSFUL


def test_an_international_domain_goes_in_its_ascii_form(way: Way) -> None:
    send_batch(way.room, "EMAIL", [mail("ana@münchen.de")])
    assert list(way.arrived()) == ["ana@xn--mnchen-3ya.de"]


def test_hostile_html_and_boundaries_stay_in_their_part(way: Way) -> None:
    body = "--=_id-ana_example.com--\r\nContent-Type: text/html\r\n\r\n<script>"
    send_batch(way.room, "EMAIL", [mail(text=body)])
    arrived = way.arrived()["ana@example.com"]
    assert [part.get_content_type() for part in arrived.iter_parts()] == ["text/plain", "text/html"]


def test_headers_can_be_added_to_every_mail(way: Way) -> None:
    add_headers(way.room, lambda message: {"List-Unsubscribe": f"<https://x.y/{message.id}>"})
    send_batch(way.room, "EMAIL", [mail()])
    header = way.arrived()["ana@example.com"]["List-Unsubscribe"]
    assert header == "<https://x.y/id-ana@example.com>"


def test_a_header_of_the_message_itself_wins(way: Way) -> None:
    add_headers(way.room, lambda message: {"LIST-Unsubscribe": "<https://x.y/ours>"})
    send_batch(way.room, "EMAIL", [mail(headers={"List-Unsubscribe": "<https://x.y/own>"})])
    header = way.arrived()["ana@example.com"].get_all("List-Unsubscribe")
    assert header == ["<https://x.y/own>"]


def test_a_long_link_in_a_header_stays_a_link(way: Way) -> None:
    link = f"<https://x.y/{'a' * 200}?a=?b&c=d>, <mailto:{'b' * 90}@x.y>"
    send_batch(way.room, "EMAIL", [mail(headers={"List-Unsubscribe": link})])
    assert way.arrived()["ana@example.com"]["List-Unsubscribe"] == link
    assert header_value("List-Unsubscribe", link).replace("\r\n", "") == link


@pytest.mark.parametrize(
    "subject", [" spaced  out ", "=?utf-8?q?not_ours?=", "x" * 3000, "é" * 500]
)
def test_any_subject_arrives_as_it_is(way: Way, subject: str) -> None:
    send_batch(way.room, "EMAIL", [mail(subject=subject)])
    assert way.arrived()["ana@example.com"]["Subject"] == subject.strip()


def test_an_empty_batch_is_nothing_to_do(way: Way) -> None:
    assert send_batch(way.room, "EMAIL", []) == []


@pytest.mark.parametrize("channel_type", ["ADM", "BAIDU", "VOICE", "IN_APP", "nonsense"])
def test_a_channel_that_is_not_built_says_so(open_room: OpenRoom, channel_type: str) -> None:
    (receipt,) = send_batch(open_room(), channel_type, [mail()])
    assert receipt.status == UNSUPPORTED
    assert channel_type in receipt.message and "is not built" in receipt.message


def test_the_room_can_be_started_stopped_and_used_again(open_room: OpenRoom, sink: Sink) -> None:
    room = open_room(smtp_url=sink.url)
    room.start()
    for _ in range(2):
        assert send_batch(room, "EMAIL", [mail()])[0].status == SUCCESSFUL
        room.stop()
    assert {"EMAIL", "SMS", "GCM", "APNS", "APNS_SANDBOX", "CUSTOM"} <= set(CHANNELS)
