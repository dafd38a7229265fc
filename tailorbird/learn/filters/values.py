"""filterValues: what a request puts in the place of a filter's parameters.

A value is a list of quoted texts or numbers separated by commas: `"\\"drama\\",\\"action\\""`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from tailorbird.errors import Invalid
from tailorbird.learn.filters.grammar import EXCLUDE, Filter, Literal, literal

MEMBER = re.compile(
    r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))\s*(,|$)"""
)

MEMBERS_KEPT = 4_096

Values = dict[str, tuple[Literal, ...]]


def read(expressions: Filter, given: Mapping[str, str]) -> Values:
    """The values of a filter's parameters; Invalid names one that is missing or unknown.

    A parameter of an EXCLUDE may be left out: that part of the filter then does nothing.
    """
    known = {name for one in expressions for name in one.parameters}
    for name in given:
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise Invalid(
                f"filterValues: the filter has no parameter {name!r}; it has {names} "
                "(capitals count, and $ is left out)"
            )
    for one in expressions:
        for name in sorted(one.parameters - given.keys() if one.kind != EXCLUDE else ()):
            raise Invalid(f"filterValues: a value for the parameter {name} is missing")
    found = {name: members(name, text) for name, text in given.items()}
    for one in expressions:
        for name in one.numeric & found.keys():
            if any(value.number is None for value in found[name]):
                raise Invalid(f"filterValues: {name} is {given[name]!r}; a number is right")
    return found


@lru_cache(MEMBERS_KEPT)
def members(name: str, text: str) -> tuple[Literal, ...]:
    """The texts and numbers of one value."""
    found, at = [], 0
    while True:
        match = MEMBER.match(text, at)
        if match is None:
            raise Invalid(
                f"filterValues: the value of {name} cannot be read at position {at + 1}: "
                f'{text!r}; texts are quoted and separated by commas, as in "\\"a\\",\\"b\\""'
            )
        double, single, number, comma = match.groups()
        quoted = double if double is not None else single
        found.append(literal(number if quoted is None else re.sub(r"\\(.)", r"\1", quoted)))
        at = match.end()
        if not comma:
            return tuple(found)
