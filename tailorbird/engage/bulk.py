"""Many rows into one table: `executemany` on SQLite, one statement over arrays on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.store import Database


class Bulk:
    """An INSERT of many rows: `columns` are names and PostgreSQL types, `conflict` ends it."""

    def __init__(self, table: str, columns: dict[str, str], conflict: str = "") -> None:
        head = f"INSERT INTO {table} ({', '.join(columns)})"
        marks = ", ".join("?" for _ in columns)
        arrays = ", ".join(f"?::{kind}[]" for kind in columns.values())
        self.rowwise = f"{head} VALUES ({marks}) {conflict}"
        self.arrays = f"{head} SELECT * FROM unnest({arrays}) {conflict}"

    def run(self, db: Database, conn: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        if db.dialect == "postgresql":
            columns = tuple(list(column) for column in zip(*rows, strict=True))
            conn.exec_driver_sql(db.sql(self.arrays), columns)
        else:
            conn.exec_driver_sql(self.rowwise, list(rows))
