"""A dataset as serving sees it, imports and single records, newest wins: one part for a child."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird.learn import metadata, parts
from tailorbird.learn.metadata import ID_COLUMN, Number, Table
from tailorbird.learn.room import Learn


def export(room: Learn, conn: Connection, group: str, kind: str, path: Path) -> str | None:
    """Write the group's Items, Users or Actions; the path, None when there is no such dataset."""
    table = metadata.of(room, group, kind)
    if table is None:
        return None
    parts.write_rows(path, part(table, ID_COLUMN[kind]), np.ones(len(table), dtype=bool))
    return str(path)


def part(table: Table, id_column: str) -> parts.Part:
    """One row for each id; an empty text and NaN stand for no value."""
    base = len(table.ids)
    ids = [*table.ids, *table.added]
    strings = {id_column: (np.arange(len(ids), dtype=np.int64), ids)}
    numbers: dict[str, np.ndarray] = {}
    changes = [
        *table.changed.items(),
        *((base + n, record) for n, record in enumerate(table.records)),
    ]
    for name, column in table.columns.items():
        if isinstance(column, Number):
            values = np.concatenate([column.values, np.full(len(table.added), np.nan)])
            for row, record in changes:
                values[row] = record.get(name, np.nan)
            numbers[name] = values
            continue
        texts = {"": 0} | {value: n + 1 for n, value in enumerate(column.values) if value}
        place = np.array([texts[value] for value in column.values] + [0], dtype=np.int64)
        codes = np.concatenate([place[column.codes], np.zeros(len(table.added), dtype=np.int64)])
        for row, record in changes:
            value = str(record.get(name, ""))
            codes[row] = texts.setdefault(value, len(texts))
        strings[name] = (codes, list(texts))
    return parts.Part(strings, numbers)
