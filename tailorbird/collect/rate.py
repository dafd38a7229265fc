"""How many tracking requests a workspace may send: a second's worth at once, then at its rate.

Segment answers 429 with Retry-After and X-RateLimit-Reset above 1,000 requests a second.
"""

from __future__ import annotations

import math


class Rate:
    """A bucket of one second's requests that fills at `per_second`; 0 is without a limit."""

    def __init__(self, per_second: float, now: float) -> None:
        self.per_second = per_second
        self._left = per_second
        self._at = now

    def wait_seconds(self, now: float) -> int:
        """0 when the request may come in, else whole seconds until one may."""
        if self.per_second <= 0:
            return 0
        grown = max(0.0, now - self._at) * self.per_second
        self._left = min(max(self.per_second, 1.0), self._left + grown)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0
        return math.ceil((1 - self._left) / self.per_second)
