"""How long a function's invocations took, in this process since it started.

Counts per bucket of fixed bounds: memory does not grow with invocations, and a quantile is exact to
its bucket (each about a quarter wider than the one before).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

STEPS_PER_DECADE = 10
BOUNDS_MS = tuple(round(0.1 * 10 ** (n / STEPS_PER_DECADE), 4) for n in range(71))  # to 1,000 s
MAX_FUNCTIONS = 1000
QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass
class Histogram:
    """The durations of one function."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    invocations: int = 0
    errors: int = 0
    cold_starts: int = 0
    total_ms: float = 0.0
    longest_ms: float = 0.0

    def add(self, duration_ms: float, *, cold: bool, failed: bool) -> None:
        self.counts[bisect_left(BOUNDS_MS, duration_ms)] += 1
        self.invocations += 1
        self.errors += failed
        self.cold_starts += cold
        self.total_ms += duration_ms
        self.longest_ms = max(self.longest_ms, duration_ms)

    def quantile(self, part: float) -> float:
        """An upper bound of what this part of the invocations took, in ms; 0 without any."""
        wanted, seen = part * self.invocations, 0
        for bound, count in zip((*BOUNDS_MS, self.longest_ms), self.counts, strict=True):
            seen += count
            if count and seen >= wanted:
                return min(bound, self.longest_ms)
        return 0.0

    def summary(self) -> dict[str, Any]:
        """What a person asks for first."""
        mean = self.total_ms / self.invocations if self.invocations else 0.0
        return {
            "invocations": self.invocations,
            "errors": self.errors,
            "cold_starts": self.cold_starts,
            "mean_ms": round(mean, 3),
            **{name: round(self.quantile(part), 3) for name, part in QUANTILES.items()},
            "longest_ms": round(self.longest_ms, 3),
        }

    def buckets(self) -> list[dict[str, Any]]:
        """The buckets that hold something: up to how many ms, and how many."""
        bounds = (*BOUNDS_MS, None)
        return [
            {"up_to_ms": bound, "count": count}
            for bound, count in zip(bounds, self.counts, strict=True)
            if count
        ]


class Histograms:
    """One histogram per function; the one that was longest without an invocation goes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_arn: dict[str, Histogram] = {}

    def add(self, arn: str, duration_ms: float, *, cold: bool, failed: bool) -> None:
        with self._lock:
            found = self._by_arn.pop(arn, None) or Histogram()
            found.add(duration_ms, cold=cold, failed=failed)
            self._by_arn[arn] = found
            if len(self._by_arn) > MAX_FUNCTIONS:
                del self._by_arn[next(iter(self._by_arn))]

    def of(self, arn: str) -> Histogram:
        """The function's histogram, an empty one when it was not invoked."""
        with self._lock:
            return self._by_arn.get(arn) or Histogram()
