"""Delivery: a file or a folder that is there whole, or is not there."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tailorbird.errors import Invalid
from tailorbird.prepare.room import Prepare

PARTS = "part-*.csv"
GLUE_PARTS = "run-*-part-r-*"
DONE = "_SUCCESS"


def check(output_uri: str) -> None:
    """Invalid when nothing can be delivered there."""
    if not output_uri.endswith((".csv", "/")):
        raise Invalid(
            f"output is {output_uri!r}; an address that ends in .csv (one file) or / (a folder of "
            "parts) is right"
        )


def check_stored(output_uri: str) -> None:
    """The same for who asks from outside: only the object store is right."""
    if not output_uri.startswith("s3://"):
        raise Invalid(
            f"output is {output_uri!r}; s3://bucket/key is right, the server writes no other files"
        )
    check(output_uri)


def is_folder(output_uri: str) -> bool:
    return output_uri.endswith("/")


def recover(output_uri: str) -> None:
    """Mend a local folder whose exchange was cut off: the finished one counts, else the old one."""
    if output_uri.startswith("s3://") or not is_folder(output_uri):
        return
    target = Path(output_uri)
    for old in target.parent.glob(f".{glob.escape(target.name)}.*.old"):
        unfinished = old.with_suffix(".part")
        if _is_alive(old):
            continue
        if not target.exists():
            whole = (unfinished / DONE).exists()
            (unfinished if whole else old).replace(target)
        shutil.rmtree(old, ignore_errors=True)
    for unfinished in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        if not _is_alive(unfinished):
            shutil.rmtree(unfinished, ignore_errors=True)


def file(room: Prepare, csv: Path, output_uri: str) -> None:
    """Put the finished file where it was asked for."""
    if output_uri.startswith("s3://"):
        room.objects.put(output_uri, csv)
        return
    target = Path(output_uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.move(csv, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def folder(room: Prepare, files: Sequence[tuple[str, Path]], output_uri: str) -> None:
    """Put finished files, each with its name, into a folder that then holds nothing else.

    A local folder is exchanged by two renames (`recover` finishes what was cut off between them);
    in an object store `_SUCCESS` is the last to come.
    """
    if output_uri.startswith("s3://"):
        _into_store(room, files, output_uri)
        return
    target = Path(output_uri)
    _check_ours(target)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    unfinished.mkdir(parents=True)
    for name, path in files:
        shutil.move(path, unfinished / name)
    (unfinished / DONE).touch()
    if target.exists():
        target.replace(old)
    unfinished.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def _is_alive(left: Path) -> bool:
    """Whether the process in a leftover's name is another one that still runs."""
    number = left.name.rsplit(".", 2)[1]
    if not number.isdigit() or int(number) == os.getpid():
        return False
    return Path("/proc", number).exists()


def _into_store(room: Prepare, files: Sequence[tuple[str, Path]], output_uri: str) -> None:
    room.objects.delete(output_uri + DONE)
    names = {output_uri + name for name, _ in files}
    for name, path in files:
        room.objects.put(output_uri + name, path)
    for info in list(room.objects.list(output_uri)):
        inner = Path(info.uri.removeprefix(output_uri))
        if _is_ours(inner) and info.uri not in names and len(inner.parts) == 1:
            room.objects.delete(info.uri)
    room.objects.put(output_uri + DONE, b"")


def _check_ours(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise Invalid(f"{target} is a file; a folder was asked for")
    strange = [one.name for one in target.glob("*") if not _is_ours(one)]
    if strange:
        raise Invalid(f"{target} holds {strange[0]}; a folder of the output's own is right")


def _is_ours(name: Path) -> bool:
    return name.match(PARTS) or name.match(GLUE_PARTS) or name.name == DONE
