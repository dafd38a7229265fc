"""The kitchen: Segment's logs and warehouses become datasets, by one mapping on any engine."""

from __future__ import annotations

from functools import partial

from tailorbird.prepare.files import SEED, from_dict, load, to_dict
from tailorbird.prepare.jobs import KIND, progress_of, run_job, start
from tailorbird.prepare.mapping import DATASETS, Mapping
from tailorbird.prepare.outputs import check_stored
from tailorbird.prepare.room import Prepare
from tailorbird.prepare.runs import Options, Progress, dataset_of, run
from tailorbird.store import Kind

__all__ = [
    "DATASETS",
    "KIND",
    "SEED",
    "Mapping",
    "Options",
    "Prepare",
    "Progress",
    "check_stored",
    "dataset_of",
    "from_dict",
    "job_kinds",
    "load",
    "progress_of",
    "run",
    "start",
    "to_dict",
]


def job_kinds(room: Prepare) -> dict[str, Kind]:
    """The background work of this room."""
    return {KIND: Kind(partial(run_job, room))}
