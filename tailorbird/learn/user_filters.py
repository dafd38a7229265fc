"""Filters of UserID: which users a batch segment job lets into its segments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import metadata, past
from tailorbird.learn.asking import FIND_FILTER
from tailorbird.learn.filters import grammar, mask, values
from tailorbird.learn.filters.grammar import Condition, Literal
from tailorbird.learn.room import Learn


def passes(
    room: Learn,
    conn: Connection,
    group: str,
    users: list[str],
    filter_arn: str,
    given: Mapping[str, str],
) -> np.ndarray:
    """A mask over these users; Invalid when the filter chooses something else."""
    row = conn.exec_driver_sql(room.db.sql(FIND_FILTER), (filter_arn,)).fetchone()
    if row is None or row[0] != group:
        raise NotFound(f"The given filter does not exist: {filter_arn}")
    expressions = grammar.parse(room.db.load(row[1])["filterExpression"])
    if expressions[0].target != "USERS":
        raise Invalid(
            f"{filter_arn} chooses {expressions[0].target.lower()}; a filter of UserID is right"
        )
    if any(one.when for one in expressions):
        raise Invalid(f"{filter_arn} uses CurrentUser, which a segment of many users has not")
    table = metadata.of(room, group, "USERS")

    def rows(condition: Condition, wanted: tuple[Literal, ...]) -> np.ndarray:
        if condition.dataset == "INTERACTIONS":
            kinds = mask.event_types(wanted, condition.sign)
            found = past.users_of(room, group, kinds)
            return np.array([one in found for one in users], dtype=bool)
        if table is None:
            return np.zeros(len(users), dtype=bool)
        held = mask.of_table(table, condition, wanted)
        place = [table.find(one) for one in users]
        return held[[len(table.ids) if n < 0 else n for n in place]]

    bring = mask.Asked(values.read(expressions, given), dict, None)
    return mask.mask(expressions, bring, rows, len(users))
