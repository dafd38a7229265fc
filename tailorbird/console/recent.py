"""Looks at the house are shared: what was costly to count is not counted again at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LEAST_SECONDS = 1.0
COST_FACTOR = 20  # at most a twentieth of one core goes into looking


@dataclass
class _Look:
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    until: float = 0.0


class Recent:
    """The last answer of each look, however many browsers ask."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._looks: dict[str, _Look] = {}

    def look(self, name: str, at: Callable[[], Any]) -> Any:
        """The answer of `at`, or its last one while that is fresh for what it cost."""
        look = self._looks.setdefault(name, _Look())
        with look.lock:
            began = self._now()
            if began >= look.until:
                look.value = at()
                ended = self._now()
                look.until = ended + max(LEAST_SECONDS, COST_FACTOR * (ended - began))
            return look.value
