"""Whose message it was, written so that it can leave the house and come back unforged.

An origin travels in mails, callback addresses and unsubscribe links.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import NamedTuple

import orjson

from tailorbird.channels.messages import Message
from tailorbird.channels.room import Channels
from tailorbird.errors import Denied

PURPOSE = "origin"
MAC_BYTES = 12
SHORT_MAC_LETTERS = 10  # of a return path: 64 characters is all a local part has


class Origin(NamedTuple):
    """Where a message came from, and to whom it went."""

    message_id: str
    channel_type: str
    address: str
    application_id: str
    campaign_id: str | None = None
    activity_id: str | None = None
    endpoint_id: str | None = None
    treatment_id: str | None = None


def of(message: Message) -> Origin:
    return Origin(
        message.id, message.channel_type, message.address, message.application_id,
        message.campaign_id, message.activity_id, message.endpoint_id, message.treatment_id,
    )  # fmt: skip


def sign(room: Channels, origin: Origin) -> str:
    """The origin as URL-safe text."""
    plain = orjson.dumps(list(origin))
    return f"{text_of(plain)}.{text_of(_mac(room, plain))}"


def read(room: Channels, token: str) -> Origin:
    """The origin of a signed text; Denied when it was not signed here."""
    plain_text, _, mac_text = token.partition(".")
    try:
        plain, mac = raw_of(plain_text), raw_of(mac_text)
        if hmac.compare_digest(mac, _mac(room, plain)):
            return Origin(*orjson.loads(plain))
    except ValueError:
        pass
    raise Denied("The link is damaged, or was not made by this house")


def short_mac(room: Channels, message_id: str, address: str) -> str:
    """A mark of our own on a message id and the address it went to."""
    said = f"{message_id} {address.lower()}".encode()
    mac = hmac.new(room.key("return path"), said, hashlib.sha256)
    return mac.hexdigest()[:SHORT_MAC_LETTERS]


def _mac(room: Channels, plain: bytes) -> bytes:
    return hmac.new(room.key(PURPOSE), plain, hashlib.sha256).digest()[:MAC_BYTES]


def text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
