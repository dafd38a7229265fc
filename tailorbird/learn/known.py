"""Rows kept in mind: what a request looks up of campaigns, filters and datasets.

They change seldom and are asked for with every request. Whatever this process commits through the
room's door is known at once; what another process does, within KNOWN_SECONDS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from tailorbird.store import Database

KNOWN_SECONDS = 1.0  # how long another process may take to see a change
KEPT = 4_096  # entries, before all are forgotten

Value = TypeVar("Value")


class Known:
    """Values by key, each as long as nothing can have changed it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: dict[Hashable, tuple[int, float, Any]] = {}

    def get(self, key: Hashable, find: Callable[[], Value]) -> Value:
        """The value kept, or what `find` finds now; None and nothing are not kept."""
        held = self._kept.get(key)
        now = time.monotonic()
        if held is not None and held[0] == self._db.changes and now - held[1] < KNOWN_SECONDS:
            value: Value = held[2]
            return value
        changes = self._db.changes  # before the look: a change meanwhile makes it old
        value = find()
        if value:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[key] = (changes, now, value)
        return value
