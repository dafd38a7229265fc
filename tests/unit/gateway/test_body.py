"""Bodies are whole, or refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailorbird.gateway import body
from tailorbird.gateway.errors import BodyTooLarge


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
