"""What a filter may name: its dataset group's columns, within the service's rules and limits.

Source: Personalize developer guide, "Guidelines and requirements" of filters.
"""

from __future__ import annotations

from collections.abc import Mapping

from tailorbird.errors import Invalid, LimitExceeded
from tailorbird.learn.filters.grammar import (
    ANY_TYPE,
    CURRENT_USER,
    ORDERING,
    Condition,
    Expression,
    Filter,
    Literal,
    OfCurrentItem,
)
from tailorbird.learn.metadata import NUMERIC
from tailorbird.learn.schemas import Column, Schema

BAD = "Could not create filter. Invalid Expression: "
ALLOWED = {  # what an expression about a kind of thing may ask about
    "ITEMS": ("ITEMS", "INTERACTIONS"),
    "USERS": ("USERS", "INTERACTIONS"),
    "ACTIONS": ("ACTIONS", "ACTION_INTERACTIONS"),
}
BY_EVENTS = ("INTERACTIONS", "ACTION_INTERACTIONS")
EVENT_TYPE = "EVENT_TYPE"

Schemas = Mapping[str, Schema]  # by dataset type, of the datasets the group has


def check(expressions: Filter, known: Schemas, *, strict: bool) -> None:
    """Invalid names the first part that cannot be. Not strict: mixed datasets and booleans."""
    for one in expressions:
        _check_datasets(one, strict)
        for condition in one.conditions:
            _check_condition(condition, known, strict)
        for condition in one.when:
            _check_column(condition, "USERS", known, strict)
            _check_values(condition, known)


def asks_about_events(expressions: Filter) -> bool:
    """Whether a filter has to know what the person did."""
    return any(c.dataset in BY_EVENTS for one in expressions for c in one.conditions)


def fields(expressions: Filter) -> set[tuple[str, str]]:
    """The distinct fields a filter names, CurrentUser's and CurrentItem's included."""
    found = set()
    for one in expressions:
        for condition in (*one.conditions, *one.when):
            dataset = "USERS" if condition.dataset == CURRENT_USER else condition.dataset
            found.add((dataset, condition.field))
            found |= {("ITEMS", v.field) for v in condition.values if isinstance(v, OfCurrentItem)}
    return found


def check_limits(expressions: Filter, others: list[Filter], most: dict[str, int]) -> None:
    """LimitExceeded when there are too many filters, or too many fields in one or in a group."""
    if most["filters"] and len(others) >= most["filters"]:
        raise LimitExceeded(
            f"More than {most['filters']} filters in the dataset group (setting learn_max_filters)"
        )
    own = fields(expressions)
    if most["fields"] and len(own) > most["fields"]:
        raise LimitExceeded(
            f"The filter names {len(own)} distinct fields; {most['fields']} are allowed "
            "(setting learn_max_filter_fields)"
        )
    every = own.union(*(fields(one) for one in others))
    if most["group_fields"] and len(every) > most["group_fields"]:
        raise LimitExceeded(
            f"The filters of the dataset group would name {len(every)} distinct fields; "
            f"{most['group_fields']} are allowed (setting learn_max_group_filter_fields)"
        )


def _check_datasets(one: Expression, strict: bool) -> None:
    used = {condition.dataset for condition in one.conditions}
    wrong = used - set(ALLOWED[one.target])
    if wrong:
        raise Invalid(
            f"{BAD}a filter of {one.target.capitalize()} asks about "
            f"{' or '.join(ALLOWED[one.target])}, not {', '.join(sorted(wrong))}"
        )
    if strict and len(used) > 1:
        raise Invalid(
            f"{BAD}the conditions of one expression use one dataset, not {', '.join(sorted(used))};"
            " join two expressions by | (or see the setting learn_strict_filters)"
        )


def _check_condition(condition: Condition, known: Schemas, strict: bool) -> None:
    if condition.dataset in BY_EVENTS:
        if condition.field != EVENT_TYPE:
            raise Invalid(
                f"{BAD}{condition.dataset} can be asked about EVENT_TYPE only, "
                f"not {condition.field}"
            )
        if condition.dataset not in known:
            raise Invalid(f"{BAD}the dataset group has no {condition.dataset} dataset")
        if condition.sign in ORDERING:
            raise Invalid(f"{BAD}EVENT_TYPE knows =, !=, IN and NOT IN, not {condition.sign}")
    else:
        _check_column(condition, condition.dataset, known, strict)
    _check_values(condition, known)


def _check_column(condition: Condition, dataset: str, known: Schemas, strict: bool) -> None:
    column = _column(dataset, condition.field, known)
    name = f"{dataset}.{condition.field}"
    if strict and column.type == "boolean":
        raise Invalid(f"{BAD}{name} is a boolean, which filters do not know")
    if strict and column.textual:
        raise Invalid(f"{BAD}{name} is textual, which filters do not know")
    if condition.sign in ORDERING and column.type not in NUMERIC:
        raise Invalid(
            f"{BAD}{name} is a {column.type}; {condition.sign} is for numbers, "
            "texts know =, !=, IN and NOT IN"
        )
    if column.type in NUMERIC:
        for value in condition.values:
            if isinstance(value, Literal) and value.number is None:
                raise Invalid(f"{BAD}{name} is a number, {value.text!r} is not")


def _check_values(condition: Condition, known: Schemas) -> None:
    for value in condition.values:
        if isinstance(value, Literal) and value.text == ANY_TYPE and condition.field != EVENT_TYPE:
            raise Invalid(f'{BAD}"*" stands for every EVENT_TYPE only, not for {condition.field}')
        if isinstance(value, OfCurrentItem):
            _column("ITEMS", value.field, known)


def _column(dataset: str, field: str, known: Schemas) -> Column:
    if dataset not in known:
        raise Invalid(f"{BAD}the dataset group has no {dataset} dataset")
    for column in known[dataset].columns:
        if column.name == field:
            return column
    names = ", ".join(column.name for column in known[dataset].columns)
    raise Invalid(f"{BAD}{dataset} has no field {field}; it has {names}")
