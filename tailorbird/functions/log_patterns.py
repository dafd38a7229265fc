"""Filter patterns of CloudWatch Logs: terms, and conditions on events in JSON.

Source: CloudWatch Logs user guide, "Filter pattern syntax". Patterns of columns (`[ip, user]`) and
regular expressions (`%...%`) are not built: a hostile one would cost Python any time. [I]: a
comparison with a property that an event does not have does not hold.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from tailorbird.errors import Invalid, NotBuilt

PATTERN_MAX_CHARS = 1024
DEPTH_MAX = 20
Test = Callable[[str], bool]
Condition = Callable[[Any], bool]

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<mark>\(|\)|&&|\|\||!=|<=|>=|=|<|>)
    | (?P<path>\$(?:\.[A-Za-z0-9_*-]+|\[\d+\]|\['[^']*'\])*)
    | "(?P<quoted>(?:[^"\\]|\\.)*)"
    | (?P<bare>[^\s()&|=<>!"]+)
    )""",
    re.VERBOSE,
)
_STEP = re.compile(r"\.([A-Za-z0-9_*-]+)|\[(\d+)\]|\['([^']*)'\]")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING = object()


def compiled(pattern: str) -> Test:
    """Whether an event's message fits; Invalid or NotBuilt says what is wrong with the pattern."""
    text = pattern.strip()
    if len(pattern) > PATTERN_MAX_CHARS:
        raise _invalid(f"{len(pattern)} characters; at most {PATTERN_MAX_CHARS} are allowed")
    if text.startswith("[") or "%" in re.sub(r'"[^"]*"', "", text):
        raise NotBuilt(f"filterPattern {pattern!r}: patterns of columns and %expressions%")
    if text.startswith("{"):
        return _of_json(text)
    return _of_terms(text)


def _of_terms(text: str) -> Test:
    every: list[Test] = []
    any_of: list[Test] = []
    for sign, quoted, bare in _TERM.findall(text):
        test = _containing(_unescaped(quoted) if quoted else bare)
        if sign == "?":
            any_of.append(test)
        else:
            every.append(_not(test) if sign == "-" else test)
    if every or not any_of:  # `?` counts only where every term has it
        return lambda message: all(test(message) for test in every)
    return lambda message: any(test(message) for test in any_of)


def _containing(term: str) -> Test:
    return lambda message: term in message


def _not(test: Test) -> Test:
    return lambda message: not test(message)


def _of_json(text: str) -> Test:
    if not text.endswith("}"):
        raise _invalid("a pattern that begins with { ends with }")
    condition = _Reader(text[1:-1]).read()

    def test(message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            return condition(json.loads(message))
        except (ValueError, RecursionError):
            return False

    return test


class _Reader:
    """Reads a condition on JSON: `&&` before `||`, parentheses before both."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def read(self) -> Condition:
        found = self._any_of()
        if self._at < len(self._tokens):
            raise _invalid(f"{self._tokens[self._at][1]!r} is one too many")
        return found

    def _any_of(self) -> Condition:
        tests = [self._all_of()]
        while self._takes("||"):
            tests.append(self._all_of())
        return lambda event: any(test(event) for test in tests)

    def _all_of(self) -> Condition:
        tests = [self._one()]
        while self._takes("&&"):
            tests.append(self._one())
        return lambda event: all(test(event) for test in tests)

    def _one(self) -> Condition:
        if not self._takes("("):
            return self._comparison()
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _invalid(f"more than {DEPTH_MAX} parentheses within each other")
        found = self._any_of()
        self._depth -= 1
        if not self._takes(")"):
            raise _invalid("a parenthesis is not closed")
        return found

    def _comparison(self) -> Condition:
        kind, path = self._next("a property such as $.level")
        if kind != "path":
            raise _invalid(f"{path!r} stands where a property such as $.level is right")
        kind, sign = self._next("an operator")
        if kind == "bare":
            return _state(path, sign.upper(), self._next("NULL, TRUE, FALSE or EXISTS")[1].upper())
        if sign in ("=", "!="):
            return _equal(path, self._next("a value"), wanted=sign == "=")
        if sign in _ORDER:
            return _ordered(path, sign, self._next("a number")[1])
        raise _invalid(f"{sign!r} is no operator; = != < <= > >= IS NOT are")

    def _takes(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("mark", mark):
            self._at += 1
            return True
        return False

    def _next(self, what: str) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _invalid(f"it ends where {what} is right")
        self._at += 1
        return self._tokens[self._at - 1]


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            raise _invalid(f"{text[at:].strip()[:20]!r} cannot be read")
        kind = str(token.lastgroup)
        found.append((kind, token[kind]))
        at = token.end()
    return found


def _equal(path: str, given: tuple[str, str], *, wanted: bool) -> Condition:
    kind, text = given
    number = _number(text) if kind == "bare" else None
    pieces = _unescaped(text).split("*")

    def same(value: Any) -> bool:
        if number is not None and isinstance(value, int | float):
            return (float(value) == number) is wanted
        return _like(pieces, _text(value)) is wanted

    return _where(path, same)


def _like(pieces: Sequence[str], text: str) -> bool:
    """The pieces in their order, anything between two of them, nothing before the first."""
    first, *rest = pieces
    if not rest:
        return text == first
    last = rest.pop()
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in rest:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _ordered(path: str, sign: str, text: str) -> Condition:
    number = _number(text)
    if number is None:
        raise _invalid(f"{sign} compares with a number, {text!r} is none")
    compare = _ORDER[sign]
    return _where(
        path,
        lambda value: (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and compare(float(value), number)
        ),
    )


def _state(path: str, word: str, state: str) -> Condition:
    """`IS NULL`, `IS TRUE`, `IS FALSE`, `NOT EXISTS`."""
    if (word, state) == ("NOT", "EXISTS"):
        return lambda event: _value(event, path) is _MISSING
    states = {"NULL": None, "TRUE": True, "FALSE": False}
    if word != "IS" or state not in states:
        raise _invalid(f"{word} {state}: IS NULL, IS TRUE, IS FALSE and NOT EXISTS are right")
    return _where(path, lambda value: value is states[state])


def _where(path: str, test: Callable[[Any], bool]) -> Condition:
    def condition(event: Any) -> bool:
        value = _value(event, path)
        return value is not _MISSING and test(value)

    return condition


def _value(event: Any, path: str) -> Any:
    """What stands at the path of an event."""
    for name, index, quoted in _STEP.findall(path):
        if index:
            if not isinstance(event, list) or int(index) >= len(event):
                return _MISSING
            event = event[int(index)]
        elif isinstance(event, dict) and (name or quoted) in event:
            event = event[name or quoted]
        else:
            return _MISSING
    return event


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _invalid(what: str) -> Invalid:
    return Invalid(f"Invalid filter pattern: {what}", code="InvalidParameterException")
