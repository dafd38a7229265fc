"""`properties` of events, items, users and actions: a JSON object that travels as a string."""

from __future__ import annotations

from typing import Any

import orjson

from tailorbird.errors import Invalid


def read(text: Any, where: str) -> dict[str, Any]:
    """The object; Invalid when it is none, or holds NUL, which no text of PostgreSQL can."""
    if text is None:
        return {}
    try:
        found = orjson.loads(text) if isinstance(text, str | bytes) else text
    except orjson.JSONDecodeError as error:
        raise Invalid(
            f"{where}.properties is not JSON: {error.msg} at position {error.pos}"
        ) from None
    if not isinstance(found, dict):
        raise Invalid(f"{where}.properties has to be a JSON object")
    for name, value in found.items():
        if _holds_nul(name) or _holds_nul(value):
            raise Invalid(f"{where}.properties.{name!r} holds the character NUL (\\u0000)")
    return found


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_holds_nul, value)) or any(map(_holds_nul, value.values()))
    return isinstance(value, list) and any(map(_holds_nul, value))
