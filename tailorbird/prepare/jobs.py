"""Preparing in the background: a job whose result is the report."""

from __future__ import annotations

from typing import Any

from tailorbird.errors import InUse
from tailorbird.prepare import outputs
from tailorbird.prepare.files import from_dict, to_dict
from tailorbird.prepare.inputs import archive_of
from tailorbird.prepare.mapping import INTERACTIONS, Mapping
from tailorbird.prepare.room import Prepare
from tailorbird.prepare.runs import USUAL, Options, Progress, dataset_of, run
from tailorbird.store import Job, Later

KIND = "prepare.interactions"
BUSY_SECONDS = 5.0


def start(
    room: Prepare,
    source_id: str,
    output_uri: str,
    mapping: Mapping | None = None,
    *,
    input_uri: str | None = None,
    dataset: str = INTERACTIONS,
) -> int:
    """Begin in the background; the id of the job whose result is the report."""
    mapping = mapping or USUAL
    dataset_of(mapping, dataset)
    outputs.check_stored(output_uri)
    payload = {
        "input": input_uri or archive_of(room, source_id),
        "output": output_uri,
        "mapping": to_dict(mapping),
        "dataset": dataset,
    }
    with room.db.write() as conn:
        job_id = room.jobs.enqueue(conn, KIND, payload)
    assert job_id is not None  # it has no key that could be taken
    return job_id


def run_job(room: Prepare, job: Job) -> None:
    """The job; cut off, it goes on with the parts that this machine has."""
    payload = job.payload

    def told(progress: Progress) -> None:
        job.progress(progress.bytes, progress.bytes_total, f"bytes ({progress.rows:,} rows)")

    try:
        report = run(
            room,
            payload["input"],
            payload["output"],
            from_dict(payload["mapping"]),
            dataset=payload["dataset"],
            options=Options(),
            told=told,
        )
    except InUse:  # the one that was given up still holds it
        raise Later(BUSY_SECONDS) from None
    with room.db.write() as conn:
        job.finish(conn, report)


def progress_of(room: Prepare, job: dict[str, Any]) -> dict[str, Any]:
    """A job's pace, for who asks how far it is: bytes a second and seconds left."""
    done, total, started = job["done"], job["total"], job["started"]
    if job["state"] != "running" or not done or not total or not started:
        return {"rate": None, "secondsLeft": None}
    rate = done / max(room.clock.now() - started, 0.001)
    return {"rate": round(rate), "secondsLeft": round((total - done) / rate, 1)}
