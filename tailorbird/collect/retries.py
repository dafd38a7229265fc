"""When a failed delivery is tried again: randomised exponential backoff, for four hours by default.

Source: Segment, destinations overview ("retries").
"""

from __future__ import annotations

FIRST_SECONDS = 1.0
MAX_SECONDS = 600.0
EXPIRED = "expired"


def wait_seconds(attempts: int, chance: float) -> float:
    """How long after the n-th failed attempt; `chance` is from 0 to 1."""
    full = min(MAX_SECONDS, FIRST_SECONDS * 2.0 ** min(attempts - 1, 20))
    return full * (0.5 + chance / 2)


def is_over(queued: float, now: float, retry_hours: float) -> bool:
    """Whether a call has been tried for long enough."""
    return now - queued >= retry_hours * 3600
