"""A reply leaves in one write, a long one as it comes."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn

from tailorbird.one_write import HELD_BYTES, OneWriteProtocol

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


class Wire(asyncio.Transport):
    """A connection that remembers each write."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def writes(request: bytes, *pieces: bytes, waits: bool = False) -> Wire:
    """What an application that sends these pieces writes."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        length = b"%d" % sum(map(len, pieces))
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            if waits:
                await asyncio.sleep(0.01)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def play() -> Wire:
        config = uvicorn.Config(app, http=OneWriteProtocol, lifespan="off", ws="none")
        config.load()
        from uvicorn.server import ServerState

        wire, protocol = Wire(), OneWriteProtocol(config, ServerState(), {})
        protocol.connection_made(wire)
        protocol.data_received(request)
        await asyncio.sleep(0.1)
        protocol.connection_lost(None)
        return wire

    return asyncio.run(play())


def test_head_and_body_leave_together():
    (whole,) = writes(REQUEST, b"hello").writes
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b"\r\n\r\nhello")


def test_what_is_waited_for_leaves_as_it_comes():
    assert len(writes(REQUEST, b"one", b"two", waits=True).writes) == 3


def test_much_is_not_held():
    piece = b"x" * (HELD_BYTES // 2)
    found = writes(REQUEST, *[piece] * 5).writes
    assert len(found) == 3
    assert b"".join(found).endswith(piece * 5)


def test_a_reply_is_written_before_its_connection_is_closed():
    wire = writes(REQUEST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), b"bye")
    assert wire.closed
    assert b"".join(wire.writes).endswith(b"bye")
