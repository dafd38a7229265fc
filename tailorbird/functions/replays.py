"""Recorded events once more, with the code there is now: what its change does to old answers."""

from __future__ import annotations

from typing import Any

from tailorbird import ids
from tailorbird.functions.execution import execute
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.records import Record, readable
from tailorbird.functions.resolve import resolve
from tailorbird.functions.room import Functions


def replay(room: Functions, ref: FunctionRef, record: Record) -> dict[str, Any]:
    """Invoke with the record's event and compare: `same` when result and error are equal.

    The new invocation is logged as any other but not recorded.
    """
    version, _ = resolve(room, ref)
    done = execute(room.supervisor, version, ref, record.event, ids.uuid4(), record=False)
    was, now = readable(record.response), readable(done.payload)
    same = was == now and record.function_error == done.function_error
    if record.function_error and done.function_error:  # request ids in messages differ each time
        same = _without(was, record.request_id) == _without(now, done.request_id)
    return {
        "id": record.id,
        "same": same,
        "was": {"response": was, "error": record.function_error, "ms": record.duration_ms},
        "now": {"response": now, "error": done.function_error, "ms": done.duration_ms},
    }


def _without(value: Any, request_id: str) -> Any:
    if isinstance(value, str):
        return value.replace(request_id, "")
    if isinstance(value, dict):
        return {key: _without(inner, request_id) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, request_id) for inner in value]
    return value
