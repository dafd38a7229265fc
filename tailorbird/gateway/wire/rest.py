"""The members of REST operations that travel outside the body: labels, query, headers, status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tailorbird.gateway.wire import check, moments
from tailorbird.gateway.wire.json_out import SCALARS
from tailorbird.gateway.wire.message import Header, Request
from tailorbird.gateway.wire.model import Model, Ref, Shape
from tailorbird.gateway.wire.refusal import Refused, missing

Take = Callable[[Request, dict[str, Any]], None]
Give = Callable[[Any, list[Header]], None]

DEFAULT_TIMESTAMP = {"header": "rfc822", "querystring": "iso8601", "uri": "iso8601"}


def takers(model: Model, shape: Shape) -> list[Take]:
    """One function per located member: it reads, checks and sets the member of a request."""
    required = frozenset(shape.get("required", ()))
    makers = {"uri": _label, "querystring": _query, "header": _header, "headers": _header_map}
    return [
        makers[ref["location"]](name, ref, model, name in required)
        for name, ref in shape["members"].items()
        if ref.get("location") in makers
    ]


def givers(model: Model, shape: Shape) -> dict[str, Give]:
    """One function per member that leaves as a header: it appends its value."""
    found: dict[str, Give] = {}
    for name, ref in shape["members"].items():
        if ref.get("location") == "header":
            found[name] = _header_out(name, ref, model)
        elif ref.get("location") == "headers":
            found[name] = _header_map_out(ref)
    return found


def status_member(shape: Shape) -> str | None:
    """The member that is the HTTP status itself (Lambda's Invoke)."""
    located = shape["members"].items()
    return next((name for name, ref in located if ref.get("location") == "statusCode"), None)


def body_members(shape: Shape) -> dict[str, Ref]:
    """The members that travel in the body."""
    return {name: ref for name, ref in shape["members"].items() if "location" not in ref}


def _label(name: str, ref: Ref, model: Model, _: bool) -> Take:
    wire_name = ref.get("locationName", name)
    parse = check.text(model.shape(ref))

    def take(request: Request, out: dict[str, Any]) -> None:
        out[name] = _named(parse, request.labels[wire_name], name)

    return take


def _query(name: str, ref: Ref, model: Model, required: bool) -> Take:
    shape = model.shape(ref)
    wire_name = ref.get("locationName", name)
    if shape["type"] == "list":
        return _query_list(name, wire_name, model, shape, required)
    if shape["type"] == "map":
        raise NotImplementedError(f"{model.name}: {name} is a map in the query")
    parse = check.text(shape)

    def take(request: Request, out: dict[str, Any]) -> None:
        values = request.query.get(wire_name)
        if values:
            out[name] = _named(parse, values[0], name)
        elif required:
            raise missing(name)

    return take


def _query_list(name: str, wire_name: str, model: Model, shape: Shape, required: bool) -> Take:
    parse = check.text(model.shape(shape["member"]))
    check_size = check.size(shape)

    def parse_all(values: list[str]) -> list[Any]:
        if check_size is not None:
            check_size(values, len(values))
        return [parse(value) for value in values]

    def take(request: Request, out: dict[str, Any]) -> None:
        values = request.query.get(wire_name)
        if values:
            out[name] = _named(parse_all, values, name)
        elif required:
            raise missing(name)

    return take


def _header(name: str, ref: Ref, model: Model, required: bool) -> Take:
    shape = model.shape(ref)
    wire_name = ref.get("locationName", name)
    lower = wire_name.lower()
    parse = _listed(model, shape) if shape["type"] == "list" else check.text(shape)

    def take(request: Request, out: dict[str, Any]) -> None:
        value = request.headers.get(lower)
        if value is not None:
            out[name] = _named(parse, value, name)
        elif required:
            raise missing(name)

    return take


def _listed(model: Model, shape: Shape) -> Callable[[str], Any]:
    """Comma-separated values."""
    parse_item = check.text(model.shape(shape["member"]))
    return lambda value: [parse_item(item.strip()) for item in value.split(",")]


def _header_map(name: str, ref: Ref, model: Model, _: bool) -> Take:
    prefix = ref.get("locationName", "").lower()

    def take(request: Request, out: dict[str, Any]) -> None:
        found = {
            header.removeprefix(prefix): value
            for header, value in request.headers.items()
            if header.startswith(prefix)
        }
        if found:
            out[name] = found

    return take


def _named(parse: Callable[[Any], Any], value: Any, name: str) -> Any:
    try:
        return parse(value)
    except Refused as refused:
        raise refused.under(name) from None


def _header_out(name: str, ref: Ref, model: Model) -> Give:
    header = ref.get("locationName", name).encode()
    render = _text_out(model.shape(ref))

    def give(value: Any, headers: list[Header]) -> None:
        headers.append((header, header_value(render(value))))

    return give


def _header_map_out(ref: Ref) -> Give:
    prefix = ref.get("locationName", "")

    def give(value: Any, headers: list[Header]) -> None:
        for name, item in value.items():
            headers.append((f"{prefix}{name}".encode("latin-1"), header_value(item)))

    return give


def _text_out(shape: Shape) -> Callable[[Any], str]:
    kind = shape["type"]
    if kind == "timestamp":
        form = shape.get("timestampFormat", "rfc822")
        return lambda value: str(moments.write(value, form))
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind == "list":
        return lambda value: ", ".join(str(item) for item in value)
    return lambda value: str(SCALARS[kind](value))


def header_value(value: str) -> bytes:
    """A header's bytes; a line break in it becomes a space, so it cannot start another header."""
    return value.replace("\r", " ").replace("\n", " ").encode("utf-8")
