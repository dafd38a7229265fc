"""JSON documents to requests: known members only, checked against the model on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from tailorbird.gateway.wire import check
from tailorbird.gateway.wire.model import Model, Ref, Shape
from tailorbird.gateway.wire.refusal import Malformed, Refused, missing, mistyped

Parse = Callable[[Any], Any]
# A member on its way in: our name, the type that needs no parsing (or None), the parser.
Entry = tuple[str, type | None, Parse]

NUL_ESCAPE = b"\\u0000"


def document(body: bytes) -> Any:
    """The JSON value of a body; an empty body is an empty object."""
    if not body:
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(
            f"Could not parse request body into json: {error.msg}"
            f" (line {error.lineno}, column {error.colno}, position {error.pos})"
        ) from None
    if NUL_ESCAPE in body:
        refuse_nul(value)
    return value


def refuse_nul(document: Any) -> None:
    """Refuse a NUL character anywhere in a value, naming the member: no database can store it."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str) and "\0" in value:
            refused = Refused("must not hold the NUL character (\\u0000)", mistyped=True)
            for name in reversed(path):
                refused.under(name.replace("\0", "\\u0000"))
            raise refused
        if isinstance(value, dict):
            waiting.extend(((*path, name), name) for name in value)
            waiting.extend(((*path, name), item) for name, item in value.items())
        elif isinstance(value, list):
            waiting.extend(((*path, _position(n)), item) for n, item in enumerate(value))


class JsonReader:
    """Parsers of one model's shapes, each made once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._made: dict[tuple[str, str | None], Parse] = {}

    def parser(self, ref: Ref) -> Parse:
        shape = self._model.shape(ref)
        key = (shape["name"], shape.get("timestampFormat"))
        made = self._made.get(key)
        if made is None:
            # A shape that holds itself meets this forwarder while its own parser is being made.
            self._made[key] = lambda value: self._made[key](value)
            made = self._made[key] = self._make(shape)
        return made

    def structure(self, shape: Shape, members: dict[str, Ref]) -> Parse:
        """A parser of an object with these members; missing required ones are refused."""
        table = {
            ref.get("locationName", name): self._entry(name, ref) for name, ref in members.items()
        }
        required = tuple(
            (name, members[name].get("locationName", name))
            for name in shape.get("required", ())
            if name in members
        )
        find = table.get

        def parse(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise mistyped("an object", value)
            out: dict[str, Any] = {}
            key = ""
            try:
                for key, item in value.items():
                    entry = find(key)
                    if entry is None or item is None:
                        continue
                    name, plain, parse_item = entry
                    out[name] = item if type(item) is plain else parse_item(item)
            except Refused as refused:
                raise refused.under(key) from None
            for name, wire_name in required:
                if name not in out:
                    raise missing(wire_name)
            return out

        return parse

    def _entry(self, name: str, ref: Ref) -> Entry:
        return name, check.plain_type(self._model.shape(ref)), self.parser(ref)

    def _make(self, shape: Shape) -> Parse:
        kind = shape["type"]
        if kind == "structure":
            return self.structure(shape, shape["members"])
        if kind == "list":
            return self._list(shape)
        if kind == "map":
            return self._map(shape)
        return check.scalar(shape)

    def _list(self, shape: Shape) -> Parse:
        plain = check.plain_type(self._model.shape(shape["member"]))
        parse_item = self.parser(shape["member"])
        check_size = check.size(shape)

        def parse(value: Any) -> list[Any]:
            if type(value) is not list:
                raise mistyped("a list", value)
            if check_size is not None:
                check_size(value, len(value))
            if plain is not None and is_all(value, plain):
                return value
            out: list[Any] = []
            try:
                for item in value:
                    out.append(item if type(item) is plain else parse_item(item))
            except Refused as refused:
                raise refused.under(_position(len(out))) from None
            return out

        return parse

    def _map(self, shape: Shape) -> Parse:
        key_shape = self._model.shape(shape["key"])
        parse_key = None if check.plain_type(key_shape) else self.parser(shape["key"])
        plain = check.plain_type(self._model.shape(shape["value"]))
        parse_item = self.parser(shape["value"])
        check_size = check.size(shape)

        def parse(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise mistyped("an object", value)
            if check_size is not None:
                check_size(value, len(value))
            if plain is not None and parse_key is None and is_all(value.values(), plain):
                return value
            out: dict[str, Any] = {}
            key = ""
            try:
                for key, item in value.items():
                    if item is None:
                        continue
                    if parse_key is not None:
                        parse_key(key)
                    out[key] = item if type(item) is plain else parse_item(item)
            except Refused as refused:
                raise refused.under(key) from None
            return out

        return parse


def is_all(values: Iterable[Any], kind: type) -> bool:
    """Whether every value is of exactly that type."""
    for value in values:  # noqa: SIM110 a generator would cost three times as much
        if type(value) is not kind:
            return False
    return True


def _position(index: int) -> str:
    return f"{index + 1}.member"
