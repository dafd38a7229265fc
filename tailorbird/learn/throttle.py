"""Requests a second, where a setting limits them; what is too much is refused, never queued.

Each process counts for itself. Source: Personalize developer guide, "Endpoints and quotas".
"""

from __future__ import annotations

import time

from tailorbird.errors import Throttled
from tailorbird.learn.room import Learn


def check(room: Learn, setting: str, key: str) -> None:
    """Throttled when this key has used up its requests of this second."""
    rate = getattr(room.settings, setting)
    if rate > 0 and not room.buckets.take(f"{setting} {key}", rate, time.monotonic()):
        raise Throttled(f"Rate exceeded: more than {rate:g} requests a second (setting {setting})")
