"""Time as an argument: epoch seconds in UTC, and the one text form every room writes."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

LOOK_EVERY_SECONDS = 0.05


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


class MovedClock:
    """The system's clock, moved by what a file says: every process of a house reads the same."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0.0
        self._stamp: tuple[int, int] | None = None
        self._looked = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        if time.monotonic() - self._looked > LOOK_EVERY_SECONDS:
            self._look()
        return time.time() + self._offset

    def move(self, seconds: float) -> None:
        """Put the clock forward, or back, for every process."""
        with self._lock:
            self._look()
            written = self._file.with_suffix(".new")
            written.write_text(repr(self._offset + seconds))
            written.replace(self._file)
            self._look()

    def _look(self) -> None:
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._offset, self._stamp = float(self._file.read_text()), stamp
        except FileNotFoundError:
            self._offset, self._stamp = 0.0, None
        self._looked = time.monotonic()


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
