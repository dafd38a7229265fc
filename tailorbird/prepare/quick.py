"""The short way for calls as nearly all are: what is not usual about one goes the long way."""

from __future__ import annotations

from typing import Any

from tailorbird.prepare.clock_texts import MILLIS, SECONDS, USUAL_LENGTH, Clock
from tailorbird.prepare.mapping import ID_MAX_CHARACTERS, SECONDS_MAX, Dataset

PLAIN = ("user", "item", "event", "seconds")


def is_plain(dataset: Dataset) -> bool:
    """Whether rows have the four usual columns, and items lie where they usually do."""
    return (
        tuple(column.kind for column in dataset.columns) == PLAIN
        and not dataset.literal
        and not dataset.needs_anonymous
        and not dataset.types
        and bool(dataset.events)
        and len(dataset.user) == len(dataset.user[0].outer) == len(dataset.time.outer) == 1
        and all(len(path.outer) == 2 and path.outer[0] == "properties" for path in dataset.item)
        and (dataset.array is None or dataset.item[0].inner is not None)
        and all(len(path.inner) == 1 for path in dataset.item if path.inner is not None)
    )


def quick(dataset: Dataset, long_way: Any, clock: Clock) -> Any:
    """`long_way` for a plain dataset, reached only by calls that are not usual."""
    types = {name: dict(dataset.event_types).get(name, name) for name in dataset.events}
    (user_key,), (time_key,) = dataset.user[0].outer, dataset.time.outer
    array_key = dataset.array[1] if dataset.array else None
    inner_key = next((path.inner[0] for path in dataset.item if path.inner), "")
    item_key = next((path.outer[1] for path in dataset.item if path.inner is None), "")
    minutes = clock.minutes

    def convert(call: dict[str, Any]) -> Any:
        name = call.get("event")
        if type(name) is not str:
            return long_way(call)
        event = types.get(name)
        if event is None:
            return "event_not_wanted"
        user, moment, properties = call.get(user_key), call.get(time_key), call.get("properties")
        if (
            type(moment) is not str
            or len(moment) != USUAL_LENGTH
            or moment[19] != "."
            or moment[23] != "Z"
            or moment[20:23] not in MILLIS
            or type(user) is not str
            or not 0 < len(user) <= ID_MAX_CHARACTERS
            or type(properties) is not dict
        ):
            return long_way(call)
        minute, second = minutes.get(moment[:17]), SECONDS.get(moment[17:19])
        if minute is None or second is None:
            return long_way(call)
        seconds = minute + second
        if not 0 <= seconds < SECONDS_MAX:
            return "bad_timestamp"
        entries = properties.get(array_key)
        if entries is None:
            item = properties.get(item_key)
            if type(item) is not str or not 0 < len(item) <= ID_MAX_CHARACTERS:
                return long_way(call)
            return [(user, item, event, seconds)]
        rows = []
        if type(entries) is list:
            for entry in entries:
                item = entry.get(inner_key) if type(entry) is dict else None
                if type(item) is not str or not 0 < len(item) <= ID_MAX_CHARACTERS:
                    return long_way(call)
                rows.append((user, item, event, seconds))
        return rows or long_way(call)

    return convert
