"""DuckDB as a warehouse: one file, a schema for each source."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from tailorbird.collect.warehouse.columns import Type
from tailorbird.collect.warehouse.definition import COMMON_OPTIONS, Columns, Connection, Warehouse
from tailorbird.collect.warehouse.files import checked_file, file_option
from tailorbird.collect.warehouse.sql import Putting, declared, listed, quoted
from tailorbird.errors import Unavailable

LINE_MAX_BYTES = 64 * 1024 * 1024
FEW_COLUMNS = 20  # more of them at once are added by making the table anew: each ALTER costs 5 ms

TYPES = {
    Type.TIMESTAMP: "TIMESTAMP",
    Type.INTEGER: "BIGINT",
    Type.FLOAT: "DOUBLE",
    Type.BOOLEAN: "BOOLEAN",
    Type.TEXT: "VARCHAR",
}
KNOWN = {name: kind for kind, name in TYPES.items()} | {
    "TIMESTAMP WITH TIME ZONE": Type.TIMESTAMP,
    "INTEGER": Type.INTEGER,
}


class DuckDb(Putting):
    """One connection on one schema."""

    def __init__(self, file: Path, schema: str) -> None:
        import duckdb

        self._conn = duckdb.connect(str(file))
        self._schema = schema

    def tables(self) -> dict[str, dict[str, Type]]:
        found: dict[str, dict[str, Type]] = {}
        rows = self._conn.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = ? AND table_catalog = current_database()"
            " ORDER BY table_name, ordinal_position",
            [self._schema],
        ).fetchall()
        for table, column, kind in rows:
            found.setdefault(table, {})[column] = KNOWN.get(kind, Type.TEXT)
        return found

    @contextmanager
    def transaction(self) -> Iterator[None]:
        import duckdb

        self._conn.execute("BEGIN")
        try:
            yield
            self._conn.execute("COMMIT")
        except duckdb.Error as error:
            with suppress(duckdb.Error):  # a failed commit has ended it
                self._conn.execute("ROLLBACK")
            raise Unavailable(f"DuckDB: {error}") from error
        except BaseException:
            self._conn.execute("ROLLBACK")
            raise

    def create(self, table: str, columns: Columns) -> None:
        self._conn.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self._schema)}")
        self._conn.execute(f"CREATE TABLE {self._at(table)} ({declared(columns, TYPES, 'id')})")

    def add(self, table: str, columns: Columns) -> None:
        if len(columns) > FEW_COLUMNS:
            self._remake(table, columns)
            return
        for name, kind in columns.items():
            self._conn.execute(
                f"ALTER TABLE {self._at(table)} ADD COLUMN {quoted(name)} {TYPES[kind]}"
            )

    def widen(self, table: str, column: str, old: Type, new: Type) -> None:
        value = f"CAST({quoted(column)} AS {TYPES[new]})"
        if old is Type.TIMESTAMP:
            value = f"strftime({quoted(column)}, '%Y-%m-%dT%H:%M:%S.%gZ')"
        self._conn.execute(
            f"ALTER TABLE {self._at(table)} ALTER COLUMN {quoted(column)}"
            f" SET DATA TYPE {TYPES[new]} USING {value}"
        )

    def close(self) -> None:
        self._conn.close()

    def _insert(
        self, table: str, columns: Columns, rows: Sequence[tuple[Any, ...]], on_conflict: str
    ) -> int:
        names = list(columns)
        types = ", ".join(f"{quoted(name)}: '{TYPES[columns[name]]}'" for name in names)
        with tempfile.NamedTemporaryFile(prefix="tailorbird-", suffix=".json") as file:
            for row in rows:
                given = dict(zip(names, row, strict=True))
                file.write(orjson.dumps(given, option=orjson.OPT_APPEND_NEWLINE))
            file.flush()
            done = self._conn.execute(
                f"INSERT INTO {self._at(table)} ({listed(names)}) SELECT {listed(names)}"
                f" FROM read_json(?, format = 'newline_delimited', columns = {{{types}}},"
                f" maximum_object_size = {LINE_MAX_BYTES})"
                f" ON CONFLICT (id) {on_conflict}",
                [file.name],
            ).fetchone()
        return int(done[0]) if done else 0

    def _remake(self, table: str, columns: Columns) -> None:
        old = self.tables()[table]
        new = f"{table}__new"
        self.create(new, {**old, **columns})
        self._conn.execute(
            f"INSERT INTO {self._at(new)} ({listed(old)}) SELECT {listed(old)}"
            f" FROM {self._at(table)}"
        )
        self._conn.execute(f"DROP TABLE {self._at(table)}")
        self._conn.execute(f"ALTER TABLE {self._at(new)} RENAME TO {quoted(table)}")

    def _at(self, table: str) -> str:
        return f"{quoted(self._schema)}.{quoted(table)}"


def open_(settings: dict[str, Any], folder: Path, schema: str) -> Connection:
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    try:
        return DuckDb(folder / settings["file"], schema)
    except duckdb.Error as error:
        raise Unavailable(f"DuckDB: {error}") from None


DUCKDB = Warehouse(
    "tailorbird-duckdb",
    "DuckDB",
    "duckdb",
    "One file, a schema for each source",
    (file_option("warehouse.duckdb"), *COMMON_OPTIONS),
    open_,
    checked_file,
)
