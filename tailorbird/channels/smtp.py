"""A mail server: a bounded pool of connections on its own event loop, used from any thread.

Source: RFC 5321 (4xx is for now, 5xx is for good; 421 closes the connection).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from aiosmtplib import errors as smtp_errors

from tailorbird.errors import Invalid, Unavailable

DEFAULT_PORTS = {"smtp": 25, "smtps": 465}
STARTTLS_MODES = {"auto": None, "always": True, "never": False}
SERVICE_CLOSING = 421
STRIKES = 2  # mails in a row without an answer after which a conversation is given up
T = TypeVar("T")

Mail = tuple[str, str, bytes]  # sender, recipient, content


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


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's answer for one mail; code 0 when it never answered."""

    code: int
    words: str

    @property
    def accepted(self) -> bool:
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        return 500 <= self.code < 600


class Pool:
    """At most `connections` conversations with one server, kept open between batches."""

    def __init__(self, server: Server, *, connections: int, timeout: float, hostname: str) -> None:
        self.server = server
        self._connections = connections
        self._timeout = timeout
        self._hostname = hostname
        self._tls = _tls(server)
        self._idle: list[aiosmtplib.SMTP] = []
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
            client: aiosmtplib.SMTP | None = None
            strikes = 0
            while waiting:
                index = waiting.popleft()
                try:
                    client = client or await self._connection()
                except (smtp_errors.SMTPException, OSError) as error:
                    waiting.appendleft(index)  # another lane may have a connection
                    return _words(error)
                try:
                    replies[index], client = await self._one(client, mails[index])
                    strikes = 0
                except (smtp_errors.SMTPException, OSError) as error:
                    client, strikes = None, strikes + 1
                    if strikes == STRIKES:
                        return _words(error)
            if client is not None:
                self._idle.append(client)
        return ""

    async def _one(
        self, client: aiosmtplib.SMTP, mail: Mail
    ) -> tuple[Reply, aiosmtplib.SMTP | None]:
        """The reply for this mail, and the connection if it is still good."""
        sender, recipient, content = mail
        try:
            reply = await _address(client, sender, recipient)
        except smtp_errors.SMTPServerDisconnected:
            # Servers close connections that were kept open; a fresh one tells if it is away.
            client = await self._connect()
            reply = await _address(client, sender, recipient)
        if reply.accepted:
            try:
                reply = await _ask(client.data(content))
            except (smtp_errors.SMTPException, OSError) as error:
                client.close()
                words = f"The server did not confirm it ({error}); it may have it or not"
                return Reply(0, words), None
        if reply.code == SERVICE_CLOSING:
            client.close()
            return reply, None
        return reply, client

    async def _connection(self) -> aiosmtplib.SMTP:
        while self._idle:
            client = self._idle.pop()
            if client.is_connected:
                return client
        return await self._connect()

    async def _connect(self) -> aiosmtplib.SMTP:
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
        return client

    async def _quit(self) -> None:
        while self._idle:
            with contextlib.suppress(smtp_errors.SMTPException, OSError):
                await self._idle.pop().quit()


async def _address(client: aiosmtplib.SMTP, sender: str, recipient: str) -> Reply:
    """The server's word on sender and recipient; nothing of the mail has been said yet."""
    try:
        reply = await _ask(client.mail(sender))
        if not reply.accepted:
            return reply
        reply = await _ask(client.rcpt(recipient))
        if not reply.accepted and reply.code != SERVICE_CLOSING:
            await _ask(client.rset())
    except (smtp_errors.SMTPException, OSError):
        client.close()
        raise
    return reply


async def _ask(command: Coroutine[Any, Any, aiosmtplib.SMTPResponse]) -> Reply:
    try:
        response = await command
    except smtp_errors.SMTPResponseException as refusal:
        return Reply(refusal.code, refusal.message)
    return Reply(response.code, response.message)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _tls(server: Server) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not server.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
