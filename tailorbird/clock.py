"""Time as an argument: epoch seconds in UTC, and the one text form every room writes."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Epoch seconds, UTC."""


class SystemClock:
    def now(self) -> float:
        return time.time()


class TestClock:
    """A clock that moves only when told to, for tests and repeatable demos."""

    __test__ = False

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def set(self, moment: float) -> None:
        with self._lock:
            self._now = moment

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds


def iso(moment: float) -> str:
    """Epoch seconds as `2026-11-21T18:02:51.123Z`, cut (never rounded) to milliseconds."""
    millis = int(moment * 1000 + 1e-4) if moment >= 0 else int(moment * 1000 - 1e-4)
    seconds, rest = divmod(millis, 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:03d}Z"


def parse_iso(text: str) -> float:
    """Epoch seconds of an ISO 8601 instant (UTC when it has no offset); else ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
