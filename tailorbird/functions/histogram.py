"""How long a function's invocations took, in this process since it started."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from tailorbird.durations import Durations

MAX_FUNCTIONS = 1000


@dataclass
class Histogram(Durations):
    """The durations of one function."""

    errors: int = 0
    cold_starts: int = 0

    @property
    def invocations(self) -> int:
        return self.total

    def add(self, duration_ms: float, *, cold: bool, failed: bool) -> None:
        self.took(duration_ms)
        self.errors += failed
        self.cold_starts += cold

    def summary(self) -> dict[str, Any]:
        """What a person asks for first."""
        return {
            "invocations": self.total,
            "errors": self.errors,
            "cold_starts": self.cold_starts,
            **self.spread(),
        }


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
