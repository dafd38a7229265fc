"""What one line of an archive becomes: rows, or the reason why there are none.

Needs the standard library only, so that a Spark executor can be sent this file as it is; with
msgspec at hand nothing is read from a line but what the mapping looks at.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from tailorbird.prepare.clock_texts import Clock
from tailorbird.prepare.mapping import (
    ID_MAX_CHARACTERS,
    SECONDS_MAX,
    TEXT_MAX_CHARACTERS,
    Column,
    Dataset,
)
from tailorbird.prepare.paths import Path
from tailorbird.prepare.quick import is_plain, quick

SLIPS = re.compile(rb'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')  # strings, and commas before a bracket

Row = tuple[Any, ...]
Given = list[Row | None] | str  # rows, or a reason
Rule = Callable[[dict[str, Any]], Given]
Get = Callable[[Any], Any]


def rule(dataset: Dataset) -> Rule:
    """From a call to its rows in the dataset's columns.

    Rows of a dataset of which the latest counts are (id, epoch milliseconds, *values). A None
    among the rows is an entry of the array that names no item.
    """
    user, anonymous = _first_id(dataset.user, dataset), _first_id(dataset.anonymous, dataset)
    event_of, type_of = _getter(("event",)), _getter(("type",))
    time_of = _getter(dataset.time.outer)
    clock = Clock()
    instant = clock.usual_seconds if dataset.literal else clock.seconds
    types = {name: dict(dataset.event_types).get(name, name) for name in dataset.events}
    wanted = frozenset(dataset.types)
    items = _items(dataset)
    shape = _shape(dataset, clock)

    roots = dataset.roots
    needs_properties, needs_anonymous = dataset.needs_properties, dataset.needs_anonymous
    has_user, has_anonymous = bool(dataset.user), bool(dataset.anonymous)
    literal = dataset.literal

    def is_none(call: dict[str, Any]) -> bool:
        return all(call.get(root) is None for root in roots)

    def convert(call: dict[str, Any]) -> Given:
        if wanted and not is_in(type_of(call), wanted):
            return "not_a_call" if is_none(call) else "type_not_wanted"
        event = None
        if types:
            name = event_of(call)
            if not isinstance(name, str):
                return "not_a_call" if is_none(call) else "no_event"
            event = types.get(name)
            if event is None:
                return "event_not_wanted"
        user_id = user(call)
        if user_id is None and has_user:
            return "no_user_id"
        anonymous_id = anonymous(call) if has_anonymous else None
        if anonymous_id is None and needs_anonymous:
            return "no_anonymous_id"
        if needs_properties and not isinstance(call.get("properties"), dict):
            return "properties_not_object"
        moment = time_of(call)
        seconds = instant(moment)
        if not literal and (seconds is None or not 0 <= seconds < SECONDS_MAX):
            return "bad_timestamp"
        found = items(call)
        if found is None:
            return "no_item_id"
        known = (user_id, event, seconds, _text(moment), anonymous_id)
        if len(found) == 1:
            item, entry = found[0]
            return [shape(call, entry, item, known)]
        return [None if item is None else shape(call, entry, item, known) for item, entry in found]

    return quick(dataset, convert, clock) if is_plain(dataset) else convert


def read(line: bytes) -> dict[str, Any]:
    """The object a line holds; an empty one when it holds none.

    Slips of sloppy writers are overlooked: NaN, Infinity, a comma before a closing bracket.
    """
    try:
        text = line.decode()
        try:
            value = json.loads(text)
        except ValueError:
            value = json.loads(SLIPS.sub(rb"\1", line))
        if not isinstance(value, dict):
            return {}
        if "\\u" in text:  # half a surrogate pair is no character
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return {}
    return value


def reader(
    dataset: Dataset,
) -> tuple[Callable[[bytes], dict[str, Any]], tuple[type[Exception], ...]]:
    """`read`, but much quicker for ASCII lines that are in order, and what it raises for others.

    Only what the mapping looks at is read; the rest is passed over (and must be JSON all the same).
    """
    try:
        import msgspec
    except ImportError:
        return read, ()
    decoder: Any = msgspec.json.Decoder(_typed(dataset))
    return decoder.decode, (msgspec.MsgspecError, RecursionError)


def is_in(value: Any, wanted: frozenset[str]) -> bool:
    return isinstance(value, str) and value in wanted


def as_id(value: Any) -> str | None:
    """A text of a length that an id may have, or a whole number, as text; else None."""
    if type(value) is int:
        value = str(value)
    return value if type(value) is str and 0 < len(value) <= ID_MAX_CHARACTERS else None


def scalar(value: Any, kind: str) -> Any:
    """The value as a column of this kind shows it; None when it is not of the kind."""
    if kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        return _number(value) if isinstance(value, int | float) else _text(value)
    if kind == "boolean":
        return None if not isinstance(value, bool) else "true" if value else "false"
    if isinstance(value, bool):
        return None
    if kind in ("int", "long"):
        return value if isinstance(value, int) else None
    return _number(value) if isinstance(value, int | float) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: float) -> str | None:
    """As Python writes it; one beyond a double is none."""
    if isinstance(value, int):
        return str(value)
    return repr(value) if math.isfinite(value) else None


def _shape(dataset: Dataset, clock: Clock) -> Callable[..., Row]:
    """The function that puts one row together."""
    own = {"user": 0, "event": 1, "seconds": 2, "moment": 3, "anonymous": 4}
    parts: list[tuple[int, Callable[[Any, Any], Any] | None]] = []
    for column in dataset.columns:
        place = own.get(column.kind, 5 if column.kind == "item" else -1)
        parts.append((place, None if place >= 0 else _value(column)))
    places = [place for place, _ in parts]
    if not dataset.latest and all(value is None for _, value in parts):
        if places == [0, 5, 1, 2]:
            return lambda call, entry, item, known: (known[0], item, known[1], known[2])
        return lambda call, entry, item, known: tuple((*known, item)[place] for place in places)

    def shape(call: Any, entry: Any, item: Any, known: tuple[Any, ...]) -> Row:
        has = (*known, item)
        return tuple([has[p] if get is None else get(call, entry) for p, get in parts])

    if not dataset.latest:
        return shape
    return lambda call, entry, item, known: (
        item if item is not None else known[0],
        clock.milliseconds(known[3]),
        *shape(call, entry, item, known),
    )


def _value(column: Column) -> Callable[[Any, Any], Any]:
    """The first of the column's fields that holds a value of its kind."""
    ways = [
        (path.inner is not None, _getter(path.outer if path.inner is None else path.inner))
        for path in column.paths
    ]
    kind = column.kind

    def value(call: Any, entry: Any) -> Any:
        for inside, get in ways:
            found = scalar(get(entry if inside else call), kind)
            if found is not None:
                return found[:TEXT_MAX_CHARACTERS] if type(found) is str else found
        return None

    return value


def _items(dataset: Dataset) -> Callable[[Any], list[tuple[str | None, Any]] | None]:
    """The items of a call, each with its entry of the array; None when there is none at all.

    The item's fields are tried in order; those in the array stand together, where the first
    stands, and count when the array has an entry.
    """
    if not dataset.item:
        return lambda call: [(None, None)]
    array, is_id = dataset.array, _scalar_text if dataset.literal else as_id
    before, after, inner = _around(dataset.item)
    flat_before = [_getter(path.outer) for path in before]
    flat_after = [_getter(path.outer) for path in after]
    within = [_getter(path.inner or ()) for path in inner]
    entries_of = _getter(array or ("",))

    def items(call: Any) -> list[tuple[str | None, Any]] | None:
        found = _first(flat_before, call, is_id)
        if found is not None:
            return [(found, None)]
        if array:
            entries = entries_of(call)
            if isinstance(entries, list) and entries:
                many = [(_first(within, entry, is_id), entry) for entry in entries]
                return many if any(item is not None for item, _ in many) else None
        found = _first(flat_after, call, is_id)
        return None if found is None else [(found, None)]

    return items


def _around(paths: Sequence[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """The flat paths before the first one in the array, those after it, and those in it."""
    at = next((n for n, path in enumerate(paths) if path.inner is not None), 0)
    flat = [path.inner is None for path in paths]
    return (
        [path for path, plain in zip(paths[:at], flat, strict=False) if plain],
        [path for path, plain in zip(paths[at:], flat[at:], strict=True) if plain],
        [path for path in paths if path.inner is not None],
    )


def _first(ways: Sequence[Get], value: Any, is_id: Callable[[Any], str | None]) -> str | None:
    for get in ways:
        found = is_id(get(value))
        if found is not None:
            return found
    return None


def _first_id(paths: Sequence[Path], dataset: Dataset) -> Get:
    ways, is_id = [_getter(path.outer) for path in paths], _scalar_text
    if not dataset.literal:
        is_id = as_id
    if len(ways) == 1:
        only = ways[0]
        return lambda call: is_id(only(call))
    return lambda call: _first(ways, call, is_id)


def _scalar_text(value: Any) -> str | None:
    """Spark's cast to a string, for what is no object."""
    return scalar(value, "string")


def _getter(steps: Sequence[str]) -> Get:
    if len(steps) == 1:
        (only,) = steps
        return lambda value: value.get(only) if type(value) is dict else None
    if len(steps) == 2:
        first, second = steps

        def two(value: Any) -> Any:
            found = value.get(first) if type(value) is dict else None
            return found.get(second) if type(found) is dict else None

        return two

    def many(value: Any) -> Any:
        for step in steps:
            value = value.get(step) if type(value) is dict else None
        return value

    return many


def _typed(dataset: Dataset) -> Any:
    """A type with the fields looked at and no others, for msgspec."""
    tree: dict[str, Any] = {}
    for path in dataset.paths:
        node = tree
        steps = path.outer if path.inner is None else (*path.outer, "[]", *path.inner)
        for step in steps[:-1]:
            node = node.setdefault(step, {})
        node.setdefault(steps[-1], {})
    return _type(tree, "Call")


def _type(tree: dict[str, Any], name: str) -> Any:
    from typing import TypedDict

    if not tree:
        return Any
    if "[]" in tree:
        # What is looked at itself and in its entries must be read whole.
        return list.__class_getitem__(_type(tree["[]"], name + "_")) if len(tree) == 1 else Any
    fields = {key: _type(node, f"{name}_{n}") for n, (key, node) in enumerate(tree.items())}
    return TypedDict(name, fields, total=False)  # type: ignore[operator]
