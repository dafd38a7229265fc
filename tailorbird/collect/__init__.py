"""The porch, Segment's words: sources, calls, the log, archive, destinations, delivery."""

from __future__ import annotations

from functools import partial
from typing import Any

from tailorbird.collect import archive, replays, sources, syncs
from tailorbird.collect.intake import Outcome, Request, take_calls
from tailorbird.collect.room import Collect
from tailorbird.store import Kind

__all__ = ["Collect", "Outcome", "Request", "ensure_default_source", "job_kinds", "take_calls"]


def job_kinds(room: Collect) -> dict[str, Kind]:
    """The background work of this room."""
    return {
        deed.KIND: Kind(partial(deed.run, room), partial(deed.failed, room))
        for deed in (archive, replays, syncs)
    }


def ensure_default_source(room: Collect, write_key: str) -> dict[str, Any]:
    """The source of the data folder's write key, made on the first start."""
    source = sources.ensure_default(room.db, room.clock, room.settings, write_key)
    room.keys.forget()
    return source
