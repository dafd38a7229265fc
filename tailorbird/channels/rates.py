"""Messages a second of a channel: each sender books its place in one stream and waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tailorbird.errors import Invalid


class Rate:
    """A stream of so many messages a second, shared by threads."""

    def __init__(self, per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._now = now
        self._free = 0.0
        self._lock = threading.Lock()

    @property
    def portion(self) -> int:
        """Messages that go together: at most a second's worth."""
        return max(1, int(self.per_second))

    def book(self, count: int) -> float:
        """Take the next places for so many messages; seconds until the first of them."""
        with self._lock:
            now = self._now()
            begins = max(now, self._free)
            self._free = begins + count / self.per_second
            return begins - now


def parse(text: str) -> dict[str, float]:
    """EMAIL=100,SMS=5 as numbers by channel."""
    found = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        channel, _, number = pair.partition("=")
        try:
            found[channel.strip().upper()] = float(number)
        except ValueError:
            raise Invalid(f"channel_rates: {pair!r} has the form EMAIL=100") from None
        if found[channel.strip().upper()] <= 0:
            raise Invalid(f"channel_rates: {pair!r} lets nothing through; leave the channel out")
    return found
