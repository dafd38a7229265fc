"""SQL that the databases share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def kept_or_new(target: str, columns: Iterable[str]) -> str:
    """The SET of an upsert: what is not given stays, and an older row changes nothing."""
    return ", ".join(
        f"{quoted(name)} = coalesce(excluded.{quoted(name)}, {target}.{quoted(name)})"
        for name in columns
        if name != "id"
    )
