"""Many rows into one table: fifty a statement on SQLite, where every statement gives up and takes
back the interpreter's lock; one JSON document on PostgreSQL, whose driver is slow at many values
and at arrays of texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import orjson
from sqlalchemy.engine import Connection

from tailorbird.store import Database, fetch

ROWS_AT_ONCE = 50  # on SQLite
DOCUMENT = "jsonb"
TEXT = "text"
ESCAPED_NUL = "\\u0000"
GIVEN = {  # the `texts` of a parameter
    "sqlite": "SELECT value FROM json_each(?)",
    "postgresql": "SELECT jsonb_array_elements_text(?::jsonb)",
}
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # escaped; not the backslash and letters of a text


def among(
    db: Database, column: str, values: Sequence[Any], kind: str = TEXT
) -> tuple[str, tuple[Any, ...]]:
    """A condition that a column has one of the values, and its parameters: one on PostgreSQL."""
    if db.dialect == "postgresql":
        if kind == TEXT:
            return one_of(db.dialect, column), (texts(values),)
        return f"{column} = ANY(?::{kind}[])", (list(values),)
    return f"{column} IN ({','.join('?' for _ in values)})", tuple(values)


def one_of(dialect: str, column: str, query: str = "") -> str:
    """A condition that a column is among what a query finds, by default the `texts` given."""
    query = query or GIVEN[dialect]
    if dialect == "postgresql":
        return f"{column} = ANY(ARRAY({query}))"  # which it always looks up in an index
    return f"{column} IN ({query})"


def texts(values: Iterable[str]) -> str:
    """Some texts as one parameter."""
    return without_nul(orjson.dumps(list(values)).decode())


def without_nul(text: str) -> str:
    """JSON without NUL characters, which no database keeps as text inside text."""
    return _NUL.sub(r"\1", text) if ESCAPED_NUL in text else text


def has_nul(text: str) -> bool:
    """Whether some JSON holds a NUL character; a backslash and u0000 in a text are none."""
    return ESCAPED_NUL in text and _NUL.search(text) is not None


class Bulk:
    """An INSERT of many rows: `columns` are names and PostgreSQL types, `conflict` ends it.

    Documents are JSON texts; PostgreSQL gets everything else without NUL characters.
    """

    def __init__(self, table: str, columns: dict[str, str], conflict: str = "") -> None:
        head = f"INSERT INTO {table} ({', '.join(columns)})"
        marks = ", ".join("?" for _ in columns)
        values = ", ".join(_value(n, kind) for n, kind in enumerate(columns.values()))
        self.documents = [n for n, kind in enumerate(columns.values()) if kind == DOCUMENT]
        self.rowwise = f"{head} VALUES ({marks}) {conflict}"
        many = ", ".join([f"({marks})"] * ROWS_AT_ONCE)
        self.by_fifty = f"{head} VALUES {many} {conflict}"
        self.at_once = f"{head} SELECT {values} FROM jsonb_array_elements(?::jsonb) row {conflict}"

    def run(self, db: Database, conn: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        if db.dialect == "postgresql":
            fetch(conn, *self.question(db, rows))
        else:
            cursor = conn.connection.cursor()
            whole = len(rows) - len(rows) % ROWS_AT_ONCE
            for start in range(0, whole, ROWS_AT_ONCE):
                portion = rows[start : start + ROWS_AT_ONCE]
                cursor.execute(self.by_fifty, list(chain.from_iterable(portion)))
            cursor.executemany(self.rowwise, rows[whole:])
            cursor.close()

    def question(self, db: Database, rows: Sequence[tuple[Any, ...]]) -> tuple[str, tuple[str]]:
        """The statement and its parameter, for `store.ask` on PostgreSQL."""
        listed = rows if not self.documents else [self._with_documents(row) for row in rows]
        return db.sql(self.at_once), (without_nul(orjson.dumps(listed).decode()),)

    def _with_documents(self, row: tuple[Any, ...]) -> list[Any]:
        values = list(row)
        for n in self.documents:
            values[n] = orjson.Fragment(values[n])
        return values


def _value(position: int, kind: str) -> str:
    if kind == DOCUMENT:
        return f"row->{position}"
    return f"row->>{position}" if kind == TEXT else f"(row->>{position})::{kind}"
