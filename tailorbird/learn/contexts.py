"""The context columns of a training: texts of the Interactions schema beyond the service's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird.learn import datasets, parts
from tailorbird.learn.artifacts import CONTEXT, Trained
from tailorbird.learn.models.context import Context
from tailorbird.learn.models.ids import Arrays, Ids
from tailorbird.learn.schemas import REQUIRED, RESERVED, Schema


def columns(schema: Schema) -> list[str]:
    """The columns a request's context may name."""
    own = REQUIRED["INTERACTIONS"].keys() | RESERVED["INTERACTIONS"].keys()
    return [c.name for c in schema.columns if c.type == "string" and c.name not in own]


def columns_of(conn: Connection, group_arn: str) -> list[str]:
    """Those of a dataset group."""
    found = datasets.schema_of(conn, group_arn, "INTERACTIONS")
    return [] if found is None else columns(found)


def fit(paths: list[Path], names: list[str], items: Ids) -> Arrays:
    """What serving needs to know of these columns, as arrays of the model."""
    found = [parts.read(path) for path in paths] if names else []
    arrays: Arrays = {}
    for name in names:
        context = _fit(found, name, items)
        if context is not None:
            arrays |= {f"{CONTEXT}{name}.{key}": value for key, value in context.arrays().items()}
    return arrays


def lift(trained: Trained, given: Mapping[str, str]) -> np.ndarray | None:
    """What a request's context adds to the score of every item; unknown names add nothing."""
    total: np.ndarray | None = None
    for name, value in given.items():
        context = trained.contexts.get(name.upper())
        found = None if context is None else context.lift(value)
        if found is not None:
            total = found if total is None else total + found
    return total


def _fit(found: list[parts.Part], name: str, items: Ids) -> Context | None:
    numbers = {one: n for n, one in enumerate(items)}
    values: dict[str, int] = {}
    value_rows, item_rows = [], []
    for part in found:
        if name not in part.strings:
            continue
        codes, texts = part.strings[name]
        place = np.array(
            [values.setdefault(text, len(values)) if text else -1 for text in texts] or [-1]
        )
        item_codes, item_ids = part.strings["ITEM_ID"]
        known = np.array([numbers.get(one, -1) for one in item_ids] or [-1])
        value, item = place[codes], known[item_codes]
        rows = (value >= 0) & (item >= 0)
        value_rows.append(value[rows])
        item_rows.append(item[rows])
    if not values:
        return None
    return Context.of(
        list(values), np.concatenate(value_rows), np.concatenate(item_rows), len(items)
    )
