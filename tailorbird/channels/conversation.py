"""One conversation with a mail server, after greeting and login: commands out, replies in.

Sources: RFC 5321; RFC 2920 (pipelining: sender, recipient and DATA in one write). The next mail is
not begun before this one is confirmed: a server that hangs up would take the confirmation with it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass

Mail = tuple[str, str, bytes]  # sender, recipient, content

MAIL_COMMANDS = 3  # MAIL, RCPT, DATA
GO_AHEAD = 354
SERVICE_CLOSING = 421
REPLY_MAX_BYTES = 64_000
LEADING_DOT = re.compile(rb"(?m)^\.")


class Lost(Exception):
    """The connection ended."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's answer for one mail; code 0 when it never answered.

    `begun`: the mail's content was under way, so the server may have it or not.
    """

    code: int
    words: str
    begun: bool = False

    @property
    def accepted(self) -> bool:
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        return 500 <= self.code < 600


class Conversation(asyncio.Protocol):
    """Takes over a connection that is ready for MAIL."""

    def __init__(self, transport: asyncio.Transport, *, pipelining: bool, timeout: float) -> None:
        self._transport = transport
        self._pipelining = pipelining
        self._timeout = timeout
        self._buffer = b""
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._lost: str | None = None
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        return self._lost is None and not self._transport.is_closing()

    async def envelope(self, mail: Mail) -> Reply:
        """Whether the server takes a mail; nothing of its content has been said yet."""
        if self._pipelining:
            self._write(b"".join(_commands(mail)))
            sender, recipient, data = [await self._reply() for _ in range(MAIL_COMMANDS)]
            refusal = next((r for r in (sender, recipient) if not r.accepted), None)
            if refusal is not None and data.code == GO_AHEAD:
                self._write(b".\r\n")  # an empty mail to nobody
                await self._reply()
        else:
            for command in _commands(mail):
                self._write(command)
                data = refusal = await self._reply()
                if not refusal.accepted:
                    break
        if data.code == GO_AHEAD and (refusal is None or refusal is data):
            return Reply(250, data.words)
        answer = refusal or data
        if answer.code != SERVICE_CLOSING:
            self._write(b"RSET\r\n")
            await self._reply()
        return answer

    async def content(self, content: bytes) -> Reply:
        """Say the content of the mail whose envelope was taken."""
        if b"\n." in content or content.startswith(b"."):
            content = LEADING_DOT.sub(b"..", content)
        self._write(content + b".\r\n")
        return await self._reply()

    async def quit(self) -> None:
        """Say goodbye and hang up."""
        if self.is_open:
            try:
                self._write(b"QUIT\r\n")
                await self._reply()
            except (Lost, TimeoutError):
                pass
        self.close()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        whole: list[bytes] = []
        for line in lines:
            whole.append(line)
            if line[3:4] != b"-":
                self._replies.append(_parsed(whole))
                whole = []
        if whole:
            self._buffer = b"\n".join([*whole, self._buffer])
        if len(self._buffer) > REPLY_MAX_BYTES:
            self._transport.abort()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = str(error or "") or "the connection was closed"
        self._wake()

    def eof_received(self) -> bool:
        return False

    def _write(self, data: bytes) -> None:
        if not self.is_open:
            raise Lost(self._lost or "the connection was closed")
        self._transport.write(data)

    async def _reply(self) -> Reply:
        if not self._replies:
            if self._lost is not None:
                raise Lost(self._lost)
            self._waiter = asyncio.get_running_loop().create_future()
            late = asyncio.get_running_loop().call_later(self._timeout, self._expire)
            try:
                await self._waiter
            finally:
                late.cancel()
                self._waiter = None
            if not self._replies:
                raise Lost(self._lost or "the connection was closed")
        return self._replies.popleft()

    def _expire(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            words = f"Timed out: no answer in {self._timeout:g} s"
            self._waiter.set_exception(TimeoutError(words))

    def _wake(self) -> None:
        done = self._replies or self._lost is not None
        if done and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _commands(mail: Mail) -> list[bytes]:
    sender, recipient, _ = mail
    named = f"MAIL FROM:<{sender}>\r\n", f"RCPT TO:<{recipient}>\r\n", "DATA\r\n"
    return [command.encode("ascii") for command in named]


def _parsed(lines: list[bytes]) -> Reply:
    digits = lines[-1][:3]
    words = "\n".join(line[4:].strip().decode("utf-8", "replace") for line in lines)
    return Reply(int(digits) if digits.isdigit() else 0, words)
