"""FQL: the language of conditions on calls that Segment's destination filters are written in.

`type = "track" and properties.price >= 10 and !contains(lowercase(event), "test")`, or `all`.
Source: Segment, "Filter Query Language" of the Public API.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Any

from tailorbird.errors import Invalid

CONDITION_MAX_CHARACTERS = 10_000
DEPTH_MAX = 50
ALL = "all"

Call = dict[str, Any]
Value = Callable[[Call], Any]
Condition = Callable[[Call], bool]

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)
    | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    | (?P<sign><=|>=|!=|=|<|>|!|\(|\)|,|\[|\])
    | (?P<word>(?:\\.|[A-Za-z0-9_$@:\-.])+)
    )""",
    re.VERBOSE,
)
ESCAPED = re.compile(r"\\(.)")
PART = re.compile(r"(?:\\.|[^.\\])+")
CONSTANTS = {"true": True, "false": False, "null": None}


def compiled(text: Any) -> Condition:
    """The condition as a function of a call; Invalid says where it is not FQL."""
    if not isinstance(text, str) or not text.strip():
        raise Invalid(f'the condition is {text!r}; FQL such as type = "track" is right')
    if len(text) > CONDITION_MAX_CHARACTERS:
        raise Invalid(
            f"the condition has {len(text)} characters; at most {CONDITION_MAX_CHARACTERS}"
        )
    if text.strip() == ALL:
        return lambda call: True
    parser = _Parser(text)
    condition = parser.either()
    parser.end()
    return lambda call: condition(call) is True


def at(call: Call, path: str) -> Any:
    """What stands at a path such as properties.price; None when nothing does."""
    return _found(call, _parts(path))


class _Parser:
    """Recursive descent over the tokens: or, and, !, comparison, value."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.next = 0
        self.depth = 0

    def either(self) -> Value:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise Invalid(f"the condition is nested deeper than {DEPTH_MAX}")
        parts = [self._both()]
        while self._take("word", "or"):
            parts.append(self._both())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else lambda call: any(p(call) is True for p in parts)

    def end(self) -> None:
        if self.next < len(self.tokens):
            raise self._wrong("the end or 'and' or 'or'")

    def _both(self) -> Value:
        parts = [self._not()]
        while self._take("word", "and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda call: all(p(call) is True for p in parts)

    def _not(self) -> Value:
        turns = 0
        while self._take("sign", "!"):
            turns += 1
        inner = self._compared()
        return inner if turns % 2 == 0 else lambda call: inner(call) is not True

    def _compared(self) -> Value:
        left = self._value()
        if self._take("word", "in"):
            return _within(left, self._list())
        for sign, holds in COMPARISONS.items():
            if self._take("sign", sign):
                right = self._value()
                return lambda call: holds(left(call), right(call))
        return left

    def _value(self) -> Value:
        if self._take("sign", "("):
            inner = self.either()
            self._need(")")
            return inner
        kind, word = self._peek()
        if kind in ("number", "text"):
            return _constant(self._literal())
        if kind != "word":
            raise self._wrong("a path, a value or '('")
        self.next += 1
        if self._take("sign", "("):
            return self._function(word)
        if word in CONSTANTS:
            return _constant(CONSTANTS[word])
        parts = _parts(word)
        return lambda call: _found(call, parts)

    def _function(self, name: str) -> Value:
        if name not in FUNCTIONS:
            raise Invalid(f"FQL has no function {name!r}; it has {', '.join(FUNCTIONS)}")
        function, count = FUNCTIONS[name]
        given: list[Value] = []
        while not self._take("sign", ")"):
            if given:
                self._need(",")
            given.append(self._value())
        if len(given) != count:
            raise Invalid(f"{name} takes {count} values, not {len(given)}")
        return lambda call: function(*(value(call) for value in given))

    def _list(self) -> list[Any]:
        close = ")" if self._take("sign", "(") else "]"
        if close == "]":
            self._need("[")
        found: list[Any] = []
        while not self._take("sign", close):
            if found:
                self._need(",")
            found.append(self._literal())
        return found

    def _literal(self) -> Any:
        kind, word = self._peek()
        self.next += 1
        if kind == "number":
            return float(word) if any(c in word for c in ".eE") else int(word)
        if kind == "text":
            return ESCAPED.sub(r"\1", word[1:-1])
        if kind == "word" and word in CONSTANTS:
            return CONSTANTS[word]
        self.next -= 1
        raise self._wrong("a text, a number, true, false or null")

    def _peek(self) -> tuple[str, str]:
        if self.next >= len(self.tokens):
            return "end", ""
        return self.tokens[self.next][:2]

    def _take(self, kind: str, word: str) -> bool:
        if self._peek() != (kind, word):
            return False
        self.next += 1
        return True

    def _need(self, sign: str) -> None:
        if not self._take("sign", sign):
            raise self._wrong(repr(sign))

    def _wrong(self, right: str) -> Invalid:
        if self.next >= len(self.tokens):
            return Invalid(f"the condition ends where {right} is needed: {self.text[-80:]!r}")
        _, word, place = self.tokens[self.next]
        return Invalid(f"the condition has {word!r} at character {place}; {right} is right")


def _tokens(text: str) -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    place = 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise Invalid(f"the condition has {text[place : place + 20]!r}, which is not FQL")
        kind = str(match.lastgroup)
        word = match[kind]
        if kind == "word" and word.lower() in ("and", "or", "in"):
            word = word.lower()
        found.append((kind, word, match.start(kind)))
        place = match.end()
    return found


def _parts(path: str) -> list[str]:
    return [ESCAPED.sub(r"\1", part) for part in PART.findall(path)]


def _found(call: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(call, dict):
            return None
        call = call.get(part)
    return call


def _constant(value: Any) -> Value:
    return lambda call: value


def _within(value: Value, among: list[Any]) -> Value:
    return lambda call: any(_equal(value(call), one) for one in among)


def _equal(left: Any, right: Any) -> bool:
    """Equal and of one kind: true is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _ordered(left: Any, right: Any, holds: Callable[[Any, Any], bool]) -> bool:
    """Numbers with numbers, texts with texts; anything else is not in any order."""
    for kind in (str, int | float):
        if isinstance(left, kind) and isinstance(right, kind):
            return not isinstance(left, bool) and not isinstance(right, bool) and holds(left, right)
    return False


def _contains(value: Any, part: Any) -> bool:
    if isinstance(value, list):
        return any(_equal(one, part) for one in value)
    return isinstance(value, str) and isinstance(part, str) and part in value


def _matches(value: Any, pattern: Any) -> bool:
    if not isinstance(value, str) or not isinstance(pattern, str):
        return False
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def _typeof(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, str | list) else None


def _lowercase(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else None


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": lambda a, b: _ordered(a, b, lambda x, y: x <= y),
    ">=": lambda a, b: _ordered(a, b, lambda x, y: x >= y),
    "!=": lambda a, b: not _equal(a, b),
    "=": _equal,
    "<": lambda a, b: _ordered(a, b, lambda x, y: x < y),
    ">": lambda a, b: _ordered(a, b, lambda x, y: x > y),
}
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "contains": (_contains, 2),
    "match": (_matches, 2),
    "lowercase": (_lowercase, 1),
    "typeof": (_typeof, 1),
    "length": (_length, 1),
}
