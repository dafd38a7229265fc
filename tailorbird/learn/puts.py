"""PutItems, PutUsers, PutActions: single records, part of the next answer; same ids replace.

Property names are camelCase and meant for the schema's UPPER_SNAKE columns.
Source: Personalize developer guide, "Importing individual items" and "... users".
"""

from __future__ import annotations

import re
from math import inf, isfinite
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import cells, metadata, properties, records, schemas, throttle
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_datasets

# After the insert: SQLite gives the id of a deleted newest row again, and ids have to grow.
REPLACE = (
    "DELETE FROM learn_records WHERE dataset_arn = ? AND record_id = ? AND id < (SELECT MAX(n.id)"
    " FROM learn_records n WHERE n.dataset_arn = ? AND n.record_id = ?)"
)
INSERT = (
    "INSERT INTO learn_records (dataset_arn, record_id, properties, updated) VALUES (?, ?, ?, ?)"
)


def put_items(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Keep up to ten items; the next answer knows them."""
    _put(room, caller, request["datasetArn"], "ITEMS", request["items"], "items", "itemId")


def put_users(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Keep up to ten users; the next answer knows them."""
    _put(room, caller, request["datasetArn"], "USERS", request["users"], "users", "userId")


def put_actions(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Keep up to ten actions; the next answer knows them."""
    _put(room, caller, request["datasetArn"], "ACTIONS", request["actions"], "actions", "actionId")


def _put(
    room: Learn,
    caller: Caller,
    dataset_arn: str,
    kind: str,
    given: list[dict[str, Any]],
    member: str,
    key: str,
) -> None:
    throttle.check(room, "learn_max_puts_per_second", dataset_arn)
    with room.db.write() as conn:
        dataset = records.active(conn, learn_datasets, caller, dataset_arn, "dataset")
        if dataset["type"] != kind:
            raise Invalid(f"{dataset_arn} holds {dataset['type']}; a dataset of {kind} is right")
        schema = metadata.schema_of(room, conn, dataset["schema_arn"])
        now = room.clock.now()
        kept: dict[str, metadata.Record] = {}
        for n, one in enumerate(given):
            kept.pop(one[key], None)  # the last of equal ids wins, and comes last
            where = f"{member}[{n}]"
            if not one[key].strip():
                raise Invalid(f"{where}.{key} is blank; an id is right")
            kept[one[key]] = record(schema, one.get("properties"), where)
        _keep(room, conn, dataset_arn, kept, now)


def _keep(
    room: Learn, conn: Connection, dataset: str, kept: dict[str, metadata.Record], now: float
) -> None:
    rows = [(dataset, one, room.db.dump(values), now) for one, values in kept.items()]
    conn.exec_driver_sql(room.db.sql(INSERT), rows)
    replaced = [(dataset, one, dataset, one) for one in kept]
    conn.exec_driver_sql(room.db.sql(REPLACE), replaced)


def record(schema: schemas.Schema, given: Any, where: str) -> metadata.Record:
    """The columns of one record; Invalid names the property that is not right."""
    values = properties.read(given, where)
    columns = {_plain(column.name): column for column in schema.columns}
    found: metadata.Record = {}
    for name, value in values.items():
        column = columns.get(_plain(name))
        if column is None or column.name in cells.ID_COLUMNS:
            known = ", ".join(c.name for c in schema.columns if c.name not in cells.ID_COLUMNS)
            raise Invalid(
                f"{where}.properties: the schema has no column for {name!r}; it has {known}"
            )
        if value is not None and value != "":
            found[column.name] = _value(column, value, f"{where}.properties.{name}")
    for column in schema.columns:
        if column.name not in found and not column.nullable and column.name not in cells.ID_COLUMNS:
            raise Invalid(
                f"{where}.properties: {column.name} is missing; the schema does not allow null"
            )
    return found


def camel(name: str) -> str:
    """CREATION_TIMESTAMP -> creationTimestamp."""
    first, *rest = name.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def _value(column: schemas.Column, value: Any, where: str) -> str | float:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = "|".join(value)
    if isinstance(value, dict | list):
        raise Invalid(f"{where} is a {type(value).__name__}; a {column.type} is right")
    if column.type in metadata.NUMERIC:
        return _number(column, value, where)
    text = str(value).lower() if column.type == "boolean" or isinstance(value, bool) else str(value)
    if column.type == "boolean" and text not in ("true", "false"):
        raise Invalid(f"{where} is {value!r}; true or false is right")
    if column.textual:
        return text[: cells.MAX_TEXTUAL_CHARACTERS]
    if len(text) > cells.MAX_CATEGORICAL_CHARACTERS:
        raise Invalid(
            f"{where} has {len(text)} characters; {cells.MAX_CATEGORICAL_CHARACTERS} are allowed"
        )
    return text


def _number(column: schemas.Column, value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise Invalid(f"{where} is {value!r}; a {column.type} is right") from None
    odd = isinstance(value, bool) or (isinstance(value, str) and not cells.plain(value))
    if odd or not isfinite(number):
        raise Invalid(f"{where} is {value!r}; a {column.type} is right")
    if column.type in metadata.WHOLE and number != int(number):
        raise Invalid(f"{where} is {value!r}; a whole number is right")
    most = cells.WHOLE_BELOW.get(column.type, inf)
    if not -most <= number < most:
        raise Invalid(f"{where} is {value!r}, which does not fit {column.type}")
    if column.name in cells.TIME_COLUMNS and number >= cells.MILLISECONDS_FROM:
        raise Invalid(f"{where} is {value!r}: these are milliseconds; seconds are right")
    if column.name in cells.TIME_COLUMNS and number < 0:
        raise Invalid(f"{where} is {value!r}, before 1970; epoch seconds are right")
    return number
