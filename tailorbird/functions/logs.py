"""What functions print: one file per log stream, appended by its execution environment.

A log group is `/aws/lambda/<name>` or one of the customer's choice, a stream belongs to one
environment, an event is one line `<epoch milliseconds> <text>`. Files:
<data>/functions/logs/<account>/<region>/<name>/<stream>.log, of a chosen group `/a/b` in `%+a+b`
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tailorbird import ids

TAIL_BYTES = 4096
READ_BACK_BYTES = 262_144
NEAR_BYTES = 65_536
GROUP_PREFIX = "/aws/lambda/"
CHOSEN = "%"  # no function's name begins so
NAME_CHARACTERS = 255  # of a folder
GROUP_CHARACTERS = NAME_CHARACTERS - len(CHOSEN)  # of a group that was chosen
_FUNCTION = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)-")


@dataclass(frozen=True)
class Event:
    timestamp_ms: int
    message: str
    place: int = 0  # in its stream: the byte its line begins with


@dataclass(frozen=True)
class Stream:
    name: str
    path: Path


def own_group(name: str) -> str:
    """The log group of a function that was given no other."""
    return GROUP_PREFIX + name


def folder(root: Path, account: str, region: str, group: str) -> Path:
    """Where the streams of a group lie."""
    name = group.removeprefix(GROUP_PREFIX)
    if name == group or not _FUNCTION.fullmatch(name):
        name = CHOSEN + group.replace("/", "+")
    return root / "logs" / account / region / name


def groups(root: Path, account: str, region: str) -> list[str]:
    """The log groups that were written to, by name."""
    base = root / "logs" / account / region
    names = [entry.name for entry in base.iterdir()] if base.is_dir() else []
    return sorted(
        name[1:].replace("+", "/") if name.startswith(CHOSEN) else own_group(name) for name in names
    )


def new_stream(folder: Path, function: str, version: str, day: str) -> Stream:
    """A fresh stream named as Lambda names them: `2026/11/21/[$LATEST]<hex>`, in a group that
    several functions may write to `2026/11/21/<function>[$LATEST]<hex>`."""
    writer = function if folder.name.startswith(CHOSEN) else ""
    stream = f"{day}/{writer}[{version}]{ids.hex32()}"
    return Stream(stream, folder / (stream.replace("/", "-") + ".log"))


def note(folder: Path, function: str, moment_ms: int, text: str) -> None:
    """Add a line of the platform's that belongs to no environment, in a stream of the day's."""
    day = time.strftime("%Y/%m/%d", time.gmtime(moment_ms / 1000))
    writer = function if folder.name.startswith(CHOSEN) else ""
    stream = f"{day}/{writer}[events]"
    written = Writer(Stream(stream, folder / (stream.replace("/", "-") + ".log")))
    written.write(moment_ms, text)
    written.close()


class Writer:
    """Appends to one stream; what is written at once stays together, whoever else writes."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._fd: int | None = None
        self._lock = threading.Lock()

    def write(self, timestamp_ms: int, text: str) -> None:
        """Add the text's lines, each an event with this time."""
        lines = "".join(f"{timestamp_ms} {line}\n" for line in _lines(text))
        data = lines.encode(errors="replace")
        with self._lock:
            if self._fd is None:
                self.stream.path.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(self.stream.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            while data:
                data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Let go of the file; another write opens it again."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


def streams(root: Path, account: str, region: str, group: str) -> list[Stream]:
    """The group's streams, the one written last at the end."""
    base = folder(root, account, region, group)
    if len(base.name) > NAME_CHARACTERS:
        return []
    files = sorted(base.glob("*.log"), key=lambda path: path.stat().st_mtime)
    return [Stream(_name(file), file) for file in files]


def read(
    stream: Stream, last_bytes: int | None = None, since_ms: int | None = None
) -> Iterator[Event]:
    """The events of a stream in order, those of its last bytes, or those since a moment with a few
    before it."""
    with stream.path.open("rb") as file:
        size = stream.path.stat().st_size
        start = size - last_bytes if last_bytes is not None else 0
        if since_ms is not None:
            start = _before(file, size, since_ms)
        file.seek(max(0, start))
        if start > 0:
            file.readline()
        place = file.tell()
        for raw in file:
            timestamp, _, text = raw.decode(errors="replace").rstrip("\n").partition(" ")
            if timestamp.isdigit():
                yield Event(int(timestamp), text, place)
            place += len(raw)


def prune(root: Path, before: float) -> int:
    """Remove the streams that were last written to before a moment; how many those were."""
    old = [file for file in (root / "logs").glob("*/*/*/*.log") if file.stat().st_mtime < before]
    for file in old:
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the group has other streams
            file.parent.rmdir()
    return len(old)


def tail(root: Path, account: str, region: str, name: str, count: int = 50) -> list[Event]:
    """The last events of a function over all its streams, oldest first."""
    events: list[Event] = []
    for stream in reversed(streams(root, account, region, own_group(name))):
        if len(events) >= count and stream.path.stat().st_mtime * 1000 < events[0].timestamp_ms:
            break
        events += read(stream, READ_BACK_BYTES)
        events.sort(key=lambda event: event.timestamp_ms)
        events = events[-count:]
    return events


def last_bytes(text: str) -> str:
    """The last 4 KB: what an invocation with LogType Tail gets."""
    return text[-TAIL_BYTES:].encode(errors="replace")[-TAIL_BYTES:].decode(errors="ignore")


def _before(file: BinaryIO, size: int, since_ms: int) -> int:
    """A place in the file, which is in order of time, shortly before the first event since."""
    low, high = 0, size
    while high - low > NEAR_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        moment = file.readline().partition(b" ")[0]
        if moment.isdigit() and int(moment) < since_ms:
            low = middle
        else:
            high = middle
    return low


def _lines(text: str) -> list[str]:
    return text.rstrip("\n").split("\n") if text else []


def _name(file: Path) -> str:
    return _DAY.sub(r"\1/\2/\3/", file.stem, count=1)
