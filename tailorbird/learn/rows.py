"""A dataset's rows as dictionaries of text: imported (BULK), put one by one (PUT), or both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.learn import parts
from tailorbird.learn.room import Learn
from tailorbird.learn.schemas import Column, Schema
from tailorbird.learn.tables import (
    learn_action_events,
    learn_datasets,
    learn_events,
    learn_parts,
)
from tailorbird.store import metadata

BULK, PUT, ALL = "BULK", "PUT", "ALL"
WHOLE = ("int", "long")
PAGE_ROWS = 5_000
RECORDS = "learn_records"  # what PutItems and PutUsers keep

Cells = list[str]


def bulk(room: Learn, conn: Connection, dataset_arn: str, schema: Schema) -> Iterator[Cells]:
    """Imported rows in the order they came, cells in the order of the schema."""
    query = sa.select(learn_parts.c.uri).where(learn_parts.c.dataset_arn == dataset_arn)
    for uri in conn.execute(query.order_by(learn_parts.c.id)).scalars().all():
        with room.objects.fetch(uri) as path:
            part = parts.read(path)
        yield from zip(*(_texts(part, column) for column in schema.columns), strict=True)


def put_events(conn: Connection, group_arn: str, schema: Schema) -> Iterator[Cells]:
    """Usable live events of known users, in the order they came."""
    c = learn_events.c
    last = 0
    while True:
        query = (
            sa.select(learn_events)
            .where(
                c.group_arn == group_arn,
                c.id > last,
                c.unusable.is_(None),
                sa.or_(c.user_id.is_not(None), c.person != c.session_id),
            )
            .order_by(c.id)
            .limit(PAGE_ROWS)
        )
        found = conn.execute(query).mappings().fetchall()
        for row in found:
            values = _event(row)
            yield [text(values.get(column.name), column) for column in schema.columns]
        if len(found) < PAGE_ROWS:
            return
        last = found[-1]["id"]


def put_action_events(conn: Connection, group_arn: str, schema: Schema) -> Iterator[Cells]:
    """Live action interactions of known users, in the order they came."""
    c = learn_action_events.c
    query = (
        sa.select(learn_action_events)
        .where(c.group_arn == group_arn, sa.or_(c.user_id.is_not(None), c.person != c.session_id))
        .order_by(c.id)
    )
    for row in conn.execute(query).mappings():
        details = row["details"]
        values = {column_name(key): one for key, one in details.get("properties", {}).items()}
        values |= {
            "USER_ID": row["person"],
            "ACTION_ID": row["action_id"],
            "EVENT_TYPE": row["event_type"],
            "TIMESTAMP": row["time"],
            "IMPRESSION": details.get("impression"),
            "RECOMMENDATION_ID": details.get("recommendationId"),
        }
        yield [text(values.get(column.name), column) for column in schema.columns]


def put_records(conn: Connection, dataset_arn: str, schema: Schema, key: str) -> Iterator[Cells]:
    """Items or users that were put one by one."""
    table = metadata.tables.get(RECORDS)
    if table is None:
        return
    query = sa.select(table.c.record_id, table.c.properties).where(
        table.c.dataset_arn == dataset_arn
    )
    for name, values in conn.execute(query):
        found = {**values, key: name}
        yield [text(found.get(column.name), column) for column in schema.columns]


def drop_records(conn: Connection, group_arn: str, users: list[str]) -> int:
    """Delete these users' records that were put one by one; how many there were."""
    table = metadata.tables.get(RECORDS)
    if table is None:
        return 0
    of_users = sa.select(learn_datasets.c.arn).where(
        learn_datasets.c.group_arn == group_arn, learn_datasets.c.type == "USERS"
    )
    gone = sa.delete(table).where(table.c.dataset_arn.in_(of_users), table.c.record_id.in_(users))
    return conn.execute(gone).rowcount


def text(value: Any, column: Column) -> str:
    """A value as a cell; nothing for none."""
    if value is None or value == "":
        return ""
    if column.type in WHOLE:
        return str(int(float(value)))
    if column.type == "boolean" and isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "|".join(map(str, value))
    return str(value)


def column_name(key: str) -> str:
    """camelCase, as members of `properties` are written, to a column's UPPER_SNAKE."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).upper()


def _event(row: sa.RowMapping) -> dict[str, Any]:
    details = row["details"]
    values = {column_name(key): value for key, value in details.get("properties", {}).items()}
    attribution = details.get("metricAttribution") or {}
    return values | {
        "USER_ID": row["person"],
        "ITEM_ID": row["item_id"],
        "EVENT_TYPE": row["event_type"],
        "EVENT_VALUE": row["event_value"],
        "TIMESTAMP": row["time"],
        "IMPRESSION": details.get("impression"),
        "RECOMMENDATION_ID": details.get("recommendationId"),
        "EVENT_ATTRIBUTION_SOURCE": attribution.get("eventAttributionSource"),
    }


def _texts(part: parts.Part, column: Column) -> list[str]:
    if column.name in part.strings:
        codes, values = part.strings[column.name]
        return [values[code] for code in codes.tolist()]
    if column.name not in part.numbers:
        return [""] * len(part)
    numbers = part.numbers[column.name]
    blank = np.isnan(numbers).tolist()
    if column.type in WHOLE:
        whole = np.nan_to_num(numbers).astype(np.int64).tolist()
        return ["" if no else str(one) for one, no in zip(whole, blank, strict=True)]
    return ["" if no else repr(one) for one, no in zip(numbers.tolist(), blank, strict=True)]
