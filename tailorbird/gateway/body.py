"""A request's body: read to the service's limit, and unpacked from AWS's chunked encoding."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.gateway.errors import BodyTooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

DRAINED_BYTES = 64 * 1024 * 1024  # read and thrown away, so that the client hears the refusal
CHUNKED = "STREAMING-"


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


def unchunk(body: bytes) -> tuple[bytes, dict[str, str]]:
    """Content and trailers of an `aws-chunked` body (`size;chunk-signature=...` CRLF data CRLF).

    Source: S3 API reference, "Transferring Payload in Multiple Chunks".
    """
    parts: list[bytes] = []
    at = 0
    while True:
        end = body.find(b"\r\n", at)
        try:
            size = int(body[at:end].partition(b";")[0], 16)
        except ValueError:
            size = -1
        if end < 0 or size < 0 or end + 2 + size > len(body):
            raise Invalid(f"The aws-chunked body breaks off at byte {at}", code="IncompleteBody")
        at = end + 2
        if size == 0:
            return b"".join(parts), _trailers(body[at:])
        parts.append(body[at : at + size])
        at += size + 2


def check_digests(headers: dict[str, str], body: bytes) -> None:
    """Compare a body with the digests its headers or trailers carry (those Python can make)."""
    for name, make in DIGESTS.items():
        given = headers.get(name)
        if given is not None and not _same(given, make(body)):
            raise Invalid(
                f"The {name} you specified did not match the calculated checksum.",
                code="InvalidDigest" if name == "content-md5" else "BadDigest",
            )


def _trailers(rest: bytes) -> dict[str, str]:
    lines = (line.partition(b":") for line in rest.split(b"\r\n") if b":" in line)
    return {n.strip().lower().decode("latin-1"): v.strip().decode("latin-1") for n, _, v in lines}


def _same(given: str, digest: bytes) -> bool:
    try:
        return base64.b64decode(given, validate=True) == digest
    except (binascii.Error, ValueError):
        return False


DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "content-md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
}
