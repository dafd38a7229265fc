"""A reply on its way out: whole, from a file, or piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tailorbird.gateway.wire import Reply

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FILE_PIECE_BYTES = 1024 * 1024
PIECE_THREADS = 256  # replies that wait for their next piece
_WAITING = ThreadPoolExecutor(PIECE_THREADS, "reply-piece")


async def send_reply(send: Send, reply: Reply, request_id: str, *, head: bool) -> None:
    """Send it with the headers every reply has; `head` leaves the body out."""
    headers = [(name.lower(), value) for name, value in reply.headers]
    headers.append((b"x-amzn-requestid", request_id.encode()))
    headers.append((b"x-amz-request-id", request_id.encode()))
    body = reply.body
    if isinstance(body, bytes) and not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    pieces = _pieces(body) if isinstance(body, Path) else iter(body)
    try:
        if not head:
            await _send_pieces(send, pieces)
        await send({"type": "http.response.body", "body": b""})
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            await asyncio.to_thread(close)


async def _send_pieces(send: Send, pieces: Iterator[bytes]) -> None:
    loop = asyncio.get_running_loop()
    while (piece := await loop.run_in_executor(_WAITING, next, pieces, None)) is not None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(FILE_PIECE_BYTES):
            yield piece
