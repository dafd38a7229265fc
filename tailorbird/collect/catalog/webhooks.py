"""Webhooks: every call is posted to a URL of the customer's, signed.

`sharedSecret` signs as Segment does: X-Signature is the hexadecimal HMAC-SHA1 of the body. The
Standard Webhooks headers are always there. Source: Segment, "Webhooks Destination".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from tailorbird.channels import webhook
from tailorbird.channels.outgoing import Answer, Call, check_url
from tailorbird.collect.catalog.definition import (
    DONE,
    Destination,
    DestinationType,
    Option,
    Parcel,
    Result,
    State,
)
from tailorbird.collect.room import Collect
from tailorbird.errors import Invalid

INVALID_SETTINGS = "INVALID_SETTINGS"
NETWORK = "network"
PASSING = (408, 425, 429)  # tried again, as is every 5xx

OPTIONS = (
    Option("url", "Webhook URL", str, required=True),
    Option("sharedSecret", "Shared Secret", str),
    Option("headers", "Headers", dict),
)


def check(settings: dict[str, Any]) -> None:
    check_url(settings["url"], encrypted=False)
    for name, value in (settings.get("headers") or {}).items():
        if not isinstance(value, str) or any(c in name + value for c in "\r\n\0"):
            raise Invalid(f"header {name!r} is {value!r}; a text of one line is right")


def deliver(room: Collect, to: Destination, parcels: Sequence[Parcel]) -> list[Result]:
    calls = [_request(room, to, parcel) for parcel in parcels]
    answers = webhook.outgoing(room.channels).send(calls, guarded=True)
    return [result(answer) for answer in answers]


def result(answer: Answer) -> Result:
    """What can pass is tried again; what the receiver refuses is not."""
    if answer.good:
        return DONE
    if answer.refused:
        return Result(State.FAILED, INVALID_SETTINGS, answer.words)
    if answer.status == 0:
        return Result(State.WAITING, NETWORK, answer.words)
    message = f"{answer.words}: {answer.body[:1000].decode(errors='replace')}"
    again = answer.status in PASSING or answer.status >= 500
    return Result(State.WAITING if again else State.FAILED, str(answer.status), message)


def _request(room: Collect, to: Destination, parcel: Parcel) -> Call:
    settings, body = to.settings, parcel.line
    secret = room.channels.webhook_secret(to.id)
    headers = dict(settings.get("headers") or {})
    headers |= webhook.signed(secret, parcel.call["messageId"], room.clock.now(), body)
    if settings.get("sharedSecret"):
        key = settings["sharedSecret"].encode()
        headers["X-Signature"] = hmac.new(key, body, hashlib.sha1).hexdigest()
    return Call(settings["url"], body, headers, seconds=room.settings.delivery_seconds)


WEBHOOKS = DestinationType(
    "tailorbird-webhooks", "Webhooks", "webhooks", OPTIONS, lambda settings, call: None, deliver,
    check=check,
)  # fmt: skip
