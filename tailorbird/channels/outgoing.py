"""Requests to other people's servers, from any thread, on one event loop of their own.

A customer's URL may not lead into this network: whatever its name resolves to is checked on the
very address that is connected to. No redirects, no proxies, bounded time and answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from tailorbird.errors import Invalid
from tailorbird.settings import Settings

ANSWER_MAX_BYTES = 64_000
PORT_MAX = 65_535
REMEDY = "the setting outgoing_allow can open its network"
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    most_bytes: int = ANSWER_MAX_BYTES  # of the answer
    seconds: float | None = None  # for the answer, instead of the setting


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 when nothing did.

    `reached`: they may have seen the request. `refused`: it may not be sent at all. `stranger`: who
    took the connection could not prove to be the host.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    words: str = ""
    reached: bool = True
    refused: bool = False
    stranger: bool = False

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Outgoing:
    """Sends requests. `guarded` ones may not go to private addresses."""

    def __init__(self, settings: Settings) -> None:
        self.tls = tls(settings)
        self._seconds = settings.outgoing_timeout_seconds
        self._most = settings.outgoing_connections
        self._allowed = networks(settings.outgoing_allow)
        self._loop = asyncio.new_event_loop()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="outgoing", daemon=True)
        self._thread.start()

    def send(self, calls: Sequence[Call], *, guarded: bool) -> list[Answer]:
        """One answer for each request, in order; several are under way at once."""
        return self.run(self._send(calls, guarded))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something else that waits for the network on the same loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _send(self, calls: Sequence[Call], guarded: bool) -> list[Answer]:
        session = self._session(guarded)
        turns = asyncio.Semaphore(self._most)

        async def one(call: Call) -> Answer:
            async with turns:
                return await self._one(session, call, guarded)

        return list(await asyncio.gather(*(one(call) for call in calls)))

    async def _one(self, session: aiohttp.ClientSession, call: Call, guarded: bool) -> Answer:
        seconds = call.seconds or self._seconds
        try:
            check_url(call.url, encrypted=False)
            limit = aiohttp.ClientTimeout(total=seconds)
            async with session.request(
                call.method, call.url, data=call.body or None, headers=call.headers,
                allow_redirects=False, timeout=limit,
            ) as response:  # fmt: skip
                body = await _read(response, call.most_bytes)
                return Answer(response.status, body, dict(response.headers), _words(response))
        except Invalid as refusal:
            return Answer(0, words=refusal.message, reached=False, refused=True)
        except aiohttp.InvalidURL as error:
            return Answer(0, words=str(error), reached=False, refused=True)
        except aiohttp.ClientConnectorError as error:
            words = f"{_host(call.url)}: {error.os_error}"
            return Answer(
                0,
                words=words,
                reached=False,
                refused=REMEDY in words,
                stranger=isinstance(error, aiohttp.ClientSSLError),
            )
        except aiohttp.ConnectionTimeoutError:
            return Answer(0, words=f"{_host(call.url)} did not take the connection", reached=False)
        except TimeoutError:
            return Answer(
                0,
                words=f"{_host(call.url)} did not answer in {seconds:g} s",
            )
        except (aiohttp.ClientError, OSError) as error:
            return Answer(0, words=f"{_host(call.url)}: {error or type(error).__name__}")

    def _session(self, guarded: bool) -> aiohttp.ClientSession:
        if guarded not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=self._most,
                ssl=self.tls,
                socket_factory=self._guarded_socket if guarded else None,
            )
            self._sessions[guarded] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._sessions[guarded]

    def _guarded_socket(self, info: Any) -> socket.socket:
        """The last step before connecting: here the address is known, however it was named."""
        family, kind, protocol, _, place = info
        refusal = refused(place[0], self._allowed)
        if refusal:
            raise PermissionError(refusal)
        return socket.socket(family, kind, protocol)

    async def _close(self) -> None:
        for session in self._sessions.values():
            await session.close()


def check_url(url: str, *, encrypted: bool) -> None:
    """Invalid unless it is an http or https URL with a host and no user."""
    parts = urlsplit(url)
    right = ("https",) if encrypted else ("http", "https")
    with contextlib.suppress(ValueError):
        placed = parts.hostname and (parts.port or 1) <= PORT_MAX
        if parts.scheme in right and placed and parts.username is None:
            return
    raise Invalid(f"{url[:200]!r} is not a URL of the form {right[-1]}://host/path")


def networks(text: str) -> list[Network]:
    """127.0.0.0/8,10.1.2.3 as networks."""
    try:
        parts = (part.strip() for part in text.split(","))
        return [ipaddress.ip_network(part, strict=False) for part in parts if part]
    except ValueError as error:
        raise Invalid(f"outgoing_allow: {error}; it has the form 127.0.0.0/8,10.1.0.0/16") from None


def refused(host: str, allowed: Sequence[Network]) -> str | None:
    """Why no request may go to this IP address; None when it may."""
    address = _plain(ipaddress.ip_address(host.partition("%")[0]))
    if any(address in network for network in allowed):
        return None
    if address.is_global and not address.is_multicast:
        return None
    return f"{address} is a private address; {REMEDY}"


def tls(settings: Settings) -> ssl.SSLContext:
    """How others prove who they are."""
    context = ssl.create_default_context()
    if settings.outgoing_ca_file != Path():
        try:
            context.load_verify_locations(settings.outgoing_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise Invalid(f"outgoing_ca_file {settings.outgoing_ca_file}: {error}") from None
    return context


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The first bytes of the answer; the rest is not waited for."""
    body = b""
    async for piece in response.content.iter_chunked(ANSWER_MAX_BYTES):
        body += piece
        if len(body) >= most:
            response.close()
            break
    return body[:most]


def _words(response: aiohttp.ClientResponse) -> str:
    return f"{response.status} {response.reason or ''}".strip()


def _host(url: str) -> str:
    return urlsplit(url).hostname or url[:80]
