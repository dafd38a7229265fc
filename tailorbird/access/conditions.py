"""Condition blocks of policies: every operator must hold, for every key, for one of its values.

Missing keys: a positive operator is false, a negated one is true, `...IfExists` is true.
Source: IAM user guide, "Condition operators", "Multivalued context keys".
"""

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from tailorbird.access.patterns import arn_matches, as_list, expand, matches, plain
from tailorbird.clock import parse_iso

Test = Callable[[str, str], bool]  # (value in the policy, value in the request) -> fits


def failure(
    block: Mapping[str, Mapping[str, Any]],
    context: Mapping[str, Any],
    variables: bool,
    strict: bool,
) -> str | None:
    """The first condition that does not hold, in words; None when all hold.

    `context` has lower-case keys. `strict` (a Deny) lets an operator that is not understood hold:
    what cannot be read must never open a door.
    """
    for operator, keys in block.items():
        for key, wanted in keys.items():
            if not _holds(operator, key, as_list(wanted), context, variables, strict):
                given = context.get(key.lower(), "not given")
                return f"condition {operator} {key}={wanted!r} does not hold ({given!r})"
    return None


def known(operator: str) -> bool:
    """True for an operator this module evaluates, with or without its prefix and suffix."""
    _, name, if_exists = _parts(operator)
    return (name == "null" and not if_exists) or name.removeprefix("!") in OPERATORS


def _holds(
    operator: str,
    key: str,
    wanted: list[Any],
    context: Mapping[str, Any],
    variables: bool,
    strict: bool,
) -> bool:
    quantifier, name, if_exists = _parts(operator)
    given = context.get(key.lower())
    if name == "null":
        return all(_bool(v) == (given is None) for v in wanted)
    negated = name.startswith("!")
    test = OPERATORS.get(name.removeprefix("!"))
    if test is None:
        return strict
    if given is None:
        return _missing(quantifier, negated, if_exists)
    scope = context if variables else None
    patterns = [p for p in (expand(_text(w), scope) for w in wanted) if p is not None]
    hits = (any(_fits(test, p, _text(v)) for p in patterns) != negated for v in as_list(given))
    if quantifier == "forallvalues" or (negated and not quantifier):
        return all(hits)
    return any(hits)


def _missing(quantifier: str, negated: bool, if_exists: bool) -> bool:
    if quantifier == "forallvalues" or if_exists:
        return True
    return negated and not quantifier


def _parts(operator: str) -> tuple[str, str, bool]:
    """`ForAnyValue:StringNotLikeIfExists` -> ("foranyvalue", "!stringlike", True)."""
    quantifier, _, name = operator.lower().rpartition(":")
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    if name.startswith("not"):  # NotIpAddress
        return quantifier, "!" + name[3:], if_exists
    positive = _NEGATED.get(name)
    return quantifier, "!" + positive if positive else name, if_exists


def _fits(test: Test, pattern: str, value: str) -> bool:
    """A value that is not of the operator's type (a number, a date, an address) never fits."""
    try:
        return test(pattern, value)
    except (ValueError, binascii.Error):
        return False


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _bool(value: Any) -> bool:
    return _text(value).lower() == "true"


def _moment(text: str) -> float:
    """Dates come as ISO 8601 or as epoch seconds."""
    try:
        return float(text)
    except ValueError:
        return parse_iso(text)


def _within(pattern: str, value: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(pattern, strict=False)


OPERATORS: dict[str, Test] = {
    "stringequals": lambda p, v: plain(p) == v,
    "stringequalsignorecase": lambda p, v: plain(p).casefold() == v.casefold(),
    "stringlike": matches,
    "arnequals": arn_matches,
    "arnlike": arn_matches,
    "bool": lambda p, v: p.lower() == v.lower(),
    "binaryequals": lambda p, v: (
        base64.b64decode(p, validate=True) == base64.b64decode(v, validate=True)
    ),
    "ipaddress": _within,
    "numericequals": lambda p, v: float(v) == float(p),
    "numericlessthan": lambda p, v: float(v) < float(p),
    "numericlessthanequals": lambda p, v: float(v) <= float(p),
    "numericgreaterthan": lambda p, v: float(v) > float(p),
    "numericgreaterthanequals": lambda p, v: float(v) >= float(p),
    "dateequals": lambda p, v: _moment(v) == _moment(p),
    "datelessthan": lambda p, v: _moment(v) < _moment(p),
    "datelessthanequals": lambda p, v: _moment(v) <= _moment(p),
    "dategreaterthan": lambda p, v: _moment(v) > _moment(p),
    "dategreaterthanequals": lambda p, v: _moment(v) >= _moment(p),
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
}
