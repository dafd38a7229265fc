"""XML bodies to requests (S3): namespaces do not matter, unknown elements are ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from tailorbird.gateway.wire import check
from tailorbird.gateway.wire.model import Model, Ref, Shape
from tailorbird.gateway.wire.refusal import Malformed, Refused, missing

Element = ElementTree.Element
Parse = Callable[[Element], Any]

XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def document(body: bytes) -> Element:
    """The root element; documents that declare a type (and so entities) are refused."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Malformed("The XML you provided declares a document type, which is not accepted")
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise Malformed(
            f"The XML you provided was not well-formed or did not validate: {error}"
        ) from None


class XmlReader:
    """Parsers of one model's shapes from XML, each made once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._made: dict[tuple[str, bool], Parse] = {}

    def parser(self, ref: Ref) -> Parse:
        shape = self._model.shape(ref)
        key = (shape["name"], bool(shape.get("flattened")))
        made = self._made.get(key)
        if made is None:
            self._made[key] = lambda element: self._made[key](element)
            made = self._made[key] = self._make(shape)
        return made

    def _make(self, shape: Shape) -> Parse:
        if shape["type"] == "structure":
            return self._structure(shape)
        if shape["type"] == "list":
            return self._list(shape)
        if shape["type"] == "map":
            raise NotImplementedError(f"{self._model.name}: {shape['name']} is a map in XML")
        parse_text = check.text(shape)
        return lambda element: parse_text(element.text or "")

    def _structure(self, shape: Shape) -> Parse:
        members: list[tuple[str, str, bool, bool, Parse]] = []
        for name, ref in shape["members"].items():
            inner = self._model.shape(ref)
            flat = inner["type"] == "list" and bool(inner.get("flattened"))
            wire_name = ref.get("locationName") or (
                inner["member"].get("locationName", name) if flat else name
            )
            members.append((name, wire_name, flat, bool(ref.get("xmlAttribute")), self.parser(ref)))
        required = tuple(shape.get("required", ()))

        def parse(element: Element) -> dict[str, Any]:
            children: dict[str, list[Element]] = {}
            for child in element:
                children.setdefault(local(child.tag), []).append(child)
            out: dict[str, Any] = {}
            for name, wire_name, flat, attribute, parse_member in members:
                try:
                    if attribute:
                        kind = element.get(XSI_TYPE)
                        if kind is not None:
                            out[name] = kind
                    elif wire_name in children:
                        found = children[wire_name]
                        out[name] = parse_member(_wrap(found) if flat else found[0])
                except Refused as refused:
                    raise refused.under(wire_name) from None
            for name in required:
                if name not in out:
                    raise missing(name)
            return out

        return parse

    def _list(self, shape: Shape) -> Parse:
        parse_item = self.parser(shape["member"])
        check_size = check.size(shape)

        def parse(element: Element) -> list[Any]:
            if check_size is not None:
                check_size([], len(element))
            return [parse_item(child) for child in element]

        return parse


def local(tag: str) -> str:
    """An element's name without its namespace."""
    return tag.rpartition("}")[2]


def _wrap(elements: list[Element]) -> Element:
    wrapper = ElementTree.Element("list")
    wrapper.extend(elements)
    return wrapper
