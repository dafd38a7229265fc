"""A request's body, read to the service's limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tailorbird.gateway.errors import BodyTooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

DRAINED_BYTES = 64 * 1024 * 1024  # read and thrown away, so that the client hears the refusal


class Disconnected(Exception):
    """The client went away before its request was whole."""


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
