"""Types of columns: what a value is, what holds two kinds of values, and how a value is stored.

Segment takes the type of the first value and drops what does not fit; here a column widens instead.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import msgspec

from tailorbird.collect.calls import canonical, instant

INTEGER_MAX = 2**63 - 1
JSON_MAX_CHARACTERS = 65_535  # of an array as text, Redshift's longest varchar


class Type(StrEnum):
    """Segment's words for the types."""

    TIMESTAMP = "timestamp"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TEXT = "varchar"


_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?")
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # escaped; not the backslash and letters of a text
_NUMBERS = {Type.INTEGER, Type.FLOAT}


def type_of(value: Any) -> Type:
    """The type of a JSON value that is neither null nor an object."""
    if isinstance(value, bool):
        return Type.BOOLEAN
    if isinstance(value, int):
        return Type.INTEGER if -INTEGER_MAX <= value <= INTEGER_MAX else Type.TEXT
    if isinstance(value, float):
        return Type.FLOAT
    if isinstance(value, str) and len(value) <= 40 and _MOMENT.fullmatch(value) and instant(value):
        return Type.TIMESTAMP
    return Type.TEXT


def wider(one: Type, other: Type) -> Type:
    """The type that holds the values of both."""
    if one is other:
        return one
    return Type.FLOAT if {one, other} == _NUMBERS else Type.TEXT


def stored(value: Any, type_: Type, text_max: int) -> Any:
    """A value as a column of this type holds it; timestamps as `2026-11-21T18:02:51.123Z`."""
    if value is None:
        return None
    if type_ is Type.TEXT:
        return as_text(value, text_max)
    if type_ is Type.FLOAT:
        return float(value)
    if type_ is Type.TIMESTAMP:
        moment = instant(value)
        return None if moment is None else canonical(moment)
    return value


def as_text(value: Any, text_max: int) -> str:
    """Texts are cut where Segment cuts them (0: not at all); arrays become JSON."""
    if isinstance(value, str):
        return (value[:text_max] if text_max else value).replace("\0", "")
    return as_json(value)[:JSON_MAX_CHARACTERS]


def as_json(value: Any) -> str:
    """JSON that every database takes as text."""
    try:
        return _NUL.sub(r"\1", msgspec.json.encode(value).decode())
    except RecursionError:
        return '"(nested too deeply)"'
