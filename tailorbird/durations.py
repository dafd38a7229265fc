"""How long things took, in counts per bucket of fixed bounds.

Memory does not grow with what is added, and a quantile is exact to its bucket (each about a quarter
wider than the one before).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

STEPS_PER_DECADE = 10
BOUNDS_MS = tuple(round(0.1 * 10 ** (n / STEPS_PER_DECADE), 4) for n in range(71))  # to 1,000 s
QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass
class Durations:
    """The durations of one kind of thing."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    total: int = 0
    total_ms: float = 0.0
    longest_ms: float = 0.0

    def took(self, duration_ms: float) -> None:
        """One more."""
        self.counts[bisect_left(BOUNDS_MS, duration_ms)] += 1
        self.total += 1
        self.total_ms += duration_ms
        self.longest_ms = max(self.longest_ms, duration_ms)

    def quantile(self, part: float) -> float:
        """An upper bound of what this part of them took, in ms; 0 without any."""
        wanted, seen = part * self.total, 0
        for bound, count in zip((*BOUNDS_MS, self.longest_ms), self.counts, strict=True):
            seen += count
            if count and seen >= wanted:
                return min(bound, self.longest_ms)
        return 0.0

    def spread(self) -> dict[str, float]:
        """Mean, quantiles and the longest, in ms."""
        return {
            "mean_ms": round(self.total_ms / self.total if self.total else 0.0, 3),
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
