"""Where the parts of a run wait until all are there: a run cut off goes on with the next part.

A part is whole when its counts stand beside it; both come into being by renaming.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tailorbird.errors import InUse
from tailorbird.prepare.counts import Counts, from_dict

VERSION = 1  # of what parts hold


class Staging:
    """A folder of one run's parts, known by what goes in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def part(self, number: int) -> Path:
        """The rows of a group: CSV without a header."""
        return self.folder / f"part-{number:05}.csv"

    def unfinished(self, number: int) -> Path:
        return self.folder / f".part-{number:05}.{os.getpid()}"

    def known(self, number: int) -> Counts | None:
        """The counts of a part that is whole."""
        try:
            return from_dict(json.loads(self._counts(number).read_text()))
        except FileNotFoundError:
            return None

    def keep(self, number: int, counts: Counts) -> None:
        """The part is whole from here on."""
        unfinished = self.unfinished(number)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(self.part(number))
        notes = unfinished.with_suffix(".json")
        notes.write_text(json.dumps(counts.to_dict()))
        notes.replace(self._counts(number))

    def _counts(self, number: int) -> Path:
        return self.folder / f"part-{number:05}.json"


@contextlib.contextmanager
def staging(place: Path, key: str) -> Iterator[Staging]:
    """The staging of a run, to itself; it goes away at the end, and stays when that fails."""
    folder = place / key
    with _locked(folder):
        for leftover in folder.glob(".part-*"):
            leftover.unlink()
        yield Staging(folder)
        ended = place / f".{key}.{os.getpid()}.ended"
        folder.replace(ended)  # at once: who comes now begins a folder of its own
        shutil.rmtree(ended)
    with contextlib.suppress(OSError):  # others may have theirs there
        place.rmdir()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder, made if need be, and nobody else's; InUse when it is another's."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("w")
        except FileNotFoundError:  # the one before is taking it away
            continue
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUse("The same output is being prepared by another process") from None
            if not _is_at(lock.fileno(), folder / "lock"):  # it went away with its folder
                continue
            yield
            return


def _is_at(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except FileNotFoundError:
        return False


def key_of(described: dict[str, Any]) -> str:
    text = json.dumps({**described, "version": VERSION}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
