"""SQLite as a warehouse: a folder with one file for each source, to be attached under its name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tailorbird.collect.catalog.definition import Option
from tailorbird.collect.warehouse.columns import Type
from tailorbird.collect.warehouse.definition import COMMON_OPTIONS, Columns, Connection, Warehouse
from tailorbird.collect.warehouse.files import checked_file
from tailorbird.collect.warehouse.sql import Putting, declared, listed, quoted
from tailorbird.errors import Unavailable

BUSY_SECONDS = 30.0
SUFFIX = ".sqlite"

TYPES = {
    Type.TIMESTAMP: "TIMESTAMP",
    Type.INTEGER: "INTEGER",
    Type.FLOAT: "REAL",
    Type.BOOLEAN: "BOOLEAN",
    Type.TEXT: "TEXT",
}
KNOWN = {name: kind for kind, name in TYPES.items()}


class Sqlite(Putting):
    """One connection on the file of one source."""

    def __init__(self, file: Path) -> None:
        self._conn = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
        self._conn.execute("PRAGMA journal_mode=WAL")
        self._conn.execute("PRAGMA synchronous=FULL")

    def tables(self) -> dict[str, dict[str, Type]]:
        names = [
            row[0]
            for row in self._conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        return {
            name: {
                row[1]: KNOWN.get(row[2].upper(), Type.TEXT)
                for row in self._conn.execute(f"PRAGMA table_info({quoted(name)})")
            }
            for name in names
        }

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._conn.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._conn.execute("COMMIT")
        except BaseException as error:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise Unavailable(f"SQLite: {error}") from error
            raise

    def create(self, table: str, columns: Columns) -> None:
        self._conn.execute(f"CREATE TABLE {quoted(table)} ({declared(columns, TYPES, 'id')})")

    def add(self, table: str, columns: Columns) -> None:
        for name, kind in columns.items():
            self._conn.execute(
                f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(name)} {TYPES[kind]}"
            )

    def widen(self, table: str, column: str, old: Type, new: Type) -> None:
        """SQLite cannot change a type: the values move into a new column of the same name."""
        value = f"CAST({quoted(column)} AS {TYPES[new]})"
        if old is Type.BOOLEAN:
            value = f"CASE {quoted(column)} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"
        moved = f"{column}__new"
        self.add(table, {moved: new})
        self._conn.execute(f"UPDATE {quoted(table)} SET {quoted(moved)} = {value}")
        self._conn.execute(f"ALTER TABLE {quoted(table)} DROP COLUMN {quoted(column)}")
        self._conn.execute(
            f"ALTER TABLE {quoted(table)} RENAME COLUMN {quoted(moved)} TO {quoted(column)}"
        )

    def close(self) -> None:
        self._conn.close()

    def _insert(
        self, table: str, columns: Columns, rows: Sequence[tuple[Any, ...]], on_conflict: str
    ) -> int:
        marks = ", ".join("?" * len(columns))
        done = self._conn.executemany(
            f"INSERT INTO {quoted(table)} ({listed(columns)}) VALUES ({marks})"
            f" ON CONFLICT (id) {on_conflict}",
            rows,
        )
        return done.rowcount


def open_(settings: dict[str, Any], folder: Path, schema: str) -> Connection:
    inside = folder / settings["file"]
    try:
        inside.mkdir(parents=True, exist_ok=True)
        return Sqlite(inside / f"{schema}{SUFFIX}" if schema else Path(":memory:"))
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"SQLite: {error}") from None


SQLITE = Warehouse(
    "tailorbird-sqlite",
    "SQLite",
    "sqlite",
    "A file for each source",
    (
        Option("file", "Name of the folder, with a file for each source", str, required=True),
        *COMMON_OPTIONS,
    ),
    open_,
    checked_file,
)
