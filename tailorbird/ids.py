"""Names for things: random ids in the forms the services use, and ARNs."""

from __future__ import annotations

import secrets
import uuid


def hex32() -> str:
    """32 lower-case hex digits: Pinpoint's ids."""
    return secrets.token_hex(16)


def hex8() -> str:
    """8 lower-case hex digits: Personalize's solution versions and event trackers."""
    return secrets.token_hex(4)


def uuid4() -> str:
    return str(uuid.uuid4())


def arn(service: str, region: str, account: str, resource: str) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"
