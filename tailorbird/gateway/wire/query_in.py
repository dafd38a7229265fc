"""Form parameters (STS, IAM) to requests: `Tags.member.1.Key=...` back into structures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tailorbird.gateway.wire import check
from tailorbird.gateway.wire.model import Model, Ref, Shape
from tailorbird.gateway.wire.refusal import Malformed, Refused, missing, mistyped

Node = dict[str, Any]  # name -> text or Node
Parse = Callable[[Any], Any]

MAX_DEPTH = 32


def tree(form: dict[str, list[str]]) -> Node:
    """Dotted parameter names as nested nodes."""
    root: Node = {}
    for name, values in form.items():
        parts = name.split(".")
        if len(parts) > MAX_DEPTH:
            raise Malformed(f"The parameter {name[:80]!r} is nested more than {MAX_DEPTH} deep")
        node = root
        for part in parts[:-1]:
            inner = node.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Malformed(
                    f"The parameter {name!r} is given both as a value and as a structure"
                )
            node = inner
        if isinstance(node.get(parts[-1]), dict):
            raise Malformed(f"The parameter {name!r} is given both as a value and as a structure")
        node[parts[-1]] = values[0]
    return root


class QueryReader:
    """Parsers of one model's shapes from parameter trees, each made once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._made: dict[tuple[str, bool], Parse] = {}

    def parser(self, ref: Ref) -> Parse:
        shape = self._model.shape(ref)
        key = (shape["name"], bool(shape.get("flattened")))
        made = self._made.get(key)
        if made is None:
            self._made[key] = lambda node: self._made[key](node)
            made = self._made[key] = self._make(shape)
        return made

    def _make(self, shape: Shape) -> Parse:
        if shape["type"] == "structure":
            return self._structure(shape)
        if shape["type"] == "list":
            return self._list(shape)
        if shape["type"] == "map":
            return self._map(shape)
        parse_text = check.text(shape)

        def parse(node: Any) -> Any:
            if not isinstance(node, str):
                raise mistyped("a single value", node)
            return parse_text(node)

        return parse

    def _structure(self, shape: Shape) -> Parse:
        members = [
            (name, ref.get("queryName") or ref.get("locationName", name), self.parser(ref))
            for name, ref in shape["members"].items()
        ]
        required = tuple(shape.get("required", ()))

        def parse(node: Any) -> dict[str, Any]:
            if not isinstance(node, dict):
                raise mistyped("a structure", node)
            out: dict[str, Any] = {}
            for name, wire_name, parse_member in members:
                if wire_name in node:
                    try:
                        out[name] = parse_member(node[wire_name])
                    except Refused as refused:
                        raise refused.under(wire_name) from None
            for name in required:
                if name not in out:
                    raise missing(name)
            return out

        return parse

    def _list(self, shape: Shape) -> Parse:
        wrapper = None if shape.get("flattened") else shape["member"].get("locationName", "member")
        parse_item = self.parser(shape["member"])
        check_size = check.size(shape)

        def parse(node: Any) -> list[Any]:
            items = _numbered(node, wrapper)
            if check_size is not None:
                check_size([], len(items))
            out: list[Any] = []
            for item in items:
                try:
                    out.append(parse_item(item))
                except Refused as refused:
                    raise refused.under(f"{len(out) + 1}.member") from None
            return out

        return parse

    def _map(self, shape: Shape) -> Parse:
        wrapper = None if shape.get("flattened") else "entry"
        key_name = shape["key"].get("locationName", "key")
        value_name = shape["value"].get("locationName", "value")
        parse_key, parse_item = self.parser(shape["key"]), self.parser(shape["value"])

        def parse(node: Any) -> dict[str, Any]:
            pairs = [n for n in _numbered(node, wrapper) if isinstance(n, dict) and key_name in n]
            return {parse_key(p[key_name]): parse_item(p.get(value_name, "")) for p in pairs}

        return parse


def _numbered(node: Any, wrapper: str | None) -> list[Any]:
    """The items `1`, `2`, ... in their order; an empty list arrives as one empty value."""
    if node == "":
        return []
    if wrapper is not None and isinstance(node, dict):
        node = node.get(wrapper, {})
    if not isinstance(node, dict) or not all(key.isdecimal() for key in node):
        raise mistyped("a list (name.member.1, name.member.2, ...)", node)
    return [node[key] for key in sorted(node, key=int)]
