"""Names for things: random ids in the forms the services use, and ARNs."""

from __future__ import annotations

import os
import secrets

FETCHED = 256  # ids that one call of the system has randomness for
_random: list[int] = []
os.register_at_fork(after_in_child=_random.clear)


def hex32() -> str:
    """32 lower-case hex digits: Pinpoint's ids."""
    return secrets.token_hex(16)


def hex8() -> str:
    """8 lower-case hex digits: Personalize's solution versions and event trackers."""
    return secrets.token_hex(4)


def uuid4() -> str:
    """A random UUID of version 4."""
    try:
        number = _random.pop()
    except IndexError:
        _random.extend(_fetched())
        number = _random.pop()
    number = number & ~(0xF000 << 64) & ~(0xC000 << 48) | 4 << 76 | 2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _fetched() -> list[int]:
    raw = os.urandom(16 * FETCHED)
    return [int.from_bytes(raw[at : at + 16], "big") for at in range(0, len(raw), 16)]


def arn(service: str, region: str, account: str, resource: str) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"
