"""Bounces and complaints as mail servers write them, and what the house makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tailorbird.channels import Channels, intake, send_batch
from tailorbird.channels.reports import parse
from tailorbird.errors import Invalid
from tests.unit.channels.conftest import OpenRoom, mail

DSN = """\
From: MAILER-DAEMON@mx.example.net
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain; charset=us-ascii

This is the mail system. I'm sorry.

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Sat, 19 Sep 2020 11:00:00 +0000

Final-Recipient: rfc822; {address}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {diagnostic}

--B
{original}
--B--
"""
WHOLE = "Content-Type: message/rfc822\n\n{headers}\n\nHello"
HEADERS = "Content-Type: text/rfc822-headers\n\n{headers}\n"
ARF = """\
From: fbl@provider.example
To: fbl@example.org
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="B"

--B
Content-Type: text/plain

This is a complaint.

--B
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Provider/1.0
Version: 1
Original-Mail-From: <{sender}>
Original-Rcpt-To: <{address}>

--B
{original}
--B--
"""


def dsn(**given: str) -> bytes:
    usual = {
        "to": "bounces@example.org", "address": "ana@example.com", "action": "failed",
        "status": "5.1.1", "diagnostic": "550 5.1.1 no such user",
        "original": WHOLE.format(headers="Subject: x"),
    }  # fmt: skip
    return DSN.format(**{**usual, **given}).replace("\n", "\r\n").encode()


CASES = [
    ("failed", "5.1.1", "hardbounce"),
    ("failed", "5.0.0", "hardbounce"),
    ("failed", "5.2.2", "softbounce"),
    ("failed", "5.7.1", "softbounce"),
    ("failed", "4.4.7", "softbounce"),
    ("Failed", "5.1.2 (bad domain)", "hardbounce"),
    ("delivered", "2.0.0", "delivered"),
    ("relayed", "2.0.0", "delivered"),
]


@pytest.mark.parametrize(("action", "status", "kind"), CASES)
def test_what_a_status_means(action: str, status: str, kind: str) -> None:
    (report,) = parse(dsn(action=action, status=status))
    assert (report.kind, report.address) == (kind, "ana@example.com")
    assert "no such user" in report.words


def test_a_delay_is_nothing_final() -> None:
    assert parse(dsn(action="delayed", status="4.4.1")) == []


@pytest.mark.parametrize(
    "raw",
    [b"", b"Subject: hello\r\n\r\nhi", b"\xff\x00", b"Content-Type: multipart/report\r\n\r\nx",
     b"Content-Type: multipart/report; boundary=B\r\n\r\n--B\r\n\r\nx\r\n--B--\r\n"],
)  # fmt: skip
def test_other_mails_are_refused(raw: bytes) -> None:
    with pytest.raises(Invalid, match="neither a delivery status"):
        parse(raw)


def test_the_not_spam_button_is_no_complaint() -> None:
    arf = ARF.format(kind="not-spam", sender="x@y.z", address="a@b.c", original=WHOLE)
    assert parse(arf.encode()) == []


def sent(room: Channels) -> tuple[str, dict[str, str]]:
    """Send one mail; its headers as text, and the parts of its return path."""
    send_batch(room, "EMAIL", [mail(id="a" * 32, endpoint_id="ana")])
    raw = next((room.settings.data / "inbox").rglob("*.eml")).read_text()
    mark = intake.origins.short_mac(room, "a" * 32, "ana@example.com")
    return raw.partition("\n\n")[0], {"to": f"bounces+{'a' * 32}-{mark}@example.org"}


@pytest.mark.parametrize("form", [WHOLE, HEADERS], ids=["whole", "headers"])
def test_a_bounce_with_our_headers_is_known_and_taken_once(
    stored_room: OpenRoom, form: str
) -> None:
    room = stored_room(bounce_address="bounces@example.org")
    heard: list[Any] = []
    room.on_feedback = lambda conn, one: heard.append(one)
    headers, _ = sent(room)
    raw = dsn(original=form.format(headers=headers))
    assert intake.take_mail(room, raw) == {"taken": 1, "known": 0, "unverified": 0}
    assert intake.take_mail(room, raw) == {"taken": 0, "known": 1, "unverified": 0}
    (one,) = heard
    assert (one.kind, one.origin.endpoint_id, one.origin.application_id) == (
        "hardbounce", "ana", "app1",
    )  # fmt: skip


def test_a_return_path_is_enough(stored_room: OpenRoom) -> None:
    room = stored_room(bounce_address="bounces@example.org")
    _, path = sent(room)
    assert intake.take_mail(room, dsn(**path))["taken"] == 1
    other = dsn(**path, address="somebody@example.com")
    assert intake.take_mail(room, other) == {"taken": 0, "known": 0, "unverified": 1}


def test_a_forged_bounce_moves_nobody(stored_room: OpenRoom) -> None:
    room = stored_room(bounce_address="bounces@example.org")
    headers, _ = sent(room)
    start = headers.index("X-Tailorbird-Origin: ") + 25
    forged = headers[:start] + "AAAA" + headers[start + 4 :]
    for raw in (dsn(), dsn(original=WHOLE.format(headers=forged))):
        assert intake.take_mail(room, raw) == {"taken": 0, "known": 0, "unverified": 1}


def test_a_complaint_is_taken(stored_room: OpenRoom) -> None:
    room = stored_room(bounce_address="bounces@example.org")
    headers, path = sent(room)
    for original in (WHOLE.format(headers=headers), WHOLE.format(headers="Subject: x")):
        raw = ARF.format(
            kind="abuse", sender=path["to"], address="ana@example.com", original=original
        )
        found = intake.take_mail(room, raw.encode())
        assert found["taken"] + found["known"] == 1
    assert [one["kind"] for one in intake.feedback.of_application(room, "app1")] == ["complaint"]


def test_a_hostile_mail_costs_little(stored_room: OpenRoom, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="5000000 are the most"):
        intake.take_mail(stored_room(), b"x" * 5_000_001)
