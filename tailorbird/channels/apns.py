"""Push to Apple: HTTP/2, with a token signed by the team's key or with a certificate.

Source: developer.apple.com, "Sending notification requests to APNs" and "Handling responses".
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import jwt
import orjson

from tailorbird.channels import credentials, push
from tailorbird.channels.inbox import Inbox
from tailorbird.channels.messages import PERMANENT_FAILURE, Message, Receipt, receipt
from tailorbird.channels.outgoing import Answer, tls
from tailorbird.channels.replies import at, parsed, refuse_silence, status, words
from tailorbird.channels.room import Channels
from tailorbird.channels.webhook import outgoing
from tailorbird.errors import Invalid

CHANNELS = ("APNS", "APNS_SANDBOX", "APNS_VOIP", "APNS_VOIP_SANDBOX")
TOKEN_SECONDS = 3_000.0  # Apple takes tokens up to an hour old, and no new one within 20 minutes
GONE = ("Unregistered", "BadDeviceToken", "DeviceTokenNotForTopic")
PAYLOAD_MAX = {"voip": 5_120}  # bytes
PAYLOAD_MAX_ELSE = 4_096
IMMEDIATE, THRIFTY = "10", "5"
BUNDLE, KEY, KEY_ID, TEAM = "BundleId", "TokenKey", "TokenKeyId", "TeamId"


@dataclass(frozen=True)
class Request:
    """One notification."""

    token: str
    body: bytes
    headers: dict[str, str]


class Apns:
    """One of the four Apple channels."""

    def __init__(self, room: Channels, channel_type: str) -> None:
        self._room = room
        self._outgoing = outgoing(room)  # made before this channel, so closed after it
        self._type = channel_type
        self._voip = "VOIP" in channel_type
        sandbox = channel_type.endswith("SANDBOX")
        url = room.settings.apns_sandbox_url if sandbox else room.settings.apns_url
        self._url = url.rstrip("/")
        self._inbox = Inbox(room.settings.data, fsync=room.settings.inbox_fsync)
        self._clients: dict[str, httpx2.AsyncClient] = {}
        self._tokens: dict[str, tuple[str, float]] = {}

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """One receipt for each message; Unavailable when Apple is away."""
        done: dict[str, Receipt] = {}
        for application in sorted({message.application_id for message in messages}):
            mine = [message for message in messages if message.application_id == application]
            done |= {one.message_id: one for one in self._send(application, mine)}
        return [done[message.id] for message in messages]

    def close(self) -> None:
        if self._clients:
            self._outgoing.run(self._close())

    def _send(self, application: str, messages: Sequence[Message]) -> Sequence[Receipt]:
        held = credentials.read(self._room, application, self._type)
        if self._room.settings.channels_inbox_only or not held:
            return self._inbox.keep(messages, self._room.clock.now())
        try:
            access = self._access(held)
            context = _context(self._room, held)
        except Invalid as refusal:
            return [receipt(message, PERMANENT_FAILURE, refusal.message) for message in messages]
        receipts: dict[str, Receipt] = {}
        requests: list[tuple[Message, Request]] = []
        for message in messages:
            try:
                requests.append((message, self._request(message, held, access)))
            except Invalid as refusal:
                receipts[message.id] = receipt(message, PERMANENT_FAILURE, refusal.message)
        mark = hashlib.sha256(orjson.dumps(held, option=orjson.OPT_SORT_KEYS)).hexdigest()
        ready = [request for _, request in requests]
        answers = self._outgoing.run(self._push(mark, context, ready))
        refuse_silence("Apple's push service", answers)
        for (message, _), answer in zip(requests, answers, strict=True):
            receipts[message.id] = _receipt(message, answer)
        return [receipts[message.id] for message in messages]

    def _access(self, held: dict[str, str]) -> dict[str, str]:
        """The headers that prove who we are; none with a certificate."""
        if not held.get(KEY):
            return {}
        mark, now = hashlib.sha256(held[KEY].encode()).hexdigest(), self._room.clock.now()
        token, made = self._tokens.get(mark, ("", 0.0))
        if not token or now - made > TOKEN_SECONDS or now < made:
            token, made = provider_token(held, now), now
            self._tokens[mark] = (token, made)
        return {"authorization": f"bearer {token}"}

    def _request(self, message: Message, held: dict[str, str], access: dict[str, str]) -> Request:
        if not message.address.isalnum():
            raise Invalid(f"{message.address[:40]!r} is not a device token")
        given = message.data
        body = orjson.dumps(push.raw(message) or push.apple(message))
        silent = bool(given.get("SilentPush"))
        kind = given.get("APNSPushType") or self._kind(silent)
        most = PAYLOAD_MAX.get(kind, PAYLOAD_MAX_ELSE)
        if len(body) > most:
            raise Invalid(f"The message has {len(body)} bytes; Apple takes {most}")
        headers = {
            **access,
            "apns-id": _uuid(message.id),
            "apns-push-type": kind,
            "apns-priority": str(given.get("Priority") or (THRIFTY if silent else IMMEDIATE)),
        }
        topic = held.get(BUNDLE)
        if topic:
            headers["apns-topic"] = f"{topic}.voip" if self._voip else topic
        if given.get("CollapseId"):
            headers["apns-collapse-id"] = str(given["CollapseId"])
        if given.get("TimeToLive") is not None:
            end = self._room.clock.now() + int(given["TimeToLive"])
            headers["apns-expiration"] = str(int(end) if given["TimeToLive"] else 0)
        return Request(message.address, body, headers)

    def _kind(self, silent: bool) -> str:
        if self._voip:
            return "voip"
        return "background" if silent else "alert"

    async def _push(
        self, mark: str, context: ssl.SSLContext, requests: Sequence[Request]
    ) -> list[Answer]:
        client = self._clients.get(mark)
        if client is None:
            client = self._clients[mark] = httpx2.AsyncClient(
                http2=True, http1=False, verify=context, trust_env=False, follow_redirects=False,
                timeout=self._room.settings.outgoing_timeout_seconds,
            )  # fmt: skip
        turns = asyncio.Semaphore(self._room.settings.outgoing_connections)

        async def one(request: Request) -> Answer:
            async with turns:
                return await self._one(client, request)

        return list(await asyncio.gather(*(one(request) for request in requests)))

    async def _one(self, client: httpx2.AsyncClient, request: Request) -> Answer:
        url = f"{self._url}/3/device/{request.token}"
        try:
            response = await client.post(url, content=request.body, headers=request.headers)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return Answer(0, words=str(error) or type(error).__name__, reached=False)
        except httpx2.HTTPError as error:
            return Answer(0, words=str(error) or type(error).__name__)
        said = f"{response.status_code} {response.reason_phrase}".strip()
        return Answer(response.status_code, response.content, dict(response.headers), said)

    async def _close(self) -> None:
        for client in self._clients.values():
            await client.aclose()


def provider_token(held: dict[str, str], now: float) -> str:
    """The token Apple wants; Invalid when the key is none."""
    missing = [name for name in (KEY_ID, TEAM, BUNDLE) if not held.get(name)]
    if missing:
        raise Invalid(f"The channel has a TokenKey, but no {', '.join(missing)}")
    claims: dict[str, Any] = {"iss": held[TEAM], "iat": int(now)}
    try:
        return jwt.encode(claims, held[KEY], algorithm="ES256", headers={"kid": held[KEY_ID]})
    except (ValueError, TypeError, jwt.PyJWTError):
        raise Invalid("TokenKey is not the text of a .p8 file (an EC key in PEM)") from None


def _context(room: Channels, held: dict[str, str]) -> ssl.SSLContext:
    """Our side of TLS, with the certificate where the channel has one."""
    context = tls(room.settings)
    if held.get(KEY) or not held.get("Certificate"):
        return context
    # OpenSSL reads files only; this one can be read by us alone and is gone at once.
    with tempfile.NamedTemporaryFile(mode="w", suffix=".pem") as file:
        file.write(f"{held['Certificate']}\n{held.get('PrivateKey') or ''}\n")
        file.flush()
        try:
            context.load_cert_chain(Path(file.name))
        except ssl.SSLError:
            raise Invalid("Certificate and PrivateKey are not a pair in PEM") from None
    return context


def _receipt(message: Message, answer: Answer) -> Receipt:
    if answer.good:
        return receipt(message, status(answer), f"{answer.words} {_uuid(message.id)}")
    reason = str(at(parsed(answer.body), "reason") or "")
    said = f"{answer.words} {reason}".strip() if reason else words(answer)
    return receipt(message, status(answer), said, gone=reason in GONE)


def _uuid(message_id: str) -> str:
    """A message id in the form of apns-id; the same each time."""
    digits = (
        message_id if len(message_id) == 32 else hashlib.sha256(message_id.encode()).hexdigest()
    )
    parts = (digits[0:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32])
    return "-".join(parts)
