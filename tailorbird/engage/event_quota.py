"""How many event types, and names of event attributes and metrics, an application may have.

Names that are known are remembered by the process: they never become fewer.
Source: Pinpoint developer guide, "Quotas": 1,500 types and 500 names.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import measure_tables as mt
from tailorbird.engage.apps import App
from tailorbird.engage.events import Event
from tailorbird.engage.room import Engage
from tailorbird.store import insert

TYPE, KEY = "type", "key"
WORDS = {TYPE: "event types", KEY: "names of event attributes and metrics"}
SETTINGS = {TYPE: "engage_max_event_types", KEY: "engage_max_event_keys"}
Name = tuple[str, str]


def names_of(event: Event) -> Iterable[Name]:
    yield TYPE, event.type
    for name in (*event.attributes, *event.metrics):
        yield KEY, name


def refused(room: Engage, conn: Connection, app: App, found: Iterable[Event]) -> dict[Name, str]:
    """Names that would be too many, each with the reason; the others are written down."""
    known = room.event_names.setdefault(app.number, set())
    unknown = {name for event in found for name in names_of(event)} - known
    if not unknown:
        return {}
    c = mt.event_names.c
    query = sa.select(c.kind, c.name).where(
        c.app == app.number, c.name.in_(sorted({name for _, name in unknown}))
    )
    known |= {(row.kind, row.name) for row in conn.execute(query)}
    denied: dict[Name, str] = {}
    for kind, setting in SETTINGS.items():
        fresh = sorted(name for of, name in unknown - known if of == kind)
        limit = getattr(room.settings, setting)
        room_left = limit - _count(conn, app, kind) if limit and fresh else len(fresh)
        reason = f"The application has {limit} {WORDS[kind]}, the most there may be ({setting})"
        denied |= {(kind, name): reason for name in fresh[max(0, room_left) :]}
        rows = [{"app": app.number, "kind": kind, "name": n} for n in fresh[: max(0, room_left)]]
        if rows:
            conn.execute(insert(room.db, mt.event_names).on_conflict_do_nothing(), rows)
    return denied


def _count(conn: Connection, app: App, kind: str) -> int:
    c = mt.event_names.c
    query = sa.select(sa.func.count()).where(c.app == app.number, c.kind == kind)
    return int(conn.execute(query).scalar_one())
