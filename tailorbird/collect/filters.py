"""Destination filters: which calls of a source a destination gets, and with which fields.

A filter is a condition in FQL with actions. Whatever order they were made in, sampling comes first,
then dropping, then dropping properties, then allowing properties; every condition looks at the call
as it was received. Source: Segment, "Destination Filters".
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.collect import destinations, fql
from tailorbird.collect.room import Collect
from tailorbird.collect.tables import filters
from tailorbird.errors import Invalid, LimitExceeded, NotFound

FILTERS_MAX = 10  # of one destination
TITLE_MAX_CHARACTERS = 255
SAMPLE, DROP, BLOCK, ALLOW = "SAMPLE", "DROP", "DROP_PROPERTIES", "ALLOW_PROPERTIES"
ORDER = (SAMPLE, DROP, BLOCK, ALLOW)
NAMES = {  # the Config API's words for the same
    "sample_event": SAMPLE,
    "drop_event": DROP,
    "blocklist_fields": BLOCK,
    "whitelist_fields": ALLOW,
}
OBJECTS = ("context", "properties", "traits")
FIELDS = ("if", "actions", "title", "description", "enabled")
DROPPED, SAMPLED = "destination_filter", "destination_sample"

Call = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One action of one filter, ready to run."""

    holds: fql.Condition
    action: dict[str, Any]


def create(room: Collect, destination_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """Put a filter on a destination; Invalid names what is wrong with it."""
    destination = destinations.get(room, destination_id)
    now = room.clock.now()
    row = {
        "id": ids.hex32()[:24],
        "destination_id": destination_id,
        "source_id": destination["source_id"],
        "created": now,
        "updated": now,
        **_checked({"title": "", "description": None, "enabled": True, **given}),
    }
    with room.db.write() as conn:
        if len(_rows(conn, destination_id)) >= FILTERS_MAX:
            raise LimitExceeded(f"Destination {destination_id} has {FILTERS_MAX} filters already")
        conn.execute(filters.insert().values(**row))
    return row


def get(room: Collect, destination_id: str, filter_id: str) -> dict[str, Any]:
    with room.db.read() as conn:
        for row in _rows(conn, destination_id):
            if row["id"] == filter_id:
                return row
    raise NotFound(f"Destination {destination_id!r} has no filter {filter_id!r}")


def list_all(room: Collect, destination_id: str) -> list[dict[str, Any]]:
    destinations.get(room, destination_id)
    with room.db.read() as conn:
        return _rows(conn, destination_id)


def update(
    room: Collect, destination_id: str, filter_id: str, given: dict[str, Any]
) -> dict[str, Any]:
    old = get(room, destination_id, filter_id)
    before = {"if": old["condition"], **{name: old[name] for name in FIELDS[1:]}}
    values = {**_checked({**before, **given}), "updated": room.clock.now()}
    with room.db.write() as conn:
        conn.execute(sa.update(filters).where(filters.c.id == filter_id).values(**values))
    return get(room, destination_id, filter_id)


def delete(room: Collect, destination_id: str, filter_id: str) -> None:
    get(room, destination_id, filter_id)
    with room.db.write() as conn:
        conn.execute(sa.delete(filters).where(filters.c.id == filter_id))


def preview(given: dict[str, Any], call: Call) -> Call | None:
    """What the filter makes of a call, kept nowhere; None when the destination would not get it."""
    row = _checked({"title": "", "description": None, "enabled": True, **given})
    changed, reason = applied(steps([row]), call)
    return changed if reason is None else None


def in_force(conn: Connection, destination_id: str) -> list[dict[str, Any]]:
    """The enabled filters of a destination, as `steps` takes them."""
    return [row for row in _rows(conn, destination_id) if row["enabled"]]


def steps(rows: Sequence[dict[str, Any]]) -> list[Step]:
    """Actions in the order they run in."""
    found = [Step(fql.compiled(row["condition"]), one) for row in rows for one in row["actions"]]
    return sorted(found, key=lambda step: ORDER.index(step.action["type"]))


def applied(given: Sequence[Step], call: Call) -> tuple[Call, str | None]:
    """The call as the destination gets it, and why it does not get it, if so."""
    changed = call
    for step in given:
        if not step.holds(call):
            continue
        kind = step.action["type"]
        if kind == DROP:
            return call, DROPPED
        if kind == SAMPLE and not is_kept(step.action, call):
            return call, SAMPLED
        if kind in (BLOCK, ALLOW):
            changed = copy.deepcopy(call) if changed is call else changed
            _trim(changed, step.action["fields"], _blocked if kind == BLOCK else _allowed)
    return changed, None


def is_kept(action: dict[str, Any], call: Call) -> bool:
    """Whether the sample holds this call: always the same answer for the same value at `path`."""
    value = fql.at(call, action["path"]) if action.get("path") else None
    text = str(call.get("messageId") if value is None else value)
    place = int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:8], "big")
    return place < float(action["percent"]) * 2**64


def _trim(
    call: Call,
    fields: dict[str, list[str]],
    trim: Callable[[dict[str, Any], list[str]], dict[str, Any]],
) -> None:
    for name, paths in fields.items():
        if isinstance(call.get(name), dict):
            call[name] = trim(call[name], paths)


def _blocked(value: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    for path in paths:
        *way, last = path.split(".")
        inner: Any = value
        for part in way:
            inner = inner.get(part) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner.pop(last, None)
    return value


def _allowed(value: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for path in paths:
        inner: Any = value
        into = kept
        *way, last = path.split(".")
        for part in way:
            inner = inner.get(part) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and last in inner:
            for part in way:
                into = into.setdefault(part, {})
            into[last] = inner[last]
    return kept


def _rows(conn: Connection, destination_id: str) -> list[dict[str, Any]]:
    query = sa.select(filters).where(filters.c.destination_id == destination_id)
    found = conn.execute(query.order_by(filters.c.created, filters.c.id)).mappings()
    return [dict(row) for row in found]


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    """A filter's columns from what the API was given."""
    if unknown := given.keys() - {*FIELDS, "sourceId"}:
        raise Invalid(f"A filter has no field {sorted(unknown)[0]!r}; it has {', '.join(FIELDS)}")
    fql.compiled(given.get("if"))
    actions = given.get("actions")
    if not isinstance(actions, list) or not actions:
        raise Invalid(f"actions is {actions!r}; a list of at least one action is right")
    for name in ("title", "description"):
        text = given[name] or ""
        if not isinstance(text, str) or len(text) > TITLE_MAX_CHARACTERS:
            raise Invalid(f"{name} is a text of at most {TITLE_MAX_CHARACTERS} characters")
    if not isinstance(given["enabled"], bool):
        raise Invalid(f"enabled is {given['enabled']!r}; true or false is right")
    return {
        "condition": given["if"],
        "actions": [_action(one) for one in actions],
        "title": given["title"] or "",
        "description": given["description"],
        "enabled": given["enabled"],
    }


def _action(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Invalid(f"an action is {given!r}; an object with a type is right")
    kind = NAMES.get(str(given.get("type")), given.get("type"))
    if kind == DROP:
        return {"type": DROP}
    if kind == SAMPLE:
        share, path = given.get("percent"), given.get("path")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise Invalid(f"percent is {share!r}; a share from 0 to 1 is right")
        if path is not None and not isinstance(path, str):
            raise Invalid(f"path is {path!r}; a text such as userId is right")
        return {"type": SAMPLE, "percent": share, **({"path": path} if path else {})}
    if kind in (BLOCK, ALLOW):
        return {"type": kind, "fields": _fields(given.get("fields"))}
    known = ", ".join((*ORDER, *NAMES))
    raise Invalid(f"an action has the type {given.get('type')!r}; one of {known} is right")


def _fields(given: Any) -> dict[str, list[str]]:
    """{"properties": ["a", "b.c"]}; the Config API wraps each list in {"fields": [...]}."""
    right = '{"properties": ["name"]} with context, properties or traits is right'
    if not isinstance(given, dict) or not given:
        raise Invalid(f"fields is {given!r}; {right}")
    found: dict[str, list[str]] = {}
    for name, paths in given.items():
        listed = paths.get("fields") if isinstance(paths, dict) else paths
        if name not in OBJECTS or not isinstance(listed, list):
            raise Invalid(f"fields has {name!r}: {paths!r}; {right}")
        if not all(isinstance(path, str) and path for path in listed):
            raise Invalid(f"fields.{name} is {listed!r}; {right}")
        found[name] = listed
    return found
