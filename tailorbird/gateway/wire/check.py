"""Checks of single values, compiled from a shape's min, max, enum and pattern.

Texts are the ones AWS services answer with ("Member must have length less than or equal to 63").
"""

from __future__ import annotations

import base64
import binascii
import re
import warnings
from collections.abc import Callable
from typing import Any

from tailorbird.gateway.wire import moments
from tailorbird.gateway.wire.model import Shape
from tailorbird.gateway.wire.refusal import Refused, mistyped

INTEGER = (-(2**31), 2**31 - 1)
LONG = (-(2**63), 2**63 - 1)

# Java's character classes, as the models write them. \w is letters, numbers and the underscore;
# every model that uses \p{L} allows numbers and the underscore beside it. Marks, punctuation and
# symbols (CloudWatch's dashboards and queries) are those of the European blocks.
JAVA_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\d",
    r"\p{M}": r"\u0300-\u036f",
    r"\p{P}": r"!-#%-*,-/:;?@\[-\]_{}\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf\u2010-\u2027",
    r"\p{S}": r"$+<=>^`|~\u00a2-\u00a9\u00ac\u00ae-\u00b1\u00b4\u00d7\u00f7\u20a0-\u2bff",
    r"\p{Zs}": r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000",
    r"\p{Z}": r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    r"\p{Alnum}": r"a-zA-Z0-9",
    r"\p{Alpha}": r"a-zA-Z",
    r"\p{Digit}": r"0-9",
    r"\p{Lower}": r"a-z",
    r"\p{Upper}": r"A-Z",
    r"\p{Punct}": r"!-/:-@\[-`{-~",
    r"\p{Print}": r"\x20-\x7e",
    r"\p{Graph}": r"\x21-\x7e",
}

WHOLE_NUMBER = re.compile(r"[-+]?[0-9]{1,30}").fullmatch

# orjson makes no infinite or undefined floats, so any of its floats is a good one.
PLAIN_TYPES: dict[str, type] = {"string": str, "boolean": bool, "float": float, "double": float}

Check = Callable[[Any], Any]


def pattern(java: str) -> re.Pattern[str]:
    """A model's pattern as a Python one, to be used with fullmatch."""
    text = java.replace(r"\p{ASCII}", r"[\x00-\x7f]")
    for name, members in JAVA_CLASSES.items():
        text = text.replace(name, members)
    text = re.sub(r"(\\[wdsWDS])-(?=[^\]])", r"\1\\-", text)  # Java reads [\w-_] as three members
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(text)


def scalar(shape: Shape) -> Check:
    """A function that returns a JSON scalar as the shape wants it, or refuses it."""
    kind = shape["type"]
    if kind == "string":
        return _string(shape)
    if kind in ("integer", "long"):
        return _whole(shape)
    if kind in ("float", "double"):
        return _real(shape)
    return {"boolean": _boolean, "timestamp": _timestamp, "blob": _blob(shape)}[kind]


def text(shape: Shape) -> Check:
    """The same for a value that arrives as text: a header, a label, a query or form parameter."""
    check = scalar(shape)
    kind = shape["type"]
    if kind in ("string", "timestamp", "blob"):
        return check
    convert = {"boolean": _boolean_text}.get(kind, _number_text)

    def parse(value: str) -> Any:
        return check(convert(value))

    return parse


def plain_type(shape: Shape) -> type | None:
    """The type of which any JSON value will do as it is."""
    if shape.keys() & {"min", "max", "pattern", "enum"}:
        return None
    return PLAIN_TYPES.get(shape["type"])


def size(shape: Shape) -> Callable[[Any, int], None] | None:
    """A check of the number of members of a list or map."""
    low, high = shape.get("min", 0), shape.get("max")
    if not low and high is None:
        return None

    def check(value: Any, length: int) -> None:
        if length < low:
            raise Refused(f"Member must have length greater than or equal to {low}", value)
        if high is not None and length > high:
            raise Refused(f"Member must have length less than or equal to {high}", value)

    return check


def _string(shape: Shape) -> Check:
    hide = bool(shape.get("sensitive"))
    low, high = shape.get("min", 0), shape.get("max")
    allowed = frozenset(shape.get("enum", ()))
    listed = ", ".join(shape.get("enum", ()))
    java = shape.get("pattern")
    if allowed and java is None:
        return _choice(allowed, listed, hide)
    whole = pattern(java).fullmatch if java else None

    def check(value: Any) -> str:
        if type(value) is not str:
            raise mistyped("a string", value)
        length = len(value)
        if length < low:
            raise Refused(
                f"Member must have length greater than or equal to {low}", value, hide=hide
            )
        if high is not None and length > high:
            raise Refused(f"Member must have length less than or equal to {high}", value, hide=hide)
        if allowed and value not in allowed:
            raise Refused(f"Member must satisfy enum value set: [{listed}]", value, hide=hide)
        if whole is not None and whole(value) is None:
            raise Refused(
                f"Member must satisfy regular expression pattern: {java}", value, hide=hide
            )
        return value

    return check


def _choice(allowed: frozenset[str], listed: str, hide: bool) -> Check:
    def check(value: Any) -> str:
        if type(value) is not str:
            raise mistyped("a string", value)
        if value not in allowed:
            raise Refused(f"Member must satisfy enum value set: [{listed}]", value, hide=hide)
        return value

    return check


def _whole(shape: Shape) -> Check:
    floor, ceiling = LONG if shape["type"] == "long" else INTEGER
    within = _range(max(shape.get("min", floor), floor), min(shape.get("max", ceiling), ceiling))

    def check(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise mistyped("a whole number", value)
        within(value)
        return value

    return check


def _real(shape: Shape) -> Check:
    largest = 1.7976931348623157e308
    within = _range(shape.get("min", -largest), shape.get("max", largest))

    def check(value: Any) -> float:
        if type(value) is not float:
            if type(value) is not int:
                raise mistyped("a number", value)
            value = float(value)
        within(value)
        return value

    return check


def _range(low: float, high: float) -> Callable[[float], None]:
    def check(value: float) -> None:
        if not value >= low:
            raise Refused(f"Member must have value greater than or equal to {low}", value)
        if not value <= high:
            raise Refused(f"Member must have value less than or equal to {high}", value)

    return check


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise mistyped("true or false", value)
    return value


def _timestamp(value: Any) -> float:
    if type(value) not in (int, float, str):
        raise mistyped("a timestamp", value)
    try:
        return moments.read(value)
    except ValueError as error:
        raise Refused(str(error), value, mistyped=True) from None


def _blob(shape: Shape) -> Check:
    high = shape.get("max")

    def check(value: Any) -> bytes:
        if type(value) is not str:
            raise mistyped("a base64 string", value)
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise Refused("must be base64", mistyped=True) from None
        if high is not None and len(data) > high:
            raise Refused(f"Member must have length less than or equal to {high}", hide=True)
        return data

    return check


def _boolean_text(value: str) -> Any:
    return {"true": True, "false": False}.get(value.strip().lower(), value)


def _number_text(value: str) -> Any:
    if WHOLE_NUMBER(value):
        return int(value)
    try:
        return float(value)
    except ValueError:
        return value
