"""SQL that the databases share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tailorbird.collect.warehouse.columns import Type


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def listed(names: Iterable[str]) -> str:
    return ", ".join(quoted(name) for name in names)


def declared(columns: Mapping[str, Type], types: Mapping[Type, str], key: str = "") -> str:
    """The columns of a CREATE TABLE; `key` is the primary one."""
    return ", ".join(
        f"{quoted(name)} {types[kind]}{' PRIMARY KEY' if name == key else ''}"
        for name, kind in columns.items()
    )


class Putting:
    """Adding rows by INSERT ... ON CONFLICT, which `_insert` of a database does."""

    alias = ""  # of the table in the statement, where it has one

    def put(self, table: str, columns: Mapping[str, Type], rows: Sequence[tuple[Any, ...]]) -> int:
        return self._insert(table, columns, rows, "DO NOTHING")

    def upsert(
        self, table: str, columns: Mapping[str, Type], rows: Sequence[tuple[Any, ...]]
    ) -> int:
        """What is not given stays, and an older row changes nothing."""
        target = self.alias or quoted(table)
        change = ", ".join(
            f"{quoted(name)} = coalesce(excluded.{quoted(name)}, {target}.{quoted(name)})"
            for name in columns
            if name != "id"
        )
        newer = f"excluded.received_at >= {target}.received_at"
        return self._insert(table, columns, rows, f"DO UPDATE SET {change} WHERE {newer}")

    def _insert(
        self,
        table: str,
        columns: Mapping[str, Type],
        rows: Sequence[tuple[Any, ...]],
        on_conflict: str,
    ) -> int:
        raise NotImplementedError
