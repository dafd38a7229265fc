"""Recorded invocations of a function: event, result, log and duration, to look at and to replay.

Off unless switched on for the function, by the API or by its variable TAILORBIRD_RECORD. One file
per invocation that only its owner reads, the oldest removed when the function's share is full:
<data>/functions/records/<account>/<region>/<name>/<epoch milliseconds>-<request id>.json
"""

from __future__ import annotations

import base64
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tailorbird.errors import Invalid, NotFound
from tailorbird.functions.names import FunctionRef

VARIABLE = "TAILORBIRD_RECORD"
OFF = ("", "0", "false", "no", "off")
SWITCH = "on"
MAX_RECORDS = 1000
KNOWN_SECONDS = 1.0  # how long another process may take to see the switch
FILE_MODE = 0o600
FOLDER_MODE = 0o700
MIB = 1024 * 1024

log = logging.getLogger("tailorbird.functions")


@dataclass(frozen=True)
class Record:
    """One invocation that is over. Event and response are bytes as they were sent."""

    id: str
    request_id: str
    version: str
    moment_ms: int
    duration_ms: float
    function_error: str | None
    event: bytes
    response: bytes
    log: str

    def summary(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "at_ms": self.moment_ms,
            "version": self.version,
            "duration_ms": round(self.duration_ms, 3),
            "error": self.function_error,
            "event_bytes": len(self.event),
        }

    def whole(self) -> dict[str, Any]:
        shown = {"event": readable(self.event), "response": readable(self.response)}
        return self.summary() | {"request_id": self.request_id, "log": self.log} | shown


class Records:
    """The recordings below one data folder."""

    def __init__(self, root: Path, most_mb: float) -> None:
        self._root = root / "records"
        self._most_bytes = int(most_mb * MIB)
        self._lock = threading.Lock()
        self._known: dict[FunctionRef, tuple[float, bool]] = {}

    def wanted(self, ref: FunctionRef, variables: Any) -> bool:
        """True when the function's invocations are to be recorded."""
        if str(variables.get(VARIABLE, "")).lower() not in OFF:
            return True
        now = time.monotonic()
        until, on = self._known.get(ref, (0.0, False))
        if until < now:
            on = (self._folder(ref) / SWITCH).exists()
            self._known[ref] = (now + KNOWN_SECONDS, on)
        return on

    def switch(self, ref: FunctionRef, on: bool) -> None:
        """Record the function from now on, or no longer; what is recorded stays."""
        folder = self._folder(ref)
        if on:
            self._make(folder)
            (folder / SWITCH).touch(FILE_MODE)
        else:
            (folder / SWITCH).unlink(missing_ok=True)
        self._known.pop(ref, None)

    def keep(self, ref: FunctionRef, record: Record) -> None:
        """Write a record; a disk that is full costs the record, never the invocation."""
        try:
            with self._lock:
                folder = self._folder(ref)
                self._make(folder)
                data = orjson.dumps(_stored(record))
                self._make_room(folder, len(data))
                file = folder / f"{record.id}.json"
                staging = folder / f".{record.id}"
                fd = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
                with os.fdopen(fd, "wb") as out:
                    out.write(data)
                staging.rename(file)
        except OSError as error:
            log.warning("%s: invocation %s is not recorded: %s", ref.arn, record.id, error)

    def list(self, ref: FunctionRef) -> list[Record]:
        """The function's records, the newest first."""
        files = sorted(self._folder(ref).glob("*.json"), reverse=True)
        return [record for file in files if (record := _read(file)) is not None]

    def get(self, ref: FunctionRef, id: str) -> Record:
        if "/" in id or id.startswith("."):
            raise Invalid(f"{id!r} is no id of a record")
        found = _read(self._folder(ref) / f"{id}.json")
        if found is None:
            raise NotFound(f"{ref.arn} has no record {id}; its list names those there are")
        return found

    def forget(self, ref: FunctionRef) -> None:
        """Remove the function's records and its switch."""
        shutil.rmtree(self._folder(ref), ignore_errors=True)
        self._known.pop(ref, None)

    def _make_room(self, folder: Path, size: int) -> None:
        files = sorted(folder.glob("*.json"))
        sizes = [file.stat().st_size for file in files]
        total = sum(sizes) + size
        for file, its in zip(files, sizes, strict=True):
            if total <= self._most_bytes and len(files) < MAX_RECORDS:
                return
            file.unlink(missing_ok=True)
            total -= its
            files = files[1:]

    def _folder(self, ref: FunctionRef) -> Path:
        return self._root / ref.account / ref.region / ref.name

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for made in (self._root, *_between(self._root, folder)):
            made.chmod(FOLDER_MODE)


def readable(data: bytes) -> Any:
    """JSON as what it says, anything else as base64."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _between(root: Path, folder: Path) -> Iterator[Path]:
    at = root
    for part in folder.relative_to(root).parts:
        at = at / part
        yield at


def _stored(record: Record) -> dict[str, Any]:
    packed = {name: base64.b64encode(getattr(record, name)) for name in ("event", "response")}
    return record.__dict__ | {name: text.decode() for name, text in packed.items()}


def _read(file: Path) -> Record | None:
    try:
        found = orjson.loads(file.read_bytes())
        for name in ("event", "response"):
            found[name] = base64.b64decode(found[name])
        return Record(**found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s cannot be read as a record: %s", file, error)
        return None
