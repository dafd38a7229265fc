"""PostgreSQL as a warehouse: a schema for each source, rows by COPY through a staged table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tailorbird.collect.catalog.definition import Option
from tailorbird.collect.warehouse.columns import Type
from tailorbird.collect.warehouse.definition import COMMON_OPTIONS, Columns, Connection, Warehouse
from tailorbird.collect.warehouse.sql import Putting, declared, listed, quoted
from tailorbird.errors import Invalid, Unavailable

PORT = 5432
CONNECT_SECONDS = 10
STAGED = "tailorbird_staged"

TYPES = {
    Type.TIMESTAMP: "timestamp with time zone",
    Type.INTEGER: "bigint",
    Type.FLOAT: "double precision",
    Type.BOOLEAN: "boolean",
    Type.TEXT: "text",
}
KNOWN = {name: kind for kind, name in TYPES.items()} | {
    "timestamp without time zone": Type.TIMESTAMP,
    "integer": Type.INTEGER,
    "smallint": Type.INTEGER,
    "real": Type.FLOAT,
    "numeric": Type.FLOAT,
}
COLUMNS_OF = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = %s ORDER BY table_name, ordinal_position
"""


class Postgres(Putting):
    """One connection on one schema."""

    alias = "old"

    def __init__(self, settings: dict[str, Any], schema: str) -> None:
        self._conn = _connected(settings)
        self._schema = schema
        self._conn.execute("SET TIME ZONE 'UTC'")

    def tables(self) -> dict[str, dict[str, Type]]:
        found: dict[str, dict[str, Type]] = {}
        for table, column, kind in self._conn.execute(COLUMNS_OF, (self._schema,)):
            found.setdefault(table, {})[column] = KNOWN.get(kind, Type.TEXT)
        return found

    @contextmanager
    def transaction(self) -> Iterator[None]:
        import psycopg

        try:
            with self._conn.transaction():
                yield
        except psycopg.Error as error:
            raise Unavailable(f"PostgreSQL: {error}".strip()) from error

    def create(self, table: str, columns: Columns) -> None:
        self._conn.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self._schema)}")
        self._conn.execute(f"CREATE TABLE {self._at(table)} ({declared(columns, TYPES, 'id')})")

    def add(self, table: str, columns: Columns) -> None:
        added = ", ".join(f"ADD COLUMN {quoted(name)} {TYPES[columns[name]]}" for name in columns)
        self._conn.execute(f"ALTER TABLE {self._at(table)} {added}")

    def widen(self, table: str, column: str, old: Type, new: Type) -> None:
        value = f"{quoted(column)}::{TYPES[new]}"
        if old is Type.TIMESTAMP:
            form = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
            value = f"to_char({quoted(column)} AT TIME ZONE 'UTC', '{form}')"
        self._conn.execute(
            f"ALTER TABLE {self._at(table)} ALTER COLUMN {quoted(column)}"
            f" TYPE {TYPES[new]} USING {value}"
        )

    def close(self) -> None:
        self._conn.close()

    def _insert(
        self, table: str, columns: Columns, rows: Sequence[tuple[Any, ...]], on_conflict: str
    ) -> int:
        names = listed(columns)
        self._conn.execute(f"CREATE TEMP TABLE {STAGED} ({declared(columns, TYPES)})")
        with self._conn.cursor().copy(f"COPY {STAGED} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        done = self._conn.execute(
            f"INSERT INTO {self._at(table)} AS old ({names}) SELECT {names} FROM {STAGED}"
            f" ON CONFLICT (id) {on_conflict}"
        )
        self._conn.execute(f"DROP TABLE {STAGED}")
        return int(done.rowcount)

    def _at(self, table: str) -> str:
        return f"{quoted(self._schema)}.{quoted(table)}"


def open_(settings: dict[str, Any], folder: Path, schema: str) -> Connection:
    try:
        import psycopg
    except ModuleNotFoundError:
        raise Invalid("PostgreSQL needs the extra: pip install 'tailorbird[postgres]'") from None
    try:
        return Postgres(settings, schema)
    except psycopg.Error as error:
        raise Unavailable(f"PostgreSQL: {error}".strip()) from None


def check(settings: dict[str, Any]) -> None:
    port = settings.get("port")
    if port is not None and not (str(port).isdigit() and 0 < int(port) < 65_536):
        raise Invalid(f"setting 'port' is {port!r}; 1 to 65535 is right")


def _connected(settings: dict[str, Any]) -> Any:
    import psycopg

    return psycopg.connect(
        host=settings["host"],
        port=int(settings.get("port") or PORT),
        dbname=settings["database"],
        user=settings.get("username"),
        password=settings.get("password"),
        sslmode=settings.get("sslMode") or "prefer",
        connect_timeout=CONNECT_SECONDS,
        application_name="tailorbird",
        autocommit=True,
    )


POSTGRES = Warehouse(
    "tailorbird-postgres",
    "Postgres",
    "postgres",
    "A schema for each source",
    (
        Option("host", "Host", str, required=True),
        Option("port", "Port", str, default=str(PORT)),
        Option("database", "Database", str, required=True),
        Option("username", "User", str),
        Option("password", "Password", str),
        Option(
            "sslMode", "TLS", str, default="prefer",
            choices=("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        ),
        *COMMON_OPTIONS,
    ),
    open_,
    check,
    ("password",),
)  # fmt: skip
