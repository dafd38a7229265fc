"""Many rows into one table: `executemany` on SQLite, one statement over arrays on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.store import Database

DOCUMENT = "jsonb"


def among(
    db: Database, column: str, values: Sequence[Any], kind: str = "text"
) -> tuple[str, tuple[Any, ...]]:
    """A condition that a column has one of the values, and its parameters: one array on
    PostgreSQL, for the driver is slow at many marks.
    """
    if db.dialect == "postgresql":
        return f"{column} = ANY(?::{kind}[])", (list(values),)
    return f"{column} IN ({','.join('?' for _ in values)})", tuple(values)


class Bulk:
    """An INSERT of many rows: `columns` are names and PostgreSQL types, `conflict` ends it.

    Documents (never empty) go as one JSON array: the driver would escape every quote of each.
    """

    def __init__(self, table: str, columns: dict[str, str], conflict: str = "") -> None:
        head = f"INSERT INTO {table} ({', '.join(columns)})"
        marks = ", ".join("?" for _ in columns)
        arrays = ", ".join(
            "jsonb_array_elements(?::jsonb)" if kind == DOCUMENT else f"unnest(?::{kind}[])"
            for kind in columns.values()
        )
        self.kinds = list(columns.values())
        self.rowwise = f"{head} VALUES ({marks}) {conflict}"
        self.arrays = f"{head} SELECT * FROM ROWS FROM ({arrays}) {conflict}"

    def run(self, db: Database, conn: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        if db.dialect == "postgresql":
            columns = tuple(
                f"[{','.join(column)}]" if kind == DOCUMENT else list(column)
                for kind, column in zip(self.kinds, zip(*rows, strict=True), strict=True)
            )
            conn.exec_driver_sql(db.sql(self.arrays), columns)
        else:
            conn.exec_driver_sql(self.rowwise, list(rows))
