"""Parts that hold only text and plain variables, filled in without the JavaScript engine.

What is not exactly what the engine would print is left to the engine: `None` says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

_SEGMENT = r"(?:[A-Za-z_][\w-]*|\[[^\[\]\n{}]+\])"
_PATH = rf"{_SEGMENT}(?:\.{_SEGMENT})*"
_VARIABLE = re.compile(
    rf"(?<![{{\\])(?:\{{\{{\{{[ \t]*(?P<bare>{_PATH})[ \t]*\}}\}}\}}"
    rf"|\{{\{{(?!\{{)[ \t]*(?P<plain>{_PATH})[ \t]*\}}\}})(?!\}})",
    re.ASCII,
)
_INDEX = re.compile(r"0|[1-9]\d{0,5}", re.ASCII)
_SPLIT = re.compile(_SEGMENT, re.ASCII)
_TOP = frozenset(
    [
        "Address",
        "Attributes",
        "ChannelType",
        "CreationDate",
        "Demographic",
        "EffectiveDate",
        "EndpointStatus",
        "Id",
        "Location",
        "Metrics",
        "OptOut",
        "RequestId",
        "User",
        "RecommendationItems",
        "Recommendations",
    ]
)
_POISON = frozenset(("__proto__", "constructor", "prototype", "length", "this"))
_LIST_MAPS = (("User", "UserAttributes"), ("Attributes",), ("Recommendations",))
_MAPS = (*_LIST_MAPS, ("Metrics",))
_ESCAPES = str.maketrans(
    {
        "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;", "`": "&#x60;",
        "=": "&#x3D;",
    }
)  # fmt: skip
_UNSAFE = re.compile("[&<>\"'`=]")
# Between these a float is printed alike by JavaScript and by Python.
_SMALLEST, _LARGEST = 1e-4, 1e15

Fill = Callable[[Mapping[str, Any]], "list[str] | None"]


class _Variable(NamedTuple):
    path: tuple[str, ...]
    place: int | None  # in a list
    escape: bool
    default: Any


class _NotPlain(Exception):
    """The engine has to look at this endpoint."""


def filler(parts: Sequence[tuple[str, bool]], defaults: Mapping[str, Any]) -> Fill | None:
    """What fills in these parts (source, escape) for one endpoint; None when they hold more than
    plain variables.
    """
    variables: dict[_Variable, int] = {}
    shapes: list[tuple[str, Any]] = []
    known = {_path(name): value for name, value in defaults.items()}
    for source, escape in parts:
        shape, order, end = "", [], 0
        for found in _VARIABLE.finditer(source):
            variable = _variable(found, escape, known)
            if variable is None:
                return None
            shape += source[end : found.start()].replace("%", "%%") + "%s"
            order.append(variables.setdefault(variable, len(variables)))
            end = found.end()
        rest = source[end:]
        if "{{" in _VARIABLE.sub("", source) or not order:
            return None
        chosen = itemgetter(*order) if len(order) > 1 else _one(order[0])
        shapes.append((shape + rest.replace("%", "%%"), chosen))
    readers = [_reader(variable) for variable in variables]

    def fill(endpoint: Mapping[str, Any]) -> list[str] | None:
        try:
            values = [read(endpoint) for read in readers]
        except _NotPlain:
            return None
        return [shape % chosen(values) for shape, chosen in shapes]

    return fill


def _one(index: int) -> Callable[[list[str]], tuple[str]]:
    return lambda values: (values[index],)


def _variable(
    found: re.Match[str], escape: bool, defaults: Mapping[tuple[str, ...], Any]
) -> _Variable | None:
    bare = found["bare"]
    path = tuple(part.strip("[]") for part in _SPLIT.findall(bare or found["plain"]))
    index = int(path[-1]) if len(path) > 1 and _INDEX.fullmatch(path[-1]) else None
    path = path if index is None else path[:-1]
    if path[0] not in _TOP or _POISON & set(path) or any(part[0].isdigit() for part in path):
        return None
    if any(one != path and _nested(one, path) for one in defaults):
        return None
    default = defaults.get(path)
    if path in defaults and path[:-1] in _LIST_MAPS and not isinstance(default, list):
        default = [default]
    if isinstance(default, list):
        if not all(isinstance(one, str | int | float) for one in default):
            return None
        default = tuple(default)
    return _Variable(path, index, escape and not bare, default)


def _nested(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    size = min(len(one), len(other))
    return one[:size] == other[:size]


def _path(name: str) -> tuple[str, ...]:
    """As the engine reads the names of default values: below a map, the rest is one name."""
    bare = re.sub(r"\.\[\d+\]$", "", name)
    for prefix in _MAPS:
        start = ".".join(prefix) + "."
        if bare.startswith(start):
            return (*prefix, re.sub(r"^\[(.*)\]$", r"\1", bare[len(start) :]))
    return tuple(bare.split("."))


def _reader(variable: _Variable) -> Callable[[Mapping[str, Any]], str]:
    """What finds a variable's text in an endpoint."""
    path, place, escape, default = variable

    def read(endpoint: Mapping[str, Any]) -> str:
        value: Any = endpoint
        for part in path:
            if type(value) is not dict:
                raise _NotPlain
            value = value.get(part)
            if value is None:
                break
        if value is None or value == []:
            value = default
        if place is not None and value is not None:
            if type(value) not in (list, tuple):
                raise _NotPlain
            value = value[place] if place < len(value) else None
        text = value if type(value) is str else _printed(value)
        if escape and _UNSAFE.search(text):
            return text.translate(_ESCAPES)
        return text

    return read


def _printed(value: Any) -> str:
    """As JavaScript makes text of it."""
    kind = type(value)
    if kind is list and len(value) == 1 and type(value[0]) is str:
        return str(value[0])
    if value is None:
        return ""
    if kind is str:
        return str(value)
    if kind in (list, tuple):
        return ",".join(_printed(one) for one in value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int and abs(value) < _LARGEST:
        return str(value)
    if kind is float and value == 0:
        return "0"
    if kind is float and _SMALLEST <= abs(value) < _LARGEST:
        return str(int(value)) if value.is_integer() else repr(value)
    raise _NotPlain
