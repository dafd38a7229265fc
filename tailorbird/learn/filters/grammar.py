"""Filter expressions: text in, a tree out; an expression that does not parse says where and why.

    expression := (INCLUDE|EXCLUDE) (ItemID|UserID|ActionID) WHERE condition ((AND|OR) condition)*
                  [IF CurrentUser.field ... (AND CurrentUser.field ...)*]
    filter     := expression ('|' expression)*

Source: Personalize developer guide, "Filter expression structure and elements".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isfinite

from tailorbird.errors import Invalid

INCLUDE, EXCLUDE = "INCLUDE", "EXCLUDE"
TARGETS = {"ITEMID": "ITEMS", "USERID": "USERS", "ACTIONID": "ACTIONS"}
DATASETS = {
    "INTERACTIONS": "INTERACTIONS",
    "ITEMS": "ITEMS",
    "USERS": "USERS",
    "ACTIONS": "ACTIONS",
    "ACTION_INTERACTIONS": "ACTION_INTERACTIONS",
}
CURRENT_USER, CURRENT_ITEM = "CURRENTUSER", "CURRENTITEM"
ORDERING = ("<", "<=", ">", ">=")
COMPARISONS = ("=", "!=", "<=", ">=", "<", ">")
ANY_TYPE = "*"
PARSED_KEPT = 1024

TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<parameter>\$[A-Za-z_]\w*)
    | (?P<word>[A-Za-z_][\w-]*)
    | (?P<sign><=|>=|!=|[=<>(),.|])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Literal:
    """A value as it is written: the text, and the number it is (None for a word)."""

    text: str
    number: float | None


@dataclass(frozen=True)
class Parameter:
    """`$NAME`: its value comes with the request."""

    name: str


@dataclass(frozen=True)
class OfCurrentItem:
    """`CurrentItem.FIELD`: its value is that of the item a request names."""

    field: str


Value = Literal | Parameter | OfCurrentItem


@dataclass(frozen=True)
class Condition:
    """`dataset.FIELD sign values`; the sign is IN, NOT IN or a comparison."""

    dataset: str
    field: str
    sign: str
    values: tuple[Value, ...]

    @property
    def parameters(self) -> set[str]:
        return {value.name for value in self.values if isinstance(value, Parameter)}


@dataclass(frozen=True)
class Expression:
    """One INCLUDE or EXCLUDE: alternatives of conditions that all hold (AND before OR)."""

    kind: str
    target: str  # ITEMS, USERS or ACTIONS
    alternatives: tuple[tuple[Condition, ...], ...]
    when: tuple[Condition, ...]  # of the current user; all must hold

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(one for every in self.alternatives for one in every)

    @cached_property
    def parameters(self) -> frozenset[str]:
        return frozenset(name for one in (*self.conditions, *self.when) for name in one.parameters)

    @cached_property
    def numeric(self) -> frozenset[str]:
        """The parameters that are compared by size: their values have to be numbers."""
        found = (one for one in (*self.conditions, *self.when) if one.sign in ORDERING)
        return frozenset(name for one in found for name in one.parameters)


Filter = tuple[Expression, ...]


@lru_cache(PARSED_KEPT)
def parse(text: str) -> Filter:
    """The tree of a filter expression; Invalid names the position and what was expected."""
    reader = _Reader(text)
    found = [reader.expression()]
    while reader.taken("|"):
        found.append(reader.expression())
    reader.end()
    if len({one.target for one in found}) > 1:
        raise Invalid(
            "Could not create filter. Invalid Expression: all parts of a filter have to be about "
            "the same: ItemID, UserID or ActionID"
        )
    return tuple(found)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "word" else ""


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.place = 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        token = self.next
        self.place += token.kind != "end"
        return token

    def taken(self, *wanted: str) -> str | None:
        """The next word or sign when it is one of these."""
        token = self.next
        said = token.word or (token.text if token.kind == "sign" else "")
        if said in wanted:
            self.place += 1
            return said
        return None

    def expect(self, *wanted: str) -> str:
        said = self.taken(*wanted)
        if said is None:
            raise self.wrong(" or ".join(wanted))
        return said

    def wrong(self, wanted: str) -> Invalid:
        token = self.next
        shown = "the end" if token.kind == "end" else repr(token.text)
        return Invalid(
            f"Could not create filter. Invalid Expression at position {token.at + 1}: "
            f"expected {wanted}, found {shown}"
        )

    def end(self) -> None:
        if self.next.kind != "end":
            raise self.wrong("AND, OR, IF, | or the end")

    def expression(self) -> Expression:
        kind = self.expect(INCLUDE, EXCLUDE)
        target = self.expect("ITEMID", "USERID", "ACTIONID")
        self.expect("WHERE")
        alternatives = [[self.condition()]]
        while joint := self.taken("AND", "OR"):
            if joint == "OR":
                alternatives.append([])
            alternatives[-1].append(self.condition())
        when = []
        if self.taken("IF"):
            when.append(self.of_user())
            while self.taken("AND"):
                when.append(self.of_user())
            if self.next.word == "OR":
                raise self.wrong("AND (IF knows no OR)")
        return Expression(
            kind, TARGETS[target], tuple(tuple(one) for one in alternatives), tuple(when)
        )

    def condition(self) -> Condition:
        if self.next.text == "(":
            raise self.wrong("Dataset.FIELD (parentheses around conditions are not known)")
        if self.next.word == CURRENT_USER:
            raise self.wrong("a dataset (CurrentUser stands only after IF)")
        dataset = DATASETS[self.expect(*DATASETS)]
        return self.comparison(dataset)

    def of_user(self) -> Condition:
        self.expect(CURRENT_USER)
        return self.comparison(CURRENT_USER)

    def comparison(self, dataset: str) -> Condition:
        self.expect(".")
        field = self.field()
        negated = self.taken("NOT") is not None
        if negated or self.next.word == "IN":
            self.expect("IN")
            sign = "NOT IN" if negated else "IN"
            values = self.members()
        else:
            sign = self.expect(*COMPARISONS, "IN", "NOT IN")
            values = (self.value(),)
        condition = Condition(dataset, field, sign, values)
        for name in sorted(condition.parameters if sign == "NOT IN" else ()):
            raise Invalid(
                f"Could not create filter. Invalid input symbol: ${name}. "
                "Placeholders are not allowed with NOT_IN operator."
            )
        return condition

    def field(self) -> str:
        if self.next.kind != "word":
            raise self.wrong("a field's name")
        return self.take().text.upper()

    def members(self) -> tuple[Value, ...]:
        if self.next.word == CURRENT_ITEM:
            return (self.value(),)
        self.expect("(")
        values = [self.value()]
        while self.taken(","):
            values.append(self.value())
        self.expect(")")
        return tuple(values)

    def value(self) -> Value:
        token = self.next
        if token.kind == "string":
            self.take()
            return literal(_unquoted(token.text))
        if token.kind == "number":
            self.take()
            return literal(token.text)
        if token.kind == "parameter":
            self.take()
            return Parameter(token.text[1:])
        if token.word == CURRENT_ITEM:
            self.take()
            self.expect(".")
            return OfCurrentItem(self.field())
        raise self.wrong('a value ("text", a number, $PARAMETER or CurrentItem.FIELD)')


def literal(text: str) -> Literal:
    """A text as a value; a number too where it is one."""
    try:
        number = float(text)
    except ValueError:
        return Literal(text, None)
    return Literal(text, number if isfinite(number) else None)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            quote = "a closing quote is missing" if text[start] in "\"'" else repr(text[start])
            raise Invalid(
                f"Could not create filter. Invalid Expression at position {start + 1}: "
                f"cannot read {text[start : start + 20]!r} ({quote})"
            )
        kind = match.lastgroup or ""
        found.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return [*found, _Token("end", "", len(text))]
