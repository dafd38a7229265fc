"""What the house adds to mails: signatures, the way out, and the way back for bounces."""

from __future__ import annotations

import base64
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tailorbird.channels import inbox, origins, send_batch
from tailorbird.errors import Denied, Invalid
from tests.unit.channels.conftest import OpenRoom, Sink, mail

KEYS: dict[str, Any] = {
    "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
BODIES = {
    "plain": {"html": "", "text": "Hello"},
    "spaces": {"html": "", "text": "two  spaces \t\nand\n\n\n"},
    "both parts": {"text": "a", "html": "<p>ü  b</p>" * 200},
    "a long subject": {"subject": "word " * 60 + "Größe"},
    "a dot": {"html": "", "text": ".\n..\n.x"},
}


def write(key: Any, folder: Path) -> Path:
    form = serialization.PrivateFormat.PKCS8
    file = folder / "dkim.pem"
    plain = serialization.NoEncryption()
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return file


def record(kind: str, key: Any) -> bytes:
    """The TXT record of the domain, as its owner publishes it."""
    public = key.public_key()
    if kind == "ed25519":
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        raw = public.public_bytes(serialization.Encoding.DER, form)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(raw).decode()}".encode()


@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("fields", BODIES.values(), ids=list(BODIES))
def test_a_verifier_takes_the_signature(
    open_room: OpenRoom, sink: Sink, tmp_path: Path, kind: str, fields: dict[str, str]
) -> None:
    file = write(KEYS[kind], tmp_path)
    room = open_room(
        smtp_url=sink.url, dkim_keys=f"example.org=s1:{file}", public_url="https://x.y"
    )
    send_batch(room, "EMAIL", [mail(from_address="Shop <news@mail.example.org>", **fields)])
    (taken,) = sink.taken
    raw = bytes(taken.original_content or b"")
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record(kind, KEYS[kind])

    assert dkim.verify(raw, dnsfunc=dns)
    assert asked == [b"s1._domainkey.example.org."]
    assert not dkim.verify(raw.replace(b"Date: Sat", b"Date: Sun"), dnsfunc=dns)
    assert not dkim.verify(b"From: other@example.org\r\n" + raw, dnsfunc=dns)


def test_mail_of_another_domain_is_not_signed(open_room: OpenRoom, tmp_path: Path) -> None:
    room = open_room(dkim_keys=f"other.org=s1:{write(KEYS['rsa'], tmp_path)}")
    send_batch(room, "EMAIL", [mail()])
    assert "DKIM-Signature" not in only(room)


WRONG = [
    ("example.org", "has the form"),
    ("example.org=s1:/nowhere/at/all.pem", "No such file"),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_wrong_keys_are_said_at_start(open_room: OpenRoom, text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        open_room(dkim_keys=text).start()


def test_a_key_of_another_kind_is_said_at_start(open_room: OpenRoom, tmp_path: Path) -> None:
    file = write(ec.generate_private_key(ec.SECP256R1()), tmp_path)
    with pytest.raises(Invalid, match="neither an RSA key"):
        open_room(dkim_keys=f"example.org=s1:{file}").start()


def only(room: Any) -> EmailMessage:
    (entry,) = inbox.list(room.settings)
    raw = (room.settings.data / "inbox" / entry["path"]).read_bytes()
    found = message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def test_a_campaign_s_mail_has_a_link_out_that_says_whose_it_is(open_room: OpenRoom) -> None:
    room = open_room(public_url="https://mail.example.org/")
    send_batch(room, "EMAIL", [mail(endpoint_id="ana", activity_id="act1")])
    found = only(room)
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = str(found["List-Unsubscribe"]).strip("<>")
    start, _, token = link.rpartition("/")
    assert start == "https://mail.example.org/_/unsubscribe"
    origin = origins.read(room, token)
    assert (origin.application_id, origin.endpoint_id, origin.address, origin.activity_id) == (
        "app1", "ana", "ana@example.com", "act1",
    )  # fmt: skip
    for forged in (token[:-2], token[2:], "x.y", "", "é.é"):
        with pytest.raises(Denied):
            origins.read(room, forged)


def test_direct_mail_and_mail_with_its_own_link_get_none(open_room: OpenRoom) -> None:
    for fields in ({"campaign_id": None}, {"headers": {"list-unsubscribe": "<https://own>"}}):
        room = open_room(public_url="https://mail.example.org")
        send_batch(room, "EMAIL", [mail(id="m1", **fields)])
        assert "List-Unsubscribe-Post" not in only(room)
        (next((room.settings.data / "inbox").rglob("*.eml"))).unlink()


def test_a_bounce_goes_to_an_address_that_names_the_message(
    open_room: OpenRoom, sink: Sink
) -> None:
    room = open_room(smtp_url=sink.url, bounce_address="bounces@example.org")
    direct = mail("ben@example.com", id="b" * 32, return_path="own@example.net")
    send_batch(room, "EMAIL", [mail(id="a" * 32), direct])
    senders = {envelope.rcpt_tos[0]: envelope.mail_from for envelope in sink.taken}
    mark = origins.short_mac(room, "a" * 32, "ana@example.com")
    assert senders == {
        "ana@example.com": f"bounces+{'a' * 32}-{mark}@example.org",
        "ben@example.com": "own@example.net",
    }
    content = bytes(sink.taken[0].original_content or b"")
    assert b"X-Tailorbird-Origin: " in content
