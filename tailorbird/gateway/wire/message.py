"""What goes in and out of a compiled operation: the parts of an HTTP request and of a reply."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

from tailorbird.gateway.wire.refusal import Malformed

Header = tuple[bytes, bytes]
Body = bytes | Path | Iterable[bytes]


@dataclass(slots=True)
class Request:
    method: str
    path: str  # percent-encoded, as it came
    query: dict[str, list[str]]
    headers: dict[str, str]  # names in lower case
    body: bytes
    labels: dict[str, str] = field(default_factory=dict)  # percent-encoded, by member name


@dataclass(slots=True)
class Reply:
    status: int
    headers: list[Header]
    body: Body


def decode(text: str) -> str:
    """Percent-decode one part of a URL; Malformed when it is no UTF-8 or holds a NUL."""
    if "%" not in text:
        return text
    try:
        plain = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise Malformed(f"{text!r} in the URL is not percent-encoded UTF-8") from None
    if "\0" in plain:
        raise Malformed(f"{text!r} in the URL holds a NUL character, which cannot be stored")
    return plain


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """A query string or form as name -> values in the order they came."""
    if not raw:
        return {}
    values: dict[str, list[str]] = {}
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("The query string has bytes that are not percent-encoded") from None
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.replace("+", " ").partition("=")
            values.setdefault(decode(name), []).append(decode(value))
    return values
