"""Answers of many events: each a frame of application/vnd.amazon.eventstream.

A frame is its length, the length of its headers, a checksum of these two, the headers, the payload
and a checksum of it all. Source: Smithy 2.0 specification, "Amazon Event Stream".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from zlib import crc32

import orjson

from tailorbird.gateway.wire.model import Model, Shape

CONTENT_TYPE = b"application/vnd.amazon.eventstream"
STRING = 7  # the type of a header's value
PIECE_BYTES = 1024 * 1024  # a longer payload is cut into several events of the same kind


def encode(model: Model, shape: Shape, events: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The frames of these events, each `{kind: members}`, as they come."""
    for event in events:
        for kind, members in event.items():
            member = _payload_member(model, shape, kind)
            if member is None:
                body = orjson.dumps(dict(members))
                yield frame(kind, "application/json", body)
                continue
            whole = bytes(members[member])
            for at in range(0, len(whole) or 1, PIECE_BYTES):
                yield frame(kind, "application/octet-stream", whole[at : at + PIECE_BYTES])


def frame(kind: str, content_type: str, payload: bytes) -> bytes:
    """One event."""
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (":event-type", kind),
            (":content-type", content_type),
            (":message-type", "event"),
        )
    )
    prelude = struct.pack("!II", 12 + len(headers) + len(payload) + 4, len(headers))
    head = prelude + struct.pack("!I", crc32(prelude))
    return head + headers + payload + struct.pack("!I", crc32(head + headers + payload))


def _header(name: str, value: str) -> bytes:
    said, text = name.encode(), value.encode()
    return struct.pack("!B", len(said)) + said + struct.pack("!BH", STRING, len(text)) + text


def _payload_member(model: Model, shape: Shape, kind: str) -> str | None:
    """The member that is the payload itself, where the event has one."""
    members = model.shape(shape["members"][kind]).get("members", {})
    return next((name for name, ref in members.items() if ref.get("eventpayload")), None)
