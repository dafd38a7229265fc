"""The rule of prepare in plain Python: what every engine must do, line by line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tailorbird.prepare import Mapping

MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(:[0-5][0-9])?"
    r"(?:[.,][0-9]+)?(?:Z|([+-])((?:[01][0-9]|2[0-3])):?([0-5][0-9])?)?"
)
FIELDS = ("event", "userId", "anonymousId", "properties", "timestamp")


def convert(
    lines: Iterable[bytes], mapping: Mapping
) -> tuple[Counter[tuple[str, ...]], Counter[str]]:
    """Rows in the columns of the mapping, and rejects by reason."""
    rows: Counter[tuple[str, ...]] = Counter()
    rejected: Counter[str] = Counter()
    for line in lines:
        if not line.strip():
            continue
        call = _object(line)
        reason = refusal(call, mapping)
        if reason:
            rejected[reason] += 1
            continue
        for item in _items(call["properties"], mapping):
            if item is None:
                rejected["no_item_id"] += 1
                continue
            values = {
                "ANONYMOUS_ID": _id(call.get("anonymousId")) or "",
                "USER_ID": _id(call["userId"]),
                "ITEM_ID": item,
                "EVENT_TYPE": call["event"],
                "TIMESTAMP_ISO": call["timestamp"],
                "TIMESTAMP": str(seconds(call["timestamp"])),
            }
            rows[tuple(str(values[name]) for name in mapping.columns)] += 1
    return rows, rejected


def refusal(call: dict[str, Any], mapping: Mapping) -> str | None:
    if all(call.get(field) is None for field in FIELDS):
        return "not_a_call"
    if not isinstance(call.get("event"), str):
        return "no_event"
    if call["event"] not in mapping.events:
        return "event_not_wanted"
    if _id(call.get("userId")) is None:
        return "no_user_id"
    if mapping.needs_anonymous_id and _id(call.get("anonymousId")) is None:
        return "no_anonymous_id"
    if not isinstance(call.get("properties"), dict):
        return "properties_not_object"
    if seconds(call.get("timestamp")) is None:
        return "bad_timestamp"
    return None


def seconds(text: Any) -> int | None:
    """Whole epoch seconds, down; UTC without an offset; None for what is no ISO instant."""
    found = MOMENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    day, clock, second, sign, hours, minutes = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{second or ':00'}").replace(tzinfo=UTC)
    except ValueError:
        return None
    offset = int(hours or 0) * 3600 + int(minutes or 0) * 60
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(seconds=1) - (-offset if sign == "-" else offset)


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _items(properties: dict[str, Any], mapping: Mapping) -> list[str | None]:
    products = properties.get("products")
    if mapping.products and isinstance(products, list) and products:
        return [_item(product, mapping) for product in products]
    return [_item(properties, mapping)]


def _item(value: Any, mapping: Mapping) -> str | None:
    if not isinstance(value, dict):
        return None
    found = (_id(value.get(key)) for key in mapping.item_keys)
    return next((item for item in found if item is not None), None)


def _id(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) else None
