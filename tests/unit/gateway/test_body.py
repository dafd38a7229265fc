"""Bodies: whole or refused, and AWS's chunked encoding taken off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailorbird.errors import Invalid
from tailorbird.gateway import body
from tailorbird.gateway.errors import BodyTooLarge

SIGNED = (
    b"4;chunk-signature=aa\r\nWiki\r\n5;chunk-signature=bb\r\npedia\r\n0;chunk-signature=cc\r\n\r\n"
)
WITH_TRAILER = b"4\r\nWiki\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"


def read(chunks: list[bytes], limit: int) -> bytes:
    messages = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    messages[-1]["more_body"] = False
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    return asyncio.run(body.read(receive, limit))


@pytest.mark.parametrize("chunks", [[b""], [b"abc"], [b"a", b"", b"bc"]])
def test_a_body_within_the_limit_is_whole(chunks: list[bytes]) -> None:
    assert read(chunks, 3) == b"".join(chunks)


@pytest.mark.parametrize("chunks", [[b"abcd"], [b"ab", b"cd"], [b"abcd", b""]])
def test_a_body_over_the_limit_is_refused(chunks: list[bytes]) -> None:
    with pytest.raises(BodyTooLarge, match="smaller than 3 bytes"):
        read(chunks, 3)


def test_chunks_become_the_content() -> None:
    assert body.unchunk(SIGNED) == (b"Wikipedia", {})


def test_trailers_become_headers() -> None:
    assert body.unchunk(WITH_TRAILER) == (b"Wiki", {"x-amz-checksum-crc32": "AAAAAA=="})


@pytest.mark.parametrize("cut", range(0, SIGNED.index(b"\r\n0;"), 5))
def test_a_broken_off_chunk_is_refused(cut: int) -> None:
    with pytest.raises(Invalid) as caught:
        body.unchunk(SIGNED[:cut])
    assert caught.value.code == "IncompleteBody"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("content-md5", "kAFQmDzST7DWlj99KOF/cg=="),
        ("x-amz-checksum-crc32", "NSRBwg=="),
        ("x-amz-checksum-sha256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
    ],
)
def test_a_digest_is_compared(header: str, value: str) -> None:
    body.check_digests({header: value}, b"abc")
    with pytest.raises(Invalid, match=header):
        body.check_digests({header: value}, b"abd")
