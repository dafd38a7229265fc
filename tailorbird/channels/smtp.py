"""A mail server: a bounded pool of connections on its own event loop, used from any thread.

Source: RFC 5321 (4xx is for now, 5xx is for good; 421 closes the connection).
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from aiosmtplib import errors as smtp_errors

from tailorbird.channels.conversation import SERVICE_CLOSING, Conversation, Lost, Mail, Reply
from tailorbird.errors import Invalid, Unavailable

DEFAULT_PORTS = {"smtp": 25, "smtps": 465}
STARTTLS_MODES = {"auto": None, "always": True, "never": False}
STRIKES = 2  # mails in a row without an answer after which a conversation is given up
AWAY = (smtp_errors.SMTPException, OSError, Lost)
T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """Where mail goes: smtp[s]://user:password@host:port?starttls=auto|always|never&verify=..."""

    host: str
    port: int
    tls: bool
    starttls: bool | None  # None: when the server offers it
    verify: bool
    user: str | None
    password: str | None = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Server:
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise Invalid("smtp_url has the form smtp://user:password@host:port, or smtps://...")
        mode = options.get("starttls", "auto")
        if mode not in STARTTLS_MODES:
            raise Invalid(f"smtp_url: starttls is {mode!r}; auto, always or never")
        try:
            port = parts.port or DEFAULT_PORTS[parts.scheme]
        except ValueError:
            raise Invalid("smtp_url: the port is not a number from 1 to 65535") from None
        return cls(
            host=parts.hostname,
            port=port,
            tls=parts.scheme == "smtps",
            starttls=False if parts.scheme == "smtps" else STARTTLS_MODES[mode],
            verify=options.get("verify", "true").lower() not in ("0", "false", "no"),
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    def __str__(self) -> str:
        return f"{'smtps' if self.tls else 'smtp'}://{self.host}:{self.port}"


class Pool:
    """At most `connections` conversations with one server, kept open between batches."""

    def __init__(self, server: Server, *, connections: int, timeout: float, hostname: str) -> None:
        self.server = server
        self._connections = connections
        self._timeout = timeout
        self._hostname = hostname
        self._tls = _tls(server)
        self._idle: list[Conversation] = []
        self._loop = asyncio.new_event_loop()
        self._turns = asyncio.Semaphore(connections)
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp", daemon=True)
        self._thread.start()

    def send(self, mails: Sequence[Mail]) -> list[Reply]:
        """One reply for each mail. Unavailable when no connection could be had for any of them."""
        return self._run(self._send(mails))

    def close(self) -> None:
        self._run(self._quit())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _send(self, mails: Sequence[Mail]) -> list[Reply]:
        replies: list[Reply | None] = [None] * len(mails)
        waiting = deque(range(len(mails)))
        lanes = min(self._connections, len(mails))
        ends = await asyncio.gather(*(self._lane(mails, waiting, replies) for _ in range(lanes)))
        away = next((words for words in ends if words), "the server did not answer")
        if mails and all(reply is None for reply in replies):
            raise Unavailable(f"The mail server {self.server} is away: {away}")
        return [reply or Reply(0, away) for reply in replies]

    async def _lane(
        self, mails: Sequence[Mail], waiting: deque[int], replies: list[Reply | None]
    ) -> str:
        """Send mails over one connection until none is left; the reason when it ends early."""
        async with self._turns:
            lane = _Lane(mails, waiting, replies)
            while lane.take():
                try:
                    lane.line = lane.line or await self._connection()
                except AWAY as error:
                    lane.put_back()  # another lane may have a connection
                    return _words(error)
                trouble = await lane.send()
                if trouble and lane.strikes == STRIKES:
                    return trouble
            if lane.line is not None:
                self._idle.append(lane.line)
        return ""

    async def _connection(self) -> Conversation:
        while self._idle:
            line = self._idle.pop()
            if line.is_open:
                return line
        return await self._connect()

    async def _connect(self) -> Conversation:
        client = aiosmtplib.SMTP(
            hostname=self.server.host,
            port=self.server.port,
            username=self.server.user,
            password=self.server.password,
            local_hostname=self._hostname,
            use_tls=self.server.tls,
            start_tls=self.server.starttls,
            tls_context=self._tls,
            timeout=self._timeout,
        )
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        transport = client.transport
        if transport is None:
            raise Lost("the connection was closed")
        return Conversation(
            cast(asyncio.Transport, transport),
            pipelining=client.supports_extension("pipelining"),
            timeout=self._timeout,
        )

    async def _quit(self) -> None:
        while self._idle:
            await self._idle.pop().quit()


class _Lane:
    """Mails one after the other over one connection."""

    def __init__(
        self, mails: Sequence[Mail], waiting: deque[int], replies: list[Reply | None]
    ) -> None:
        self._mails = mails
        self._waiting = waiting
        self._replies = replies
        self._lost_before: set[int] = set()
        self._index = 0
        self.line: Conversation | None = None
        self.strikes = 0

    def take(self) -> bool:
        """Choose the next mail, if there is one."""
        if self._waiting:
            self._index = self._waiting.popleft()
            return True
        return False

    def put_back(self) -> None:
        self._waiting.appendleft(self._index)

    async def send(self) -> str:
        """Say the chosen mail; what went wrong with the connection, if anything did."""
        assert self.line is not None
        mail = self._mails[self._index]
        try:
            reply = await self.line.envelope(mail)
        except (Lost, TimeoutError) as error:
            return self._hang_up(error, again=isinstance(error, Lost))
        if reply.accepted:
            try:
                reply = await self.line.content(mail[2])
            except (Lost, TimeoutError) as error:
                words = f"The server did not confirm it ({_words(error)}); it may have it or not"
                self._replies[self._index] = Reply(0, words, begun=True)
                return self._hang_up(error, again=False)
        self._replies[self._index] = reply
        self.strikes = 0
        if reply.code == SERVICE_CLOSING:
            self.line.close()
            self.line = None
        return ""

    def _hang_up(self, error: Exception, *, again: bool) -> str:
        """Leave the connection; a mail of which nothing was said gets a second one."""
        if self.line is not None:
            self.line.close()
            self.line = None
        if again and self._index not in self._lost_before:
            # Servers close connections that were kept open; a fresh one tells if it is away.
            self._lost_before.add(self._index)
            self.put_back()
            return ""
        self.strikes += 1
        return _words(error)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _tls(server: Server) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not server.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
