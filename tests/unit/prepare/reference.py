"""The rule of prepare in plain Python, written for reading: what every engine must do."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tailorbird.prepare.mapping import Column, Dataset
from tailorbird.prepare.paths import Path

MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(:[0-5][0-9])?"
    r"(?:[.,]([0-9]+))?(?:Z|([+-])((?:[01][0-9]|2[0-3])):?([0-5][0-9])?)?"
)
GLUE_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ", re.ASCII)
SECOND = timedelta(seconds=1)


@dataclass
class Expected:
    rows: Counter[tuple[str, ...]] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    without_item: int = 0
    read: int = 0


def convert(lines: Iterable[bytes], dataset: Dataset) -> Expected:
    """Rows as texts in the dataset's columns, and calls rejected by reason."""
    found = Expected()
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    for line in lines:
        if not line.strip():
            continue
        found.read += 1
        call = _object(line)
        reason = refusal(call, dataset)
        entries = [] if reason else _entries(call, dataset)
        named = [entry for entry in entries if entry[0] is not None or not dataset.item]
        if not reason and not named:
            reason = "no_item_id"
        if reason:
            found.rejected[reason] += 1
            continue
        found.without_item += len(entries) - len(named)
        for item, entry in named:
            row = tuple(_value(column, call, entry, item, dataset) for column in dataset.columns)
            if not dataset.latest:
                found.rows[row] += 1
                continue
            moment = milliseconds(at(call, dataset.time))
            assert moment is not None
            for column, value in zip(dataset.columns, row, strict=True):
                known = (row[0], column.name)
                if value:
                    newest[known] = max(newest.get(known, (moment, value)), (moment, value))
    names = [column.name for column in dataset.columns]
    for key in {key for key, _ in newest}:
        found.rows[tuple(newest.get((key, name), (0, ""))[1] for name in names)] += 1
    if dataset.drop_duplicates:
        found.rows = Counter(dict.fromkeys(found.rows, 1))
    return found


def refusal(call: dict[str, Any], dataset: Dataset) -> str | None:
    if all(call.get(root) is None for root in dataset.roots):
        return "not_a_call"
    if dataset.types and call.get("type") not in list(dataset.types):
        return "type_not_wanted"
    if dataset.events and not isinstance(call.get("event"), str):
        return "no_event"
    if dataset.events and call["event"] not in dataset.events:
        return "event_not_wanted"
    if dataset.user and _first_id(call, dataset.user, dataset) is None:
        return "no_user_id"
    if dataset.needs_anonymous and _first_id(call, dataset.anonymous, dataset) is None:
        return "no_anonymous_id"
    if dataset.needs_properties and not isinstance(call.get("properties"), dict):
        return "properties_not_object"
    moment = milliseconds(at(call, dataset.time))
    if not dataset.literal and (moment is None or not 0 <= moment < 10**14):
        return "bad_timestamp"
    return None


def milliseconds(text: Any) -> int | None:
    """Epoch milliseconds, down; UTC without an offset; None for what is no ISO instant."""
    found = MOMENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    day, clock, second, fraction, sign, hours, minutes = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{second or ':00'}").replace(tzinfo=UTC)
    except ValueError:
        return None
    offset = int(hours or 0) * 3600 + int(minutes or 0) * 60
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // SECOND
    seconds -= -offset if sign == "-" else offset
    return seconds * 1000 + int(f"{fraction or ''}000"[:3])


def at(value: Any, path: Path, steps: tuple[str, ...] | None = None) -> Any:
    for step in path.outer if steps is None else steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode())
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no character
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _entries(call: dict[str, Any], dataset: Dataset) -> list[tuple[str | None, Any]]:
    """Items with their entries of the array, tried in the order of the item's paths."""
    tried_array = False
    for path in dataset.item:
        if path.inner is None:
            flat = _as_id(at(call, path), dataset)
            if flat is not None:
                return [(flat, None)]
        elif not tried_array:
            tried_array = True
            entries = at(call, path)
            if isinstance(entries, list) and entries:
                return [(_first_inside(entry, dataset), entry) for entry in entries]
    return [] if dataset.item else [(None, None)]


def _first_inside(entry: Any, dataset: Dataset) -> str | None:
    ids = (
        _as_id(at(entry, path, path.inner), dataset)
        for path in dataset.item
        if path.inner is not None
    )
    return next((found for found in ids if found is not None), None)


def _first_id(call: Any, paths: Iterable[Path], dataset: Dataset) -> str | None:
    ids = (_as_id(at(call, path), dataset) for path in paths)
    return next((found for found in ids if found is not None), None)


def _as_id(value: Any, dataset: Dataset) -> str | None:
    if dataset.literal:
        return _scalar(value, "string")
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) and 1 <= len(value) <= 256 else None


def _value(column: Column, call: Any, entry: Any, item: Any, dataset: Dataset) -> str:
    if column.kind == "user":
        return _first_id(call, dataset.user, dataset) or ""
    if column.kind == "anonymous":
        return _first_id(call, dataset.anonymous, dataset) or ""
    if column.kind == "item":
        return str(item)
    if column.kind == "event":
        return dict(dataset.event_types).get(call["event"], call["event"])
    moment = at(call, dataset.time)
    if column.kind == "moment":
        return moment if isinstance(moment, str) else ""
    if column.kind == "seconds":
        usual = isinstance(moment, str) and GLUE_MOMENT.fullmatch(moment)
        found = milliseconds(moment) if usual or not dataset.literal else None
        return "" if found is None else str(found // 1000)
    for path in column.paths:
        value = at(call, path) if path.inner is None else at(entry, path, path.inner)
        text = _scalar(value, column.kind)
        if text is not None:
            return text[:1000]
    return ""


def _scalar(value: Any, kind: str) -> str | None:
    if isinstance(value, bool):
        return str(value).lower() if kind in ("string", "boolean") else None
    if isinstance(value, str):
        return value if kind == "string" else None
    if isinstance(value, int):
        return str(value) if kind != "boolean" else None
    if isinstance(value, float) and math.isfinite(value):
        return repr(value) if kind in ("string", "float", "double") else None
    return None
