"""A request's body, read to the service's limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.gateway.errors import BodyTooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

DRAINED_BYTES = 64 * 1024 * 1024  # read and thrown away, so that the client hears the refusal


class Disconnected(Exception):
    """The client went away before its request was whole."""


class Patient:
    """A request's `receive`: it waits `seconds` for each piece of the body, then it is Invalid."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._more = True
        self._gave_up = False

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._gave_up:
            return {"type": "http.disconnect"}
        if not self._more:  # nothing is owed: who asks wants to hear when the client goes
            return await self._receive()
        task = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(self._seconds, self._give_up, task)
        try:  # `asyncio.timeout` says the same for several times the price
            message = await self._receive()
        except asyncio.CancelledError:
            if not self._gave_up or task is None or task.uncancel():
                raise
            raise Invalid(
                f"nothing more of the body came for {self._seconds:g} seconds;"
                " as many bytes as Content-Length says would be right"
            ) from None
        finally:
            timer.cancel()
        self._more = message.get("more_body", False)
        return message

    def _give_up(self, task: asyncio.Task[Any] | None) -> None:
        self._gave_up = True
        if task is not None:
            task.cancel()


async def read(receive: Receive, limit: int) -> bytes:
    """The whole body; BodyTooLarge past `limit` bytes."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= limit:
        return body
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        elif size > limit + DRAINED_BYTES:
            break
        else:
            chunks.clear()
    if size > limit:
        raise BodyTooLarge(f"Request must be smaller than {limit} bytes")
    return b"".join(chunks)
