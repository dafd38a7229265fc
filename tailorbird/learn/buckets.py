"""How many requests still fit into this second, by key; each process counts for itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

KEYS_KEPT = 10_000


@dataclass
class Buckets:
    """A second's worth of requests for every key, refilled as time goes by."""

    levels: dict[str, tuple[float, float]] = field(default_factory=dict)  # key -> left, as of
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self, key: str, rate: float, now: float) -> bool:
        """Whether one more request fits."""
        with self.lock:
            left, then = self.levels.pop(key, (rate, now))
            left = min(rate, left + (now - then) * rate)
            fits = left >= 1.0
            self.levels[key] = (left - 1.0 if fits else left, now)
            if len(self.levels) > KEYS_KEPT:
                self.levels.pop(next(iter(self.levels)))
            return fits
