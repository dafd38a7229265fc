"""Load the rows of a batch of calls: tables and columns as they need them, all in one transaction.

An id that is there already is not added again, so a batch may be loaded twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tailorbird.collect.warehouse.columns import Type, as_json, stored, type_of, wider
from tailorbird.collect.warehouse.definition import Connection
from tailorbird.collect.warehouse.rows import (
    EVENT_COLUMNS,
    OTHER,
    PRODUCTS_SKU,
    STANDARD,
    TIMES,
    Row,
    Rows,
)

COLUMNS_MAX = 1_500  # of a table; PostgreSQL has 1,600 and SQLite 2,000
VALUES_MAX = 400  # of a row in columns of their own: more do not fit into a page of PostgreSQL
TABLES_MAX = 5_000  # of a source
USERS = "users"

Tables = dict[str, dict[str, Type]]

_TIME_COLUMNS = frozenset((*(name for name, _ in TIMES), "uuid_ts"))
_TEXT_COLUMNS = frozenset(("id", "anonymous_id", "user_id", OTHER, PRODUCTS_SKU, *EVENT_COLUMNS))
_ALWAYS = STANDARD | {PRODUCTS_SKU}  # columns also where every value is null


def load(to: Connection, known: Tables, rows: Rows, text_max: int) -> int:
    """How many rows were new. `known` is what the warehouse has, and is kept up to date."""
    added = 0
    with to.transaction():
        for table, found in rows.tables.items():
            if table not in known and len(known) >= TABLES_MAX:
                rows.note(f"more than {TABLES_MAX} tables: {table} is not made")
                continue
            fitted = _latest(found) if table == USERS else _distinct(found)
            columns = _fit(table, fitted, dict(known.get(table, {})), rows)
            _make(to, known, table, columns)
            present = set().union(*fitted)
            used = {name: kind for name, kind in columns.items() if name in present}
            values = [
                tuple(_value(row.get(name), name, kind, text_max) for name, kind in used.items())
                for row in fitted
            ]
            added += (to.upsert if table == USERS else to.put)(table, used, values)
    return added


def _value(value: Any, name: str, kind: Type, text_max: int) -> Any:
    return as_json(value) if name == OTHER and value else stored(value, kind, text_max)


def _distinct(rows: Sequence[Row]) -> list[Row]:
    """The first row of each id."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row["id"], row)
    return list(found.values())


def _latest(rows: Sequence[Row]) -> list[Row]:
    """One row of each user: later values win, what a later call does not name stays."""
    found: dict[str, Row] = {}
    for row in rows:
        mine = found.setdefault(row["id"], {})
        mine |= row
    return list(found.values())


def _fit(table: str, rows: list[Row], columns: dict[str, Type], notes: Rows) -> dict[str, Type]:
    """The columns that these rows need; values without a place move into the one for the rest."""
    over: set[str] = set()
    for row in rows:
        places = 0
        for name in list(row):
            value = row[name]
            if value is None:
                if name not in _ALWAYS:
                    del row[name]
                continue
            places += 1
            full = name not in columns and len(columns) >= COLUMNS_MAX - 1
            if name != OTHER and name not in _ALWAYS and (full or places > VALUES_MAX):
                row.setdefault(OTHER, {})[name] = row.pop(name)
                over.add(name)
                continue
            kind = _kind(name, value)
            columns[name] = wider(columns.get(name, kind), kind)
        if OTHER in row:
            columns.setdefault(OTHER, Type.TEXT)
    if over:
        why = f"{COLUMNS_MAX} columns and {VALUES_MAX} values in a row are the most"
        notes.note(f"{table}: {len(over)} properties are in {OTHER}: {why}")
    for name in _ALWAYS & {name for row in rows for name in row}:
        columns.setdefault(name, _kind(name, ""))
    return columns


def _kind(name: str, value: Any) -> Type:
    if name in _TIME_COLUMNS:
        return Type.TIMESTAMP
    return Type.TEXT if name in _TEXT_COLUMNS else type_of(value)


def _make(to: Connection, known: Tables, table: str, columns: dict[str, Type]) -> None:
    """Create or change the table; `known` follows."""
    old = known.get(table)
    if old is None:
        to.create(table, columns)
    else:
        if new := {name: kind for name, kind in columns.items() if name not in old}:
            to.add(table, new)
        for name, kind in old.items():
            if columns[name] is not kind:
                to.widen(table, name, kind, columns[name])
    known[table] = columns
