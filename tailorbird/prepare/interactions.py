"""A source's archive becomes one interactions CSV, with a report of every call that did not."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tailorbird.errors import Invalid, NotFound
from tailorbird.prepare import engines
from tailorbird.prepare.mapping import Mapping, from_dict, to_dict
from tailorbird.prepare.room import Prepare
from tailorbird.store import Job, ObjectInfo

KIND = "prepare.interactions"
GROUP_BYTES = 64 * 1024 * 1024  # of compressed files, read by one query
GROUP_FILES = 128
SUFFIXES = (".gz", ".json", ".jsonl")

Told = Callable[[int, int], None]


def start(
    room: Prepare,
    source_id: str,
    output_uri: str,
    mapping: Mapping | None = None,
    *,
    input_uri: str | None = None,
) -> int:
    """Begin in the background; the id of the job whose result is the report."""
    payload = {
        "input": input_uri or archive_of(room, source_id),
        "output": output_uri,
        "mapping": to_dict(mapping or Mapping()),
    }
    _check_output(output_uri)
    with room.db.write() as conn:
        job_id = room.jobs.enqueue(conn, KIND, payload)
    assert job_id is not None  # it has no key that could be taken
    return job_id


def run_job(room: Prepare, job: Job) -> None:
    """The job: everything again from the start when it was cut off."""
    payload = job.payload
    report = run(
        room,
        payload["input"],
        payload["output"],
        from_dict(payload["mapping"]),
        told=lambda done, total: job.progress(done, total, "files"),
    )
    with room.db.write() as conn:
        job.finish(conn, report)


def run(
    room: Prepare,
    input_uri: str,
    output_uri: str,
    mapping: Mapping | None = None,
    *,
    engine: str = engines.DEFAULT,
    told: Told = lambda done, total: None,
) -> dict[str, Any]:
    """Write the interactions of an archive (a `s3://` prefix or a local folder) as one CSV.

    The report: rows written, calls rejected by reason, files and bytes read, seconds. The output
    appears whole or not at all.
    """
    mapping = mapping or Mapping()
    _check_output(output_uri)
    if engine not in engines.ENGINES:
        raise Invalid(f"There is no engine {engine!r}; one of {', '.join(engines.ENGINES)}")
    began = time.perf_counter()
    found = _inputs(room, input_uri)
    rows, rejected, done = 0, Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="tailorbird-prepare-") as folder:
        scratch = Path(folder)
        csv = scratch / "interactions.csv"
        csv.write_text(",".join(mapping.columns) + "\n")
        for group in _groups(found):
            with contextlib.ExitStack() as fetched:
                local = [fetched.enter_context(_local(room, name)) for name, _ in group]
                written, refused = engines.ENGINES[engine](local, mapping, csv, scratch)
            rows += written
            rejected += refused
            done += len(group)
            told(done, len(found))
        _deliver(room, csv, output_uri)
    return {
        "rows": rows,
        "rejected": dict(rejected),
        "files": len(found),
        "bytes": sum(size for _, size in found),
        "input": input_uri,
        "output": output_uri,
        "engine": engine,
        "seconds": round(time.perf_counter() - began, 3),
    }


def archive_of(room: Prepare, source_id: str) -> str:
    """Where Segment's S3 layout keeps the calls of a source."""
    return f"s3://{room.settings.archive_bucket}/segment-logs/{source_id}/"


def _inputs(room: Prepare, input_uri: str) -> list[tuple[str, int]]:
    """Address and size of every file, in order of their names."""
    if input_uri.startswith("s3://"):
        found = [(info.uri, info.size) for info in _listed(room, input_uri)]
    else:
        place = Path(input_uri)
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        found = [(str(file), file.stat().st_size) for file in files if file.is_file()]
    found = [(name, size) for name, size in found if name.endswith(SUFFIXES)]
    if not found:
        kinds = ", ".join(SUFFIXES)
        raise NotFound(f"There is no archive file ({kinds}) under {input_uri}")
    return found


def _listed(room: Prepare, input_uri: str) -> list[ObjectInfo]:
    try:
        return list(room.objects.list(input_uri))
    except NotFound:  # no bucket yet: nothing was ever archived
        return []


def _groups(found: Sequence[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    group: list[tuple[str, int]] = []
    size = 0
    for item in found:
        if group and (size + item[1] > GROUP_BYTES or len(group) == GROUP_FILES):
            yield group
            group, size = [], 0
        group.append(item)
        size += item[1]
    if group:
        yield group


def _local(room: Prepare, name: str) -> contextlib.AbstractContextManager[Path]:
    if name.startswith("s3://"):
        return room.objects.fetch(name)
    return contextlib.nullcontext(Path(name))


def _deliver(room: Prepare, csv: Path, output_uri: str) -> None:
    """Put the finished file where it was asked for, whole."""
    if output_uri.startswith("s3://"):
        room.objects.put(output_uri, csv)
        return
    target = Path(output_uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.copyfile(csv, unfinished)
    unfinished.replace(target)


def _check_output(output_uri: str) -> None:
    if not output_uri.endswith(".csv"):
        raise Invalid(f"output is {output_uri!r}; an address that ends in .csv is right")
