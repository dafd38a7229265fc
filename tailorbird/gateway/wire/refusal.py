"""Refusals of the wire layer: which member, what was there, what would be right."""

from __future__ import annotations

from typing import Any

from tailorbird.errors import Invalid

SHOWN_CHARACTERS = 256


class Malformed(Invalid):
    """The body or the URL cannot be read at all; the message names the position."""


class Refused(Invalid):
    """One member is missing, of the wrong type, or against a constraint of the model.

    `path` is filled from the inside out while the parsers return.
    """

    def __init__(
        self, constraint: str, value: Any = None, *, mistyped: bool = False, hide: bool = False
    ) -> None:
        super().__init__(constraint)
        self.constraint = constraint
        self.value = value
        self.mistyped = mistyped
        self.hide = hide
        self.path: list[str] = []

    def under(self, name: str) -> Refused:
        self.path.append(name)
        return self

    def where(self, *, lower: bool) -> str:
        """The member's path as AWS writes it: `events.1.member.sentAt`."""
        parts = reversed(self.path)
        return ".".join(p[:1].lower() + p[1:] if lower else p for p in parts)

    def text(self, *, lower: bool) -> str:
        where = self.where(lower=lower)
        if self.mistyped:
            return f"'{where}' {self.constraint}"
        if self.hide:
            return f"Value at '{where}' failed to satisfy constraint: {self.constraint}"
        return f"Value {shown(self.value)} at '{where}' failed to satisfy constraint: " + (
            self.constraint
        )


def mistyped(wanted: str, value: Any) -> Refused:
    return Refused(f"must be {wanted}, not {_json_type(value)}", value, mistyped=True)


def missing(name: str) -> Refused:
    return Refused("Member must not be null").under(name)


def shown(value: Any) -> str:
    if value is None:
        return "null"
    text = str(value)
    return f"'{text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + '...'}'"


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")
