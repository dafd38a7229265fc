"""The files of an archive, in groups that each become one part."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import NotFound
from tailorbird.prepare.room import Prepare
from tailorbird.prepare.worker import Named
from tailorbird.store import ObjectInfo

GROUP_BYTES = 16 * 1024 * 1024  # of files as they lie there
GROUP_FILES = 128
SUFFIXES = (".gz", ".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Input:
    """One file: its address and its size in bytes."""

    uri: str
    size: int


def find(room: Prepare, input_uri: str) -> list[Input]:
    """Every file of an archive (an s3:// prefix or a local folder), in order of their names."""
    if input_uri.startswith("s3://"):
        found = [Input(info.uri, info.size) for info in _listed(room, input_uri)]
    else:
        place = Path(input_uri)
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        found = [Input(str(file), file.stat().st_size) for file in files if file.is_file()]
    found = [file for file in found if file.uri.endswith(SUFFIXES)]
    if not found:
        kinds = ", ".join(SUFFIXES)
        raise NotFound(f"There is no archive file ({kinds}) under {input_uri}")
    return found


def groups(found: Sequence[Input]) -> list[list[Input]]:
    """The files as they are read together."""
    made: list[list[Input]] = []
    size = 0
    for file in found:
        if not made or size + file.size > GROUP_BYTES or len(made[-1]) == GROUP_FILES:
            made.append([])
            size = 0
        made[-1].append(file)
        size += file.size
    return made


@contextlib.contextmanager
def local(room: Prepare, files: Sequence[Input]) -> Iterator[list[Named]]:
    """The files on this machine, for as long as the context lasts."""
    with contextlib.ExitStack() as stack:
        yield [
            (
                file.uri,
                stack.enter_context(room.objects.fetch(file.uri))
                if file.uri.startswith("s3://")
                else Path(file.uri),
            )
            for file in files
        ]


def archive_of(room: Prepare, source_id: str) -> str:
    """Where Segment's S3 layout keeps the calls of a source."""
    return f"s3://{room.settings.archive_bucket}/segment-logs/{source_id}/"


def _listed(room: Prepare, input_uri: str) -> list[ObjectInfo]:
    try:
        return list(room.objects.list(input_uri))
    except NotFound:  # no bucket yet: nothing was ever archived
        return []
