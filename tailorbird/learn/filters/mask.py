"""Masks: which items of the catalogue a filter lets through, before anything is ranked.

Several INCLUDE parts add up, several EXCLUDE parts add up, and what is left is INCLUDE minus
EXCLUDE; the order does not matter. A value that is not there is in no list.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tailorbird.errors import Invalid
from tailorbird.learn.filters.grammar import (
    ANY_TYPE,
    EXCLUDE,
    INCLUDE,
    Condition,
    Expression,
    Filter,
    Literal,
    OfCurrentItem,
    Parameter,
    literal,
)
from tailorbird.learn.filters.values import Values
from tailorbird.learn.metadata import Number, Record, Table, Text

NEGATIVE = ("NOT IN", "!=")
ORDER: dict[str, Callable[..., bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Rows = Callable[[Condition, tuple[Literal, ...]], np.ndarray]


@dataclass(frozen=True)
class Asked:
    """What a request brings to a filter."""

    values: Values
    user: Callable[[], Record]  # the current user's metadata
    item: Callable[[], Record] | None  # the current item's; None where a request names no item


def mask(expressions: Filter, asked: Asked, rows: Rows, height: int) -> np.ndarray:
    """Which of `height` things pass; `rows` says for which of them a condition holds."""
    included: np.ndarray | None = None
    excluded: np.ndarray | None = None
    for one in expressions:
        if not _applies(one, asked):
            continue
        holds = _holds(one, asked, rows, height)
        if one.kind == INCLUDE:
            included = holds if included is None else included | holds
        else:
            excluded = holds if excluded is None else excluded | holds
    if included is None:
        included = np.ones(height, dtype=bool)
    return included if excluded is None else included & ~excluded


def of_table(table: Table, condition: Condition, wanted: tuple[Literal, ...]) -> np.ndarray:
    """The rows of a dataset for which a condition on their metadata holds."""
    column = table.columns.get(condition.field)
    found = np.zeros(table.height, dtype=bool)
    if column is None:  # the schema was replaced since the filter was made
        return found
    base = len(table.ids)
    test = _test(condition.sign, wanted, numeric=isinstance(column, Number))
    if isinstance(column, Number):
        found[:base] = _of_numbers(column, condition.sign, wanted)
    else:
        found[:base] = _of_texts(column, condition.sign, wanted)
    found[base] = test(None)
    for row, record in table.changed.items():
        found[row] = test(record.get(condition.field))
    for n, record in enumerate(table.records):
        found[base + 1 + n] = test(record.get(condition.field))
    return found


def event_types(wanted: Iterable[Literal], sign: str) -> Callable[[str], bool]:
    """Whether an event type is meant; capitals do not count, `*` is every type."""
    names = {one.text.lower() for one in wanted}
    negative = sign in NEGATIVE
    if ANY_TYPE in names:
        return lambda _kind: not negative
    return lambda kind: (kind.lower() in names) != negative


def _applies(one: Expression, asked: Asked) -> bool:
    """Not when its IF does not hold, nor an EXCLUDE some of whose parameters were left out."""
    if one.kind == EXCLUDE and one.parameters - asked.values.keys():
        return False
    for condition in one.when:
        value = asked.user().get(condition.field)
        wanted = _wanted(condition, asked)
        if not _test(condition.sign, wanted, numeric=isinstance(value, float))(value):
            return False
    return True


def _holds(one: Expression, asked: Asked, rows: Rows, height: int) -> np.ndarray:
    total: np.ndarray | None = None
    for every in one.alternatives:
        part: np.ndarray | None = None
        for condition in every:
            found = rows(condition, _wanted(condition, asked))
            part = found if part is None else part & found
        if part is not None:
            total = part if total is None else total | part
    return np.zeros(height, dtype=bool) if total is None else total


def _wanted(condition: Condition, asked: Asked) -> tuple[Literal, ...]:
    found: list[Literal] = []
    for value in condition.values:
        if isinstance(value, Parameter):
            found += asked.values[value.name]
        elif isinstance(value, OfCurrentItem):
            found += _of_current(value, asked)
        else:
            found.append(value)
    return tuple(found)


def _of_current(value: OfCurrentItem, asked: Asked) -> list[Literal]:
    if asked.item is None:
        raise Invalid(
            f"The filter uses CurrentItem.{value.field}, which only related-items recipes know, "
            "asked with an itemId"
        )
    found = asked.item().get(value.field)
    if found is None:
        return []
    if isinstance(found, str):
        return [literal(part) for part in found.split("|")]
    return [Literal(str(found), float(found))]


def _test(
    sign: str, wanted: tuple[Literal, ...], *, numeric: bool
) -> Callable[[str | float | None], bool]:
    """The same rule for one value as the columns have."""
    if sign in ORDER:
        compare, bounds = ORDER[sign], [one.number for one in wanted if one.number is not None]

        def ordered(value: str | float | None) -> bool:
            if not isinstance(value, float | int) or isinstance(value, bool):
                return False
            return any(compare(value, bound) for bound in bounds)

        return ordered
    negative = sign in NEGATIVE
    numbers = {one.number for one in wanted if one.number is not None}
    texts = {one.text for one in wanted}

    def listed(value: str | float | None) -> bool:
        if value is None:
            return negative
        if numeric or isinstance(value, float | int):
            return (value in numbers) != negative
        return bool(texts.intersection((value, *value.split("|")))) != negative

    return listed


def _of_numbers(column: Number, sign: str, wanted: tuple[Literal, ...]) -> np.ndarray:
    numbers = [one.number for one in wanted if one.number is not None]
    found = np.zeros(len(column.values), dtype=bool)
    for number in numbers:
        found |= ORDER.get(sign, operator.eq)(column.values, number)
    return ~found if sign in NEGATIVE else found


def _of_texts(column: Text, sign: str, wanted: tuple[Literal, ...]) -> np.ndarray:
    chosen = np.zeros(len(column.values) + 1, dtype=bool)  # the last is what code -1 reads
    if sign in ORDER:
        return chosen[column.codes]
    for one in wanted:
        chosen[column.parts.get(one.text, [])] = True
        if "|" in one.text:
            chosen[[n for n, value in enumerate(column.values) if value == one.text]] = True
    return (~chosen if sign in NEGATIVE else chosen)[column.codes]
