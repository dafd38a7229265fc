"""The path of one call: where it is in the log and the archive, and how each delivery stands."""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.collect import log, seen, tables
from tailorbird.collect.catalog.definition import State
from tailorbird.collect.room import Collect
from tailorbird.errors import NotFound


def find(room: Collect, message_id: str) -> dict[str, Any]:
    """Everything that is known of a call; NotFound when its id was not seen today or yesterday."""
    with room.db.read() as conn:
        for number in seen.numbers(room.db, conn, message_id, room.clock.now()):
            found = _in_log(conn, number)
            call = orjson.loads(dict(found.calls())[number]) if found else None
            if call is None or call["messageId"] == message_id:
                break
        else:
            raise NotFound(f"No call with the messageId {message_id!r} came today or yesterday")
        return {
            "message_id": message_id,
            "number": number,
            "source_id": found.source_id if found else None,
            "function": found.function if found else None,
            "call": call,
            "archive": _archive(conn, found.source_id, number) if found else None,
            "deliveries": _deliveries(conn, number),
        }


def _in_log(conn: Connection, number: int) -> log.Row | None:
    rows = log.read(conn, None, number, 1)
    return rows[0] if rows and rows[0].first <= number else None


def _archive(conn: Connection, source_id: str, number: int) -> str | None:
    a = tables.archives.c
    query = sa.select(a.uri).where(
        a.source_id == source_id, a.first <= number, a.last >= number, a.written.is_not(None)
    )
    return conn.execute(query).scalar()


def _deliveries(conn: Connection, number: int) -> list[dict[str, Any]]:
    d, to = tables.deliveries.c, tables.destinations.c
    query = (
        sa.select(d.destination_id, to.name, d.state, d.attempts, d.reason, d.finished)
        .join_from(tables.destinations, tables.deliveries, d.destination_id == to.id)
        .where(d.number == number)
        .order_by(to.created)
    )
    return [
        {**row, "state": State(row["state"]).name.lower()} for row in conn.execute(query).mappings()
    ]
