"""Webhooks: a customer's URL gets a signed request, and nobody else's network does.

Signatures are those of Standard Webhooks (github.com/standard-webhooks, specification 1.0).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

import orjson

from tailorbird.channels.messages import PERMANENT_FAILURE, Message, Receipt, receipt
from tailorbird.channels.outgoing import Answer, Call, Outgoing, check_url
from tailorbird.channels.replies import judged
from tailorbird.channels.room import SECRET_PREFIX, Channels
from tailorbird.errors import Invalid

CHANNEL = "CUSTOM"
ACCOUNT_HEADER = "X-Amz-Pinpoint-AccountId"  # what a HEAD of the URL has to answer with


class Webhook:
    """The custom channel for single messages: `data` has DeliveryUri and, with it, Payload."""

    def __init__(self, room: Channels) -> None:
        self._room = room
        self._outgoing: Outgoing = outgoing(room)

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        receipts: dict[str, Receipt] = {}
        calls: list[tuple[Message, Call]] = []
        for message in messages:
            try:
                calls.append((message, self._call(message)))
            except Invalid as refusal:
                receipts[message.id] = receipt(message, PERMANENT_FAILURE, refusal.message)
        answers = self._outgoing.send([call for _, call in calls], guarded=True)
        pairs = [(message, answer) for (message, _), answer in zip(calls, answers, strict=True)]
        receipts |= {one.message_id: one for one in judged("The webhook", pairs)}
        return [receipts[message.id] for message in messages]

    def close(self) -> None:
        """Its connections are the room's."""

    def _call(self, message: Message) -> Call:
        url = str(message.data.get("DeliveryUri") or "")
        if not url:
            raise Invalid("There is no DeliveryUri to send to")
        check_url(url, encrypted=False)
        body = orjson.dumps(message.data.get("Payload"), option=orjson.OPT_NON_STR_KEYS)
        secret = self._room.webhook_secret(message.application_id)
        return Call(url, body, signed(secret, message.id, self._room.clock.now(), body))


def post(room: Channels, application_id: str, url: str, body: bytes, *, message_id: str) -> Answer:
    """Send one signed request to a customer's URL: for hooks by WebUrl and custom channels."""
    headers = signed(room.webhook_secret(application_id), message_id, room.clock.now(), body)
    return outgoing(room).send([Call(url, body, headers)], guarded=True)[0]


def head(room: Channels, url: str) -> Answer:
    """What the URL answers to a HEAD: custom channels prove their account with it."""
    return outgoing(room).send([Call(url, method="HEAD")], guarded=True)[0]


def signed(secret: str, message_id: str, now: float, body: bytes) -> Mapping[str, str]:
    """The headers of a JSON request with its signature."""
    moment = str(int(now))
    content = b".".join((message_id.encode(), moment.encode(), body))
    mac = hmac.new(_key(secret), content, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "tailorbird",
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def outgoing(room: Channels) -> Outgoing:
    """The room's way out."""
    way: Outgoing = room.once("outgoing", lambda: Outgoing(room.settings))
    return way


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise Invalid(f"webhook_secret has the form {SECRET_PREFIX}<base64>") from None
