"""SMS: by one request a message to any provider that takes a form or JSON; else into the inbox.

What it sends, how its answer says yes, and where receipts and incoming texts hold what they say is
all in the settings sms_*.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote_plus

import orjson

from tailorbird.channels import origins
from tailorbird.channels.inbox import Inbox
from tailorbird.channels.messages import (
    PERMANENT_FAILURE,
    SUCCESSFUL,
    Message,
    Receipt,
    receipt,
)
from tailorbird.channels.outgoing import Answer, Call, check_url
from tailorbird.channels.replies import at, parsed, refuse_silence, status, words
from tailorbird.channels.room import Channels
from tailorbird.channels.webhook import outgoing
from tailorbird.errors import Invalid
from tailorbird.settings import Settings

CHANNEL = "SMS"
SLOTS = ("to", "from", "text", "id", "type", "callback")
SLOT = re.compile(r"\{(" + "|".join(SLOTS) + r")\}")
NUMBER = re.compile(r"\+?[0-9]{3,15}\Z")  # E.164; national numbers and short codes as they are
NUMBER_NOISE = re.compile(r"[\s().-]")
TEXT_MAX = 1_600  # characters; Pinpoint developer guide, "Quotas"
RECEIPTS_PATH = "/_/intake/sms/receipts"


@dataclass(frozen=True)
class Provider:
    """How to speak to the provider."""

    url: str
    headers: Mapping[str, str]
    body: str
    id_path: str
    ok_path: str
    ok_words: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> Provider | None:
        """The provider of the settings, None when there is none; Invalid when they are wrong."""
        if not settings.sms_url:
            return None
        check_url(settings.sms_url, encrypted=False)
        headers = parsed(settings.sms_headers.encode())
        if not isinstance(headers, dict) or not all(isinstance(v, str) for v in headers.values()):
            raise Invalid('sms_headers is a JSON object of texts: {"Authorization": "Bearer ..."}')
        path, _, good = settings.sms_ok.partition("=")
        if settings.sms_ok and not good:
            raise Invalid("sms_ok has the form path=word|word, for example messages.0.status=0")
        provider = cls(
            settings.sms_url, headers, settings.sms_body, settings.sms_id, path,
            frozenset(good.lower().split("|")) if good else frozenset(),
        )  # fmt: skip
        provider.call(dict.fromkeys(SLOTS, '"'))
        return provider

    @property
    def is_json(self) -> bool:
        return self.body.lstrip().startswith(("{", "["))

    def call(self, values: Mapping[str, str]) -> Call:
        """The request with the values in their slots, written so that no value breaks out."""
        code = _json_text if self.is_json else quote_plus
        body = SLOT.sub(lambda slot: code(values[slot[1]]), self.body)
        if self.is_json and parsed(body.encode()) is None:
            raise Invalid('sms_body is not JSON with the slots in quotes, as {"to": "{to}"}')
        kind = "application/json" if self.is_json else "application/x-www-form-urlencoded"
        return Call(
            SLOT.sub(lambda slot: quote_plus(values[slot[1]]), self.url),
            body.encode(),
            {"Content-Type": kind, "Idempotency-Key": values["id"], **self.headers},
        )

    def verdict(self, answer: Answer) -> tuple[str, str, str | None]:
        """(delivery status, words, the provider's id) that an answer stands for."""
        if not answer.good:
            return status(answer), words(answer), None
        document = parsed(answer.body)
        name = at(document, self.id_path)
        provider_id = str(name) if isinstance(name, str | int) else None
        found = str(at(document, self.ok_path)).lower() if self.ok_path else ""
        if self.ok_words and found not in self.ok_words:
            said = answer.body.decode("utf-8", "replace")[:200]
            return PERMANENT_FAILURE, f"{self.ok_path} is {found}: {said}", provider_id
        return SUCCESSFUL, f"{answer.words} {provider_id or ''}".strip(), provider_id


class Sms:
    """The SMS channel."""

    def __init__(self, room: Channels) -> None:
        self._room = room
        self._provider = Provider.of(room.settings)
        self._inbox = Inbox(room.settings.data, fsync=room.settings.inbox_fsync)

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """One receipt for each message, in order; Unavailable when the provider is away."""
        refusals = {message.id: _refusal(message) for message in messages}
        good = [message for message in messages if not refusals[message.id]]
        done = {one.message_id: one for one in self._deliver(good)}
        return [
            done.get(message.id) or receipt(message, PERMANENT_FAILURE, refusals[message.id] or "")
            for message in messages
        ]

    def close(self) -> None:
        """Its connections are the room's."""

    def _deliver(self, messages: Sequence[Message]) -> Sequence[Receipt]:
        if self._provider is None or self._room.settings.channels_inbox_only:
            return self._inbox.keep(messages, self._room.clock.now())
        calls = [self._provider.call(self._values(message)) for message in messages]
        answers = outgoing(self._room).send(calls, guarded=False)
        refuse_silence("The SMS provider", answers)
        receipts = []
        for message, answer in zip(messages, answers, strict=True):
            state, said, name = self._provider.verdict(answer)
            receipts.append(receipt(message, state, said, provider_id=name))
        return receipts

    def _values(self, message: Message) -> dict[str, str]:
        callback = ""
        if self._room.settings.public_url:
            token = origins.sign(self._room, origins.of(message))
            callback = f"{self._room.settings.public_url.rstrip('/')}{RECEIPTS_PATH}/{token}"
        return {
            "to": number(message.address),
            "from": message.from_address,
            "text": message.text,
            "id": message.id,
            "type": str(message.data.get("MessageType") or ""),
            "callback": callback,
        }


def number(address: str) -> str:
    """A phone number without what people put between its digits."""
    return NUMBER_NOISE.sub("", address)


def fields(body: bytes, content_type: str) -> dict[str, Any]:
    """What a provider posted: JSON or a form; Invalid when it is neither."""
    if "json" in content_type or body.lstrip()[:1] in (b"{", b"["):
        found = parsed(body)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if isinstance(found, dict):
            return found
        raise Invalid("The body is not a JSON object")
    try:
        return dict(parse_qsl(body.decode(), strict_parsing=bool(body)))
    except ValueError:
        raise Invalid("The body is neither JSON nor a form") from None


def _refusal(message: Message) -> str | None:
    if not NUMBER.match(number(message.address)):
        return f"{message.address[:40]!r} is not a phone number; it has the form +31612345678"
    if not message.text:
        return "There is no text to send"
    if len(message.text) > TEXT_MAX:
        return f"The text has {len(message.text)} characters; at most {TEXT_MAX} go in an SMS"
    return None


def _json_text(value: str) -> str:
    return orjson.dumps(value).decode()[1:-1]
