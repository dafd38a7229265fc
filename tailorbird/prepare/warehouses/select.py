"""The query over a warehouse's tables: the seed's own words for the seed's mapping.

Interactions are one SELECT a table of an event; of items the newest value of each column counts;
users come from `users`, which the warehouse keeps at the newest. Source of the names: Segment,
"Warehouse Schemas".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.prepare.mapping import ID_MAX_CHARACTERS, ITEMS, USERS, Column, Dataset, Warehouse
from tailorbird.prepare.paths import Path

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
WORD = re.compile(r"[A-Z0-9]*[a-z0-9]*")
ITEM_COLUMNS = ("products_sku",)  # where the loader was asked for rows of each product
COLUMNS = {"userId": "user_id", "anonymousId": "anonymous_id", "messageId": "id"}


Known = dict[str, set[str]]  # table to its columns


@dataclass(frozen=True)
class Dialect:
    """What the databases say differently."""

    epoch: str  # seconds of the column `timestamp`, with their fraction
    moment: str  # the column itself
    bytewise: str = ""  # compares texts as they are, not as a language sorts them


DIALECTS = {
    "redshift": Dialect('date_part(epoch,"timestamp")', '"timestamp"'),
    "snowflake": Dialect('date_part(epoch_second,"TIMESTAMP")', '"TIMESTAMP"'),
    "postgres": Dialect('extract(epoch from "timestamp")', '"timestamp"', ' collate "C"'),
    "duckdb": Dialect('epoch("timestamp")', '"timestamp"'),
}


def inner(
    dataset: Dataset, house: Warehouse, dialect: str, indent: str = "  ", known: Known | None = None
) -> str:
    """The SELECT that gives the dataset's rows, with its header's names as columns.

    With `known`, a column that a table does not have is null; without, all are taken to be there.
    """
    if dataset.literal:
        return _seed(dataset, house, indent)
    if dataset.name == ITEMS:
        return _newest(dataset, house, dialect, indent, known)
    union = "UNION" if dataset.drop_duplicates else "UNION ALL"
    lines: list[str] = []
    for table, selected in _tables(dataset, house, dialect, known):
        if lines:
            lines.append(union)
        columns = [f"  {value} as {name}" for name, value in selected.items()]
        lines += ["select", *_listed(columns), f"from {house_table(house, table)}"]
        lines.append("where " + " and ".join(_checks(dataset, house, dialect).values()))
    return "\n".join(indent + line for line in lines)


def counts(dataset: Dataset, house: Warehouse, dialect: str) -> str:
    """A query for rows read and refused: table, rows, no user id, no item id, no time."""
    checks = _checks(dataset, house, dialect)
    parts = []
    for table, _ in _tables(dataset, house, dialect):
        columns, before = [f"'{table}'", "count(*)"], "1 = 1"
        for reason in ("no_user_id", "no_item_id", "bad_timestamp"):
            condition = checks.get(reason, "1 = 1")
            columns.append(
                f"coalesce(sum(case when {before} and not ({condition}) then 1 else 0 end), 0)"
            )
            before = f"{before} and {condition}"
        parts.append(f"select {', '.join(columns)} from {house_table(house, table)}")
    return "\nunion all\n".join(parts)


def columns_query(house: Warehouse) -> str:
    """A query for every table of the schema with its columns."""
    return (
        "select lower(table_name), lower(column_name) from information_schema.columns"
        f" where lower(table_schema) = '{_name(house.schema).lower()}'"
    )


def known_columns(found: Iterable[tuple[Any, ...]]) -> Known:
    """What that query gave."""
    known: Known = {}
    for table, column in found:
        known.setdefault(table, set()).add(column)
    return known


def house_table(house: Warehouse, table: str) -> str:
    return f"{_name(house.schema)}.{_name(table)}"


def table_of(event: str) -> str:
    """`Order Completed` is order_completed."""
    found = [word.group().lower() for word in WORD.finditer(event) if word.group()]
    name = "_".join(found)
    return f"_{name}" if name[:1].isdigit() else name


def column_of(path: Path) -> str:
    """`context.device.type` is context_device_type; a property is called as it is, and a field of
    a product `products_` and its name, on the rows of the products."""
    steps = path.outer[1:] if path.outer[0] in ("properties", "traits") else path.outer
    if len(path.outer) == 1 and path.inner is None:
        return COLUMNS.get(path.outer[0], table_of(path.outer[0]))
    return "_".join(map(table_of, (*steps, *(path.inner or ()))))


def _seed(dataset: Dataset, house: Warehouse, indent: str) -> str:
    """As the seed writes it, for any names."""
    item = (house.item or ITEM_COLUMNS)[0]
    lines: list[str] = []
    for _, table in house.tables:
        if lines:
            lines.append("UNION")
        columns = (
            "user_id as USER_ID",
            f"{_name(item)} as ITEM_ID",
            f"{_name(house.event)} as EVENT_TYPE",
            'date_part(epoch,"timestamp") as TIMESTAMP',
        )
        inside = "" if indent == SNOWFLAKE_INDENT else "  "
        lines += ["select", *_listed([inside + column for column in columns])]
        lines.append(f"from {house_table(house, table)}")
    return "\n".join(indent + line for line in lines)


SNOWFLAKE_INDENT = "      "


def _tables(
    dataset: Dataset, house: Warehouse, dialect: str, known: Known | None = None
) -> list[tuple[str, dict[str, str]]]:
    """Each table, and its output columns with their expressions."""
    if dataset.name == USERS:
        return [("users", _selected(dataset, house, dialect, "", _of(known, "users")))]
    own, named = dict(house.tables), dict(dataset.event_types)
    found = []
    for event in dataset.events:
        table = own.get(event) or table_of(event)
        if not table:
            raise Invalid(
                f"warehouse.tables says no table of event {event!r}, and its name gives none"
            )
        there = _of(known, table)
        if dataset.name == ITEMS:
            found.append((table, _described(dataset, house, dialect, there)))
            continue
        value = _text(named[event]) if event in named else _name(house.event)
        found.append((table, _selected(dataset, house, dialect, value, there)))
    return found


def _is_id(value: str) -> str:
    return f"length(coalesce({value}, '')) between 1 and {ID_MAX_CHARACTERS}"


def _of(known: Known | None, table: str) -> set[str] | None:
    return None if known is None else known.get(table)


def _selected(
    dataset: Dataset, house: Warehouse, dialect: str, event: str, known: set[str] | None
) -> dict[str, str]:
    speaks = DIALECTS[dialect]
    own = {
        "user": _user(dataset),
        "item": _first(house.item or ITEM_COLUMNS),
        "event": event,
        "seconds": f"cast(floor({speaks.epoch}) as bigint)",
        "moment": speaks.moment,
        "anonymous": "anonymous_id",
    }
    return {
        column.name: own.get(column.kind) or _value(column, known) for column in dataset.columns
    }


def _described(
    dataset: Dataset, house: Warehouse, dialect: str, known: set[str] | None
) -> dict[str, str]:
    """What a row says of an item, and when."""
    said = {
        f"v{n}": f"cast({_value(column, known)} as varchar)"
        for n, column in enumerate(_values(dataset))
    }
    item = _first(house.item or ITEM_COLUMNS)
    return {"item": item, "moment": DIALECTS[dialect].moment, **said}


def _newest(
    dataset: Dataset, house: Warehouse, dialect: str, indent: str, known: Known | None
) -> str:
    """A row for each item: of each column the newest value that is one; of two of the same moment
    the one that sorts last.
    """
    conditions = " and ".join(_checks(dataset, house, dialect).values())
    said = []
    for table, selected in _tables(dataset, house, dialect, known):
        listed = ", ".join(f"{value} as {name}" for name, value in selected.items())
        said.append(f"select {listed} from {house_table(house, table)} where {conditions}")
    columns = ["  item as ITEM_ID"]
    ranks: list[str] = []
    for n, column in enumerate(_values(dataset)):
        order = f"case when v{n} is null then 1 else 0 end, moment desc, v{n}"
        order += f"{DIALECTS[dialect].bytewise} desc"
        ranks.append(f"row_number() over (partition by item order by {order}) as r{n}")
        columns.append(f"  max(case when r{n} = 1 then v{n} end) as {column.name}")
    lines = ["select", *_listed(columns), "from (", f"select calls.*, {', '.join(ranks)} from ("]
    for one in said:
        lines += [one, "union all"]
    lines[-1:] = [") as calls", ") as ranked", "group by item"]
    return "\n".join(indent + line for line in lines)


def _values(dataset: Dataset) -> list[Column]:
    return [column for column in dataset.columns if column.kind not in ("user", "item")]


def _value(column: Column, known: set[str] | None) -> str:
    names = [_name(column_of(path)) for path in column.paths]
    there = [name for name in names if known is None or name in known]
    if not there:
        return "cast(null as varchar)"
    return there[0] if len(there) == 1 else f"coalesce({', '.join(there)})"


def _checks(dataset: Dataset, house: Warehouse, dialect: str) -> dict[str, str]:
    """What a row must be, by the reason why one that is not is left out."""
    if dataset.name == USERS:
        return {"no_user_id": _is_id("id")}
    found = {} if dataset.name == ITEMS else {"no_user_id": _is_id(_user(dataset))}
    return {
        **found,
        "no_item_id": _is_id(_first(house.item or ITEM_COLUMNS)),
        "bad_timestamp": f"coalesce({DIALECTS[dialect].epoch}, -1) >= 0",
    }


def _user(dataset: Dataset) -> str:
    if dataset.name == USERS:
        return "id"
    return _first([column_of(path) for path in dataset.user])


def _first(columns: tuple[str, ...] | list[str]) -> str:
    """The first that is neither null nor empty."""
    if len(columns) == 1:
        return _name(columns[0])
    return f"coalesce({', '.join(f'''nullif({_name(column)}, '')''' for column in columns)})"


def _listed(columns: list[str]) -> list[str]:
    return [f"{column}," for column in columns[:-1]] + columns[-1:]


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name in a warehouse; letters, digits and _ are right")
    return name


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
