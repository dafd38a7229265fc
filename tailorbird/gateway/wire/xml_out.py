"""Answers to XML (query services and S3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from tailorbird.gateway.wire import moments
from tailorbird.gateway.wire.json_out import SCALARS
from tailorbird.gateway.wire.model import Model, Ref, Shape

# Appends the element(s) of a value under a name.
Write = Callable[[str, Any, list[str]], None]

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
XSI = "http://www.w3.org/2001/XMLSchema-instance"


class XmlWriter:
    """Writers of one model's shapes, each made once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._made: dict[tuple[str, bool, str | None], Write] = {}

    def writer(self, ref: Ref) -> Write:
        shape = self._model.shape(ref)
        key = (shape["name"], bool(shape.get("flattened")), shape.get("timestampFormat"))
        made = self._made.get(key)
        if made is None:
            self._made[key] = lambda name, value, out: self._made[key](name, value, out)
            made = self._made[key] = self._make(shape)
        return made

    def members(self, members: dict[str, Ref]) -> Callable[[dict[str, Any], list[str]], None]:
        """Appends the elements of a structure's members, without an element around them."""
        table = []
        for name, ref in members.items():
            inner = self._model.shape(ref)
            wire_name = ref.get("locationName")
            if wire_name is None and inner["type"] == "list" and inner.get("flattened"):
                wire_name = inner["member"].get("locationName")
            table.append((name, wire_name or name, self.writer(ref)))

        def write(value: dict[str, Any], out: list[str]) -> None:
            for name, wire_name, write_member in table:
                item = value.get(name)
                if item is not None:
                    write_member(wire_name, item, out)

        return write

    def _make(self, shape: Shape) -> Write:
        kind = shape["type"]
        if kind == "structure":
            return self._structure(shape)
        if kind == "list":
            return self._list(shape)
        if kind == "map":
            return self._map(shape)
        render = _text(shape)
        return lambda name, value, out: out.append(f"<{name}>{escape(render(value))}</{name}>")

    def _structure(self, shape: Shape) -> Write:
        attributes = {n: r for n, r in shape["members"].items() if r.get("xmlAttribute")}
        inside = {n: r for n, r in shape["members"].items() if n not in attributes}
        write_members = self.members(inside)

        def write(name: str, value: Any, out: list[str]) -> None:
            given = "".join(
                f' xmlns:xsi="{XSI}" {ref["locationName"]}={quoteattr(str(value[member]))}'
                for member, ref in attributes.items()
                if value.get(member) is not None
            )
            out.append(f"<{name}{given}>")
            write_members(value, out)
            out.append(f"</{name}>")

        return write

    def _list(self, shape: Shape) -> Write:
        write_item = self.writer(shape["member"])
        item_name = shape["member"].get("locationName", "member")
        flat = bool(shape.get("flattened"))

        def write(name: str, value: Any, out: list[str]) -> None:
            if flat:
                for item in value:
                    write_item(name, item, out)
                return
            out.append(f"<{name}>")
            for item in value:
                write_item(item_name, item, out)
            out.append(f"</{name}>")

        return write

    def _map(self, shape: Shape) -> Write:
        key_name = shape["key"].get("locationName", "key")
        value_name = shape["value"].get("locationName", "value")
        write_key, write_value = self.writer(shape["key"]), self.writer(shape["value"])
        flat = bool(shape.get("flattened"))

        def write(name: str, value: Any, out: list[str]) -> None:
            entry = name if flat else "entry"
            out.append("" if flat else f"<{name}>")
            for key, item in value.items():
                out.append(f"<{entry}>")
                write_key(key_name, key, out)
                write_value(value_name, item, out)
                out.append(f"</{entry}>")
            out.append("" if flat else f"</{name}>")

        return write


def _text(shape: Shape) -> Callable[[Any], str]:
    kind = shape["type"]
    if kind == "timestamp":
        form = shape.get("timestampFormat", "iso8601")
        return lambda value: str(moments.write(value, form))
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    render = SCALARS[kind]
    return lambda value: str(render(value))
