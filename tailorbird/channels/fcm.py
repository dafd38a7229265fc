"""Push to Android: Firebase Cloud Messaging, HTTP v1, as the application's service account.

Sources: firebase.google.com/docs/cloud-messaging (HTTP v1, error codes); RFC 7523 for the token.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import jwt
import orjson

from tailorbird.channels import credentials, push
from tailorbird.channels.inbox import Inbox
from tailorbird.channels.messages import (
    PERMANENT_FAILURE,
    UNKNOWN_FAILURE,
    Message,
    Receipt,
    receipt,
)
from tailorbird.channels.outgoing import Answer, Call, check_url
from tailorbird.channels.replies import at, parsed, refuse_silence, status, words
from tailorbird.channels.room import Channels
from tailorbird.channels.webhook import outgoing
from tailorbird.errors import Denied, Invalid, Unavailable

CHANNEL = "GCM"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_URI = "https://oauth2.googleapis.com/token"
TOKEN_SECONDS = 3_600
TOKEN_MARGIN_SECONDS = 300.0
UNAUTHORIZED = 401
PRIORITIES = {"high": "HIGH", "normal": "NORMAL"}
NAMES = ("project_id", "client_email", "private_key")


@dataclass(frozen=True)
class Account:
    """A service account, as its JSON file names it."""

    project: str
    email: str
    key: str
    token_uri: str
    mark: str  # tells two accounts apart

    @classmethod
    def parse(cls, text: str) -> Account:
        """Invalid says what is wrong with the file."""
        found = parsed(text.encode())
        if not isinstance(found, dict) or not all(isinstance(found.get(n), str) for n in NAMES):
            raise Invalid(f"ServiceJson is not a service account's file with {', '.join(NAMES)}")
        uri = str(found.get("token_uri") or TOKEN_URI)
        check_url(uri, encrypted=False)
        mark = hashlib.sha256(text.encode()).hexdigest()
        account = cls(found["project_id"], found["client_email"], found["private_key"], uri, mark)
        account.assertion(0.0)
        return account

    def assertion(self, now: float) -> str:
        """What the account says to get a token."""
        claims = {
            "iss": self.email, "scope": SCOPE, "aud": self.token_uri,
            "iat": int(now), "exp": int(now) + TOKEN_SECONDS,
        }  # fmt: skip
        try:
            return jwt.encode(claims, self.key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise Invalid("ServiceJson: private_key is not an RSA key in PEM") from None


class Fcm:
    """The GCM channel."""

    def __init__(self, room: Channels) -> None:
        self._room = room
        self._inbox = Inbox(room.settings.data, fsync=room.settings.inbox_fsync)
        self._tokens: dict[str, tuple[str, float]] = {}  # account -> token, end
        self._lock = threading.Lock()

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """One receipt for each message; Unavailable when Google is away."""
        done: dict[str, Receipt] = {}
        for application in sorted({message.application_id for message in messages}):
            mine = [message for message in messages if message.application_id == application]
            done |= {one.message_id: one for one in self._send(application, mine)}
        return [done[message.id] for message in messages]

    def close(self) -> None:
        """Its connections are the room's."""

    def _send(self, application: str, messages: Sequence[Message]) -> Sequence[Receipt]:
        held = credentials.read(self._room, application, CHANNEL)
        if self._room.settings.channels_inbox_only or not held:
            return self._inbox.keep(messages, self._room.clock.now())
        if not held.get("ServiceJson"):
            why = "Keys of the old API end nowhere since 2024; give the GCM channel a ServiceJson"
            return [receipt(message, PERMANENT_FAILURE, why) for message in messages]
        try:
            account = Account.parse(held["ServiceJson"])
            token = self._token(account)
        except (Invalid, Denied) as refusal:
            return [receipt(message, PERMANENT_FAILURE, refusal.message) for message in messages]
        receipts = self._push(account, token, messages)
        if any(one.status_code == UNAUTHORIZED for one in receipts):
            self._tokens.pop(account.mark, None)
        return receipts

    def _push(self, account: Account, token: str, messages: Sequence[Message]) -> list[Receipt]:
        base = self._room.settings.fcm_url.rstrip("/")
        url = f"{base}/v1/projects/{quote(account.project, safe='')}/messages:send"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        receipts: dict[str, Receipt] = {}
        calls: list[tuple[Message, Call]] = []
        for message in messages:
            try:
                calls.append((message, Call(url, orjson.dumps(body_of(message)), headers)))
            except Invalid as refusal:
                receipts[message.id] = receipt(message, PERMANENT_FAILURE, refusal.message)
        answers = outgoing(self._room).send([call for _, call in calls], guarded=False)
        refuse_silence("Firebase Cloud Messaging", answers)
        for (message, _), answer in zip(calls, answers, strict=True):
            receipts[message.id] = _receipt(message, answer)
        return [receipts[message.id] for message in messages]

    def _token(self, account: Account) -> str:
        """A token that is good for a while; Denied when Google gives none."""
        with self._lock:
            now = self._room.clock.now()
            token, end = self._tokens.get(account.mark, ("", 0.0))
            if now < end - TOKEN_MARGIN_SECONDS:
                return token
            form = urlencode({"grant_type": GRANT, "assertion": account.assertion(now)})
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            call = Call(account.token_uri, form.encode(), kind)
            answer = outgoing(self._room).send([call], guarded=True)[0]
            given = at(parsed(answer.body), "access_token") if answer.good else None
            if not isinstance(given, str):
                raise _no_token(answer)
            seconds = at(parsed(answer.body), "expires_in")
            life = float(seconds) if isinstance(seconds, int | float) else TOKEN_SECONDS
            self._tokens[account.mark] = (given, now + life)
            return given


def body_of(message: Message) -> dict[str, Any]:
    """The request's body: data messages, as Pinpoint's clients expect them."""
    raw = push.raw(message)
    if raw is not None:
        inner = raw.get("message") if isinstance(raw.get("message"), dict) else raw
        return {"message": {**_v1(inner or {}), "token": message.address}}
    given = message.data
    settings: dict[str, Any] = {}
    if given.get("CollapseKey"):
        settings["collapse_key"] = given["CollapseKey"]
    if given.get("Priority"):
        settings["priority"] = PRIORITIES.get(str(given["Priority"]).lower(), "NORMAL")
    if given.get("TimeToLive") is not None:
        settings["ttl"] = f"{int(given['TimeToLive'])}s"
    if given.get("RestrictedPackageName"):
        settings["restricted_package_name"] = given["RestrictedPackageName"]
    body = {"token": message.address, "data": push.android(message)}
    return {"message": {**body, **({"android": settings} if settings else {})}}


def _v1(raw: dict[str, Any]) -> dict[str, Any]:
    """RawContent in its old form (`data`, `notification`, `priority` beside it) as v1 has it."""
    body: dict[str, Any] = {
        k: raw[k] for k in ("data", "notification", "android", "fcm_options") if k in raw
    }
    if isinstance(body.get("data"), dict):
        body["data"] = {k: v if isinstance(v, str) else _text(v) for k, v in body["data"].items()}
    return body


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _receipt(message: Message, answer: Answer) -> Receipt:
    if answer.good:
        name = at(parsed(answer.body), "name")
        return receipt(message, status(answer), str(name or answer.words))
    if answer.status == UNAUTHORIZED:
        said = f"Google did not take the token: {words(answer)}"
        return Receipt(PERMANENT_FAILURE, UNAUTHORIZED, said, message.id)
    document = parsed(answer.body)
    details = at(document, "error.details") or []
    codes = [at(detail, "errorCode") for detail in details if isinstance(detail, dict)]
    code = next((str(c) for c in codes if c), str(at(document, "error.status") or ""))
    said = f"{answer.words} {code}: {at(document, 'error.message') or ''}".strip(" :")
    state = status(answer)
    said = words(answer) if state == UNKNOWN_FAILURE else said
    return receipt(message, state, said, gone=code == "UNREGISTERED")


def _no_token(answer: Answer) -> Denied | Unavailable:
    if (answer.status == 0 and not answer.refused) or answer.status >= 500:
        return Unavailable(f"Google gives no token for the moment: {words(answer)}")
    return Denied(f"Google gives no token to the service account: {words(answer)}")
