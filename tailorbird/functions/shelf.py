"""The shelf of zips: which are kept, and what becomes of those that no version needs any more.

A zip is announced before it is put on the shelf and held by the transaction that refers to it. Who
sweeps takes the zip's row, looks for references, and removes the object before the row is gone: a
function that is being made meanwhile finds its zip missing and says so, it never loses it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.errors import Unavailable
from tailorbird.functions import logs, packages
from tailorbird.functions.credentials import RENEW_SECONDS
from tailorbird.functions.packages import Package
from tailorbird.functions.tables import (
    functions_layer_versions,
    functions_packages,
    functions_versions,
)
from tailorbird.store import Job, insert

if TYPE_CHECKING:
    from tailorbird.functions.room import Functions

KIND = "functions.sweep"
DAY_SECONDS = 86_400.0
QUEUE = "functions"
EVERY_SECONDS = 3600.0
FRESH_SECONDS = 3600.0  # a zip put less long ago may be about to be referred to
LONGEST_RUN_SECONDS = 5400.0
FOLDER_SECONDS = RENEW_SECONDS + LONGEST_RUN_SECONDS  # no environment is older than that


def put(room: Functions, code: Mapping[str, Any]) -> Package:
    """Keep the zip of a request; what refers to it must `hold` it in its own transaction."""
    return packages.given(room.objects, room.root, code, lambda sha256: _announce(room, sha256))


def hold(conn: Connection, sha256: str) -> None:
    """Let nobody remove the zip before this transaction is over; Unavailable when it was removed
    since it was put, which a client's second try mends."""
    if sha256 and not is_held(conn, sha256):
        raise Unavailable("The code was swept away while the request was under way; send it again")


def is_held(conn: Connection, sha256: str) -> bool:
    """True when the zip is on the shelf, where it stays until this transaction is over."""
    t = functions_packages
    touched = sa.update(t).where(t.c.sha256 == sha256).values(stored=t.c.stored)
    return bool(conn.execute(touched).rowcount)


def sweep(room: Functions, sha256s: Iterable[str], before: float | None = None) -> int:
    """Remove those of the zips that nothing refers to (and that were put before a moment)."""
    return sum(_remove(room, sha256, before) for sha256 in set(sha256s) if sha256)


def run(room: Functions, job: Job) -> None:
    """The job: remove the zips, unpacked folders and logs that nobody needs, and come again."""
    removed = sweep_all(room)
    if days := room.settings.functions_log_days:
        logs.prune(room.root, room.clock.now() - days * DAY_SECONDS)
    with room.db.write() as conn:
        _schedule(room, conn)
        job.finish(conn, {"removed": removed})


def failed(room: Functions, conn: Connection, job: Job, reason: str) -> None:
    """A sweep that cannot be done now is done at the next time."""
    _schedule(room, conn)


def schedule(room: Functions) -> None:
    """Set the alarm for the next sweep."""
    with room.db.write() as conn:
        _schedule(room, conn)


def sweep_all(room: Functions) -> int:
    """Remove what nothing needs and nobody has just put: zips, then this machine's folders."""
    before, t = room.clock.now() - FRESH_SECONDS, functions_packages
    with room.db.read() as conn:
        needed, merged = _needed(conn)
        kept = set(conn.execute(sa.select(t.c.sha256).where(t.c.stored < before)).scalars())
    removed = sweep(room, kept - needed, before)
    _sweep_folders(room.root, needed | merged)
    return removed


def _announce(room: Functions, sha256: str) -> None:
    values = {"stored": room.clock.now()}
    made = insert(room.db, functions_packages).values(sha256=sha256, **values)
    with room.db.write() as conn:
        conn.execute(made.on_conflict_do_update(index_elements=["sha256"], set_=values))


def _remove(room: Functions, sha256: str, before: float | None) -> bool:
    t = functions_packages
    with room.db.write() as conn:
        locked = conn.execute(
            sa.select(t.c.stored).where(t.c.sha256 == sha256).with_for_update()
        ).first()
        if locked is None or (before is not None and locked.stored >= before):
            return False
        if _is_needed(conn, sha256):
            return False
        room.objects.delete(packages.uri(sha256))
        conn.execute(sa.delete(t).where(t.c.sha256 == sha256))
    return True


def _is_needed(conn: Connection, sha256: str) -> bool:
    v, layers = functions_versions.c, functions_layer_versions.c
    in_layers = sa.cast(v.layers, sa.Text).contains(sha256)
    asked = (
        sa.select(v.name).where(sa.or_(v.package == sha256, in_layers)).limit(1),
        sa.select(layers.name).where(layers.package == sha256).limit(1),
    )
    return any(conn.execute(query).first() is not None for query in asked)


def _needed(conn: Connection) -> tuple[set[str], set[str]]:
    """The zips that versions and layer versions refer to, and the folders of merged layers."""
    v, held = functions_versions.c, functions_layer_versions.c
    found = set(conn.execute(sa.select(held.package)).scalars())
    merged: set[str] = set()
    for row in conn.execute(sa.select(v.package, v.layers)):
        layers = [layer["package"] for layer in row.layers]
        found |= {row.package, *layers}
        if layers:
            merged.add(packages.merged_name(layers))
    return found, merged


def _sweep_folders(root: Path, needed: set[str]) -> None:
    """Folders that no environment was started from for longer than an environment can live."""
    for folder in (root / "code").glob("*"):
        if folder.name in needed or folder.name.startswith(packages.UNPACKING):
            continue
        if time.time() - folder.stat().st_mtime > FOLDER_SECONDS:
            gone = folder.with_name(f"{packages.UNPACKING}{os.getpid()}-{folder.name}")
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def _schedule(room: Functions, conn: Connection) -> None:
    slot = int(room.clock.now() // EVERY_SECONDS) + 1
    room.jobs.enqueue(conn, KIND, {}, queue=QUEUE, key=f"{KIND}:{slot}", due=slot * EVERY_SECONDS)
