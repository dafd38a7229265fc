"""Pages of lists: `PageSize` is text on the wire, the token names the last item shown."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from tailorbird.errors import Invalid

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


def size_of(request: dict[str, Any]) -> int:
    """The page size asked for; Invalid unless it is a number from 1."""
    text = request.get("PageSize")
    if text is None:
        return DEFAULT_PAGE_SIZE
    if not str(text).isdigit() or int(text) < 1:
        raise Invalid(f"page-size is {text!r}; it has to be a whole number from 1")
    return min(int(text), MAX_PAGE_SIZE)


def after(request: dict[str, Any], start: list[Any]) -> list[Any]:
    """The sort key after which the page starts; `start` when there is no token."""
    token = request.get("Token")
    if not token:
        return start
    try:
        key = orjson.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        key = None
    if not isinstance(key, list) or [type(part) for part in key] != [type(p) for p in start]:
        raise Invalid("token is not one that an earlier page gave as NextToken")
    return key


def page(
    rows: Iterable[Any],
    size: int,
    show: Callable[[Any], dict[str, Any]],
    key: Callable[[Any], list[Any]],
) -> dict[str, Any]:
    """`{Item, NextToken}` of at most `size` rows; the caller read one more to know whether there
    is one.
    """
    found = list(rows)
    answer: dict[str, Any] = {"Item": [show(row) for row in found[:size]]}
    if len(found) > size:
        answer["NextToken"] = base64.urlsafe_b64encode(orjson.dumps(key(found[size - 1]))).decode()
    return answer
