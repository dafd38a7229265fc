"""Pages of a list: at most MaxItems, and a marker that says after which key the next one starts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tailorbird.errors import Invalid

PAGE_MAX = 50
T = TypeVar("T")


def page(
    items: Sequence[T], key: Callable[[T], Any], request: Mapping[str, Any], most: int = PAGE_MAX
) -> tuple[list[T], dict[str, str]]:
    """The page asked for of items sorted by key, and NextMarker when more follow."""
    after = _key(request.get("Marker"))
    rest = [item for item in items if after is None or _follows(key(item), after)]
    count = min(request.get("MaxItems") or most, most)
    shown = rest[:count]
    return shown, {"NextMarker": _marker(key(shown[-1]))} if len(rest) > count else {}


def _marker(key: Any) -> str:
    return base64.b64encode(json.dumps(key).encode()).decode()


def _key(marker: str | None) -> Any:
    if not marker:
        return None
    try:
        return json.loads(base64.b64decode(marker, validate=True))
    except ValueError:
        raise _foreign(marker) from None


def _follows(key: Any, after: Any) -> bool:
    if type(key) is not type(after):
        raise _foreign(str(after))
    if isinstance(after, list) and list(map(type, key)) != list(map(type, after)):
        raise _foreign(str(after))
    return bool(key > after)


def _foreign(marker: str) -> Invalid:
    return Invalid(
        f"Marker {marker!r} is not one that this list gave", code="InvalidParameterValueException"
    )
