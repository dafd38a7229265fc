"""The kitchen: Segment's logs become interactions, by one mapping on any engine."""

from __future__ import annotations

from functools import partial

from tailorbird.prepare.interactions import KIND, run, run_job, start
from tailorbird.prepare.mapping import SEED, Mapping, from_dict
from tailorbird.prepare.room import Prepare
from tailorbird.store import Kind

__all__ = ["KIND", "SEED", "Mapping", "Prepare", "from_dict", "job_kinds", "run", "start"]


def job_kinds(room: Prepare) -> dict[str, Kind]:
    """The background work of this room."""
    return {KIND: Kind(partial(run_job, room))}
