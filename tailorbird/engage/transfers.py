"""Import and export jobs as the service shows them, and the steps both have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import apps, paging, segments
from tailorbird.engage import transfer_tables as tt
from tailorbird.engage.apps import App
from tailorbird.engage.room import Engage
from tailorbird.errors import LimitExceeded, NotFound
from tailorbird.store import LeaseLost

IMPORT, EXPORT = "IMPORT", "EXPORT"
CREATED, INITIALIZING, PROCESSING = "CREATED", "INITIALIZING", "PROCESSING"
COMPLETING, COMPLETED, FAILED = "COMPLETING", "COMPLETED", "FAILED"
OPEN = (CREATED, "PREPARING_FOR_INITIALIZATION", INITIALIZING, PROCESSING, COMPLETING)
FAILURES_SHOWN = 100
WORDS = {IMPORT: "import job", EXPORT: "export job"}

Transfer = dict[str, Any]


def create(
    room: Engage, conn: Connection, app: App, kind: str, definition: dict[str, Any],
    segment: tuple[str, int] | None, job: str,
) -> Transfer:  # fmt: skip
    """Write a job down, with the work that does it."""
    _check_active(room, conn, app)
    row: Transfer = {
        "id": ids.hex32(), "application_id": app.id, "type": kind, "status": CREATED,
        "definition": definition, "segment_id": segment[0] if segment else None,
        "segment_version": segment[1] if segment else None, "pieces": [], "piece": 0, "at": 0,
        "failed_pieces": 0, "processed": 0, "failures": 0, "created": room.clock.now(),
        "ended": None, "reason": None,
    }  # fmt: skip
    made = conn.execute(sa.insert(tt.transfers).values(row).returning(tt.transfers.c.number))
    number = int(made.scalar_one())
    room.jobs.enqueue(conn, job, {"transfer": number})
    return {"number": number, **row}


def getter(kind: str, member: str) -> Callable[..., dict[str, Any]]:
    """The operation that shows one job."""

    def get(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
        with room.db.read() as conn:
            app = apps.find(conn, caller, request["ApplicationId"])
            c = tt.transfers.c
            mine = (c.application_id == app.id, c.type == kind, c.id == request["JobId"])
            row = conn.execute(sa.select(tt.transfers).where(*mine)).mappings().first()
            if row is None:
                what = f"{WORDS[kind]} {request['JobId']}"
                raise NotFound(f"There is no {what} in application {app.id}")
            return {member: show(conn, row)}

    return get


def lister(kind: str, member: str) -> Callable[..., dict[str, Any]]:
    """The operation that lists jobs, the newest first; of one segment when it names one."""

    def get(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
        size, last = paging.size_of(request), paging.after(request, [2**62])
        with room.db.read() as conn:
            app = apps.find(conn, caller, request["ApplicationId"])
            c = tt.transfers.c
            query = sa.select(tt.transfers).where(
                c.application_id == app.id, c.type == kind, c.number < last[0]
            )
            if "SegmentId" in request:
                segments.find(conn, app, request["SegmentId"])
                query = query.where(c.segment_id == request["SegmentId"])
            found = conn.execute(query.order_by(c.number.desc()).limit(size + 1)).mappings().all()
            answer = paging.page(
                found, size, lambda row: show(conn, row), lambda row: [row["number"]]
            )
        return {member: answer}

    return get


def show(conn: Connection, row: Any) -> dict[str, Any]:
    done = row["status"] in (COMPLETED, FAILED)
    shown = {
        "ApplicationId": row["application_id"],
        "Id": row["id"],
        "Type": row["type"],
        "JobStatus": row["status"],
        "Definition": row["definition"],
        "CreationDate": iso(row["created"]),
        "TotalPieces": len(row["pieces"]),
        "CompletedPieces": row["piece"] - row["failed_pieces"],
        "FailedPieces": row["failed_pieces"],
        "TotalProcessed": row["processed"],
        "TotalFailures": row["failures"],
        "Failures": _failures(conn, row) if row["failures"] or row["reason"] else [],
    }
    if done and row["ended"] is not None:
        shown["CompletionDate"] = iso(row["ended"])
    return shown


def failures(
    room: Engage, transfer_id: str, after: tuple[int, int] = (-1, 0), limit: int = 1000
) -> list[dict[str, Any]]:
    """Every row that an import refused, with its reason, in order of file and row."""
    c = tt.transfers.c
    with room.db.read() as conn:
        row = conn.execute(sa.select(tt.transfers).where(c.id == transfer_id)).mappings().first()
        if row is None:
            raise NotFound(f"There is no import job {transfer_id}")
        return [
            {"file": _name(row, one["piece"]), **one}
            for one in _rows(conn, row["number"], after, limit)
        ]


def change(conn: Connection, transfer: Transfer, **values: Any) -> Transfer:
    """Move a job on from exactly where this worker saw it; LeaseLost when another has."""
    c = tt.transfers.c
    mine = (
        c.number == transfer["number"], c.piece == transfer["piece"], c.at == transfer["at"],
        c.status.in_(OPEN),
    )  # fmt: skip
    if conn.execute(sa.update(tt.transfers).where(*mine).values(values)).rowcount != 1:
        raise LeaseLost(f"{transfer['type']} job {transfer['id']} is worked on by another worker")
    return {**transfer, **values}


def read(conn: Connection, number: int) -> Transfer | None:
    query = sa.select(tt.transfers).where(tt.transfers.c.number == number)
    row = conn.execute(query).mappings().first()
    return dict(row) if row and row["status"] in OPEN else None


def fail(room: Engage, conn: Connection, number: int, reason: str) -> None:
    """A job that cannot go on: what it has done stays."""
    c = tt.transfers.c
    values = {"status": FAILED, "reason": reason, "ended": room.clock.now()}
    conn.execute(sa.update(tt.transfers).where(c.number == number).values(values))


def delete(conn: Connection, application_id: str) -> None:
    mine = tt.transfers.c.application_id == application_id
    numbers = sa.select(tt.transfers.c.number).where(mine)
    old = tt.transfer_failures.c.transfer.in_(numbers)
    conn.execute(sa.delete(tt.transfer_failures).where(old))
    conn.execute(sa.delete(tt.transfers).where(mine))


def _check_active(room: Engage, conn: Connection, app: App) -> None:
    most, c = room.settings.engage_max_active_transfers, tt.transfers.c
    mine = (c.application_id == app.id, c.status.in_(OPEN))
    query = sa.select(sa.func.count()).select_from(tt.transfers).where(*mine)
    if most and conn.execute(query).scalar_one() >= most:
        raise LimitExceeded(
            f"Application {app.id} has {most} active import and export jobs, the most there may be"
            " (setting engage_max_active_transfers)"
        )


def _failures(conn: Connection, row: Any) -> list[str]:
    found = _rows(conn, row["number"], (-1, 0), FAILURES_SHOWN)
    said = [
        f"{_name(row, one['piece'])}" + (f" row {one['row']}" if one["row"] else "")
        + f": {one['reason']}"
        for one in found
    ]  # fmt: skip
    return [*([row["reason"]] if row["reason"] else []), *said][:FAILURES_SHOWN]


def _rows(
    conn: Connection, number: int, after: tuple[int, int], limit: int
) -> list[dict[str, Any]]:
    c = tt.transfer_failures.c
    query = sa.select(c.piece, c.row, c.reason, c.text).where(
        c.transfer == number,
        sa.or_(c.piece > after[0], sa.and_(c.piece == after[0], c.row > after[1])),
    )
    rows = conn.execute(query.order_by(c.piece, c.row).limit(limit)).mappings()
    return [dict(row) for row in rows]


def _name(row: Any, piece: int) -> str:
    return str(row["pieces"][piece]) if piece < len(row["pieces"]) else ""
