"""Items and users as serving sees them: imported rows and individually put records, newest wins.

Imported rows are columns in memory, rebuilt when an import ends. Records put since lie beside them
and are folded in when they are many, so that one is part of the next answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird.learn import parts, schemas
from tailorbird.learn.models.ids import Ids
from tailorbird.learn.room import Learn

ID_COLUMN = {"ITEMS": "ITEM_ID", "USERS": "USER_ID", "ACTIONS": "ACTION_ID"}
FOLD_AT = 400  # records beside the columns before they are folded in
SETTLED_SECONDS = 5.0  # younger records may have neighbours that are not committed yet
NUMERIC = ("int", "long", "float", "double")
WHOLE = ("int", "long")

STATE = (
    "SELECT d.arn, d.schema_arn, d.created,"
    " (SELECT COUNT(*) FROM learn_parts p WHERE p.dataset_arn = d.arn),"
    " (SELECT MAX(p.id) FROM learn_parts p WHERE p.dataset_arn = d.arn),"
    " (SELECT MAX(r.id) FROM learn_records r WHERE r.dataset_arn = d.arn)"
    " FROM learn_datasets d WHERE d.group_arn = ? AND d.type = ?"
)
NO_DATASET = ("",)
SCHEMA = "SELECT definition FROM learn_schemas WHERE arn = ?"
PARTS = "SELECT uri, created FROM learn_parts WHERE dataset_arn = ? ORDER BY id"
RECORDS = (
    "SELECT id, record_id, properties, updated FROM learn_records"
    " WHERE dataset_arn = ? AND id > ? ORDER BY id"
)

Record = dict[str, str | float]  # column -> value; a missing value has no entry


@dataclass
class Text:
    """A column of texts: distinct values, each row's number of one (-1: none)."""

    values: list[str]
    codes: np.ndarray
    _parts: dict[str, list[int]] | None = None

    @property
    def parts(self) -> dict[str, list[int]]:
        """The value numbers that hold each part of the `a|b` values."""
        if self._parts is None:
            found: dict[str, list[int]] = {}
            for n, value in enumerate(self.values):
                for part in set(value.split("|")):
                    found.setdefault(part, []).append(n)
            self._parts = found
        return self._parts

    def value(self, row: int) -> str | None:
        code = int(self.codes[row])
        return None if code < 0 else self.values[code]


@dataclass
class Number:
    """A column of numbers; NaN where there is none."""

    values: np.ndarray

    def value(self, row: int) -> float | None:
        value = float(self.values[row])
        return None if np.isnan(value) else value


Columns = dict[str, Text | Number]


@dataclass
class Table:
    """One dataset. Rows are numbered: those in columns, then one without values, then new ones."""

    schema: schemas.Schema
    ids: Ids
    columns: Columns
    key: tuple[Any, ...] = ()
    changed: dict[int, Record] = field(default_factory=dict)  # rows in columns that have changed
    added: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)  # of the added
    places: dict[str, int] = field(default_factory=dict)  # added id -> row
    last: int = 0  # newest record seen
    settled: int = 0  # records up to this one will not get older neighbours
    fresh_until: float = 0.0
    revision: int = 0  # grows with every change
    reading: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids) + len(self.added)

    @property
    def height(self) -> int:
        """Entries of a mask over all rows, the one without values included."""
        return len(self.ids) + 1 + len(self.added)

    @property
    def types(self) -> dict[str, str]:
        return {column.name: column.type for column in self.schema.columns}

    def find(self, one: str) -> int:
        """The row of an id, -1 when there is none."""
        return self.places.get(one, -1) if one in self.places else self.ids.find(one)

    def record(self, one: str) -> Record:
        """What is known about an id; empty for an unknown one."""
        row = self.find(one)
        if row < 0:
            return {}
        if row > len(self.ids):
            return self.records[row - len(self.ids) - 1]
        if row in self.changed:
            return self.changed[row]
        return self._base(row)

    def _base(self, row: int) -> Record:
        found = ((name, column.value(row)) for name, column in self.columns.items())
        return {name: value for name, value in found if value is not None}

    def put(self, one: str, record: Record) -> None:
        """Replace or add one record."""
        row = self.find(one)
        self.revision += 1
        if row < 0:
            self.places[one] = self.height
            self.added.append(one)
            self.records.append(record)
        elif row > len(self.ids):
            self.records[row - len(self.ids) - 1] = record
        else:
            self.changed[row] = record


def of(room: Learn, group_arn: str, kind: str) -> Table | None:
    """The group's Items or Users as of now; None when there is no such dataset."""
    state = _known_state(room, group_arn, kind)
    if state == NO_DATASET:
        return None
    table = room.tables.get(state[0])
    now = room.clock.now()
    if table is not None and _is_current(table, state, now):
        return table
    with room.opening, room.db.read() as conn:
        state = _state(room, group_arn, kind)  # as of now: what is kept in mind may be old
        if state == NO_DATASET:
            return None
        dataset, key, newest = state[0], state[1:5], state[5] or 0
        table = room.tables.get(dataset)
        beside = 0 if table is None else len(table.changed) + len(table.added)
        if table is None or table.key != key or newest < table.last or beside > FOLD_AT:
            table = _build(room, conn, dataset, kind, key)
            room.tables[dataset] = table
        elif newest != table.last or now <= table.fresh_until:
            _follow(room, conn, dataset, table)
        return table


def _known_state(room: Learn, group_arn: str, kind: str) -> tuple[Any, ...]:
    return room.known.get((kind, group_arn), lambda: _state(room, group_arn, kind))


def _state(room: Learn, group_arn: str, kind: str) -> tuple[Any, ...]:
    found = room.db.look(room.db.sql(STATE), (group_arn, kind))
    return tuple(found[0]) if found else NO_DATASET


def is_settled(room: Learn, group_arn: str, kind: str) -> bool:
    """Whether `of` would answer from memory."""
    state = _known_state(room, group_arn, kind)
    if state == NO_DATASET:
        return True
    table = room.tables.get(state[0])
    return table is not None and _is_current(table, state, room.clock.now())


def _is_current(table: Table, state: tuple[Any, ...], now: float) -> bool:
    newest = state[5] or 0
    return table.key == state[1:5] and newest == table.last and now > table.fresh_until


def schema_of(room: Learn, conn: Connection, schema_arn: str) -> schemas.Schema:
    definition = room.db.load(
        conn.exec_driver_sql(room.db.sql(SCHEMA), (schema_arn,)).fetchone()[0]  # type: ignore[index]
    )
    return schemas.parse(definition["schema"], definition.get("domain"))


def _build(room: Learn, conn: Connection, dataset: str, kind: str, key: tuple[Any, ...]) -> Table:
    """All imported rows and all records in columns."""
    schema = schema_of(room, conn, key[0])
    found: list[parts.Part] = []
    created: list[float] = []
    for uri, when in conn.exec_driver_sql(room.db.sql(PARTS), (dataset,)).fetchall():
        with room.objects.fetch(uri) as path:
            found.append(parts.read(path))
        created.append(when)
    names, columns, made = _imported(found, created, schema, ID_COLUMN[kind])
    table = Table(schema, names, columns, key)
    rows = conn.exec_driver_sql(room.db.sql(RECORDS), (dataset, 0)).fetchall()
    for number, one, properties, updated in rows:
        place = names.find(one)
        if place < 0 or updated >= made[place]:
            table.put(one, room.db.load(properties))
        _seen(table, number, updated, room.clock.now())
    return _folded(table, ID_COLUMN[kind]) if len(rows) else table


def _follow(room: Learn, conn: Connection, dataset: str, table: Table) -> None:
    """Take in the records put since the last look."""
    now = room.clock.now()
    rows = conn.exec_driver_sql(room.db.sql(RECORDS), (dataset, table.settled)).fetchall()
    for number, one, properties, updated in rows:
        if number not in table.reading:
            table.put(one, room.db.load(properties))
        _seen(table, number, updated, now)


def _seen(table: Table, number: int, updated: float, now: float) -> None:
    table.last = max(table.last, number)
    table.fresh_until = max(table.fresh_until, updated + SETTLED_SECONDS)
    if updated + SETTLED_SECONDS < now:
        table.settled = max(table.settled, number)
        table.reading.pop(number, None)
    else:
        table.reading[number] = number


def _imported(
    found: Sequence[parts.Part], created: Sequence[float], schema: schemas.Schema, id_column: str
) -> tuple[Ids, Columns, np.ndarray]:
    """The newest row of every id in columns, and when each was imported."""
    keep: list[tuple[list[str], np.ndarray]] = []
    for part in found:
        codes, values = part.strings.get(id_column, (np.zeros(0, dtype=np.int32), []))
        keep.append((values, codes))
    ids = Ids.of(value for values, codes in keep for value in _used(values, codes))
    place = np.full(len(ids), -1, dtype=np.int64)  # the winning row, counted over all parts
    made = np.zeros(len(ids))
    start = 0
    for (values, codes), when in zip(keep, created, strict=True):
        numbers = np.array([ids.find(value) for value in values] or [0], dtype=np.int64)
        rows = numbers[codes] if len(codes) else np.zeros(0, dtype=np.int64)
        place[rows] = start + np.arange(len(rows))  # the last of equal ids wins
        made[rows] = when
        start += len(rows)
    columns: Columns = {}
    for column in schema.columns:
        if column.name == id_column:
            continue
        if column.type in NUMERIC:
            chunks = [part.numbers.get(column.name, np.full(len(part), np.nan)) for part in found]
            columns[column.name] = Number(_joined(chunks)[place])
        else:
            columns[column.name] = _text(found, column.name, place)
    return ids, columns, made


def _used(values: list[str], codes: np.ndarray) -> Iterable[str]:
    return (values[n] for n in np.unique(codes).tolist())


def _joined(chunks: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(chunks) if chunks else np.zeros(0)


def _text(found: Sequence[parts.Part], name: str, place: np.ndarray) -> Text:
    """A column of texts; an empty text is no value."""
    numbers: dict[str, int] = {}
    chunks = []
    for part in found:
        codes, values = part.strings.get(name, (np.zeros(len(part), dtype=np.int32), [""]))
        renumber = [numbers.setdefault(one, len(numbers)) if one else -1 for one in values]
        chunks.append(np.array(renumber or [-1], dtype=np.int32)[codes])
    return Text(list(numbers), _joined(chunks).astype(np.int32)[place])


def _folded(table: Table, id_column: str) -> Table:
    """The same table with every record in columns."""
    ids = Ids.of([*table.ids, *table.added])
    place = np.array([ids.find(one) for one in table.ids], dtype=np.int64)
    changed = [(place[row], record) for row, record in table.changed.items()]
    changed += [
        (ids.find(one), record) for one, record in zip(table.added, table.records, strict=True)
    ]
    columns: Columns = {}
    for column in table.schema.columns:
        if column.name == id_column:
            continue
        old = table.columns[column.name]
        if isinstance(old, Number):
            values = np.full(len(ids), np.nan)
            values[place] = old.values
            for row, record in changed:
                values[row] = record.get(column.name, np.nan)
            columns[column.name] = Number(values)
        else:
            codes = np.full(len(ids), -1, dtype=np.int32)
            codes[place] = old.codes
            numbers = {value: n for n, value in enumerate(old.values)}
            for row, record in changed:
                text = record.get(column.name)
                code = -1 if text is None else numbers.setdefault(str(text), len(numbers))
                codes[row] = code
            columns[column.name] = Text(list(numbers), codes)
    new = Table(table.schema, ids, columns, table.key)
    new.last, new.settled, new.reading = table.last, table.settled, table.reading
    new.fresh_until = table.fresh_until
    return new
