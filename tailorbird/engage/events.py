"""Events of people: kept as they came, and told to the campaigns that wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird.engage import definitions, event_campaigns
from tailorbird.engage.apps import App
from tailorbird.engage.bulk import Bulk, among, one_of, texts
from tailorbird.engage.room import Engage
from tailorbird.store import Question, ask, fetch

_INSERT = Bulk(
    "engage_events",
    {
        "app": "bigint", "endpoint_id": "text", "event_id": "text", "type": "text",
        "moment": "float8", "arrived": "float8", "body": "jsonb",
    },
)  # fmt: skip
ACTIVE_SECONDS = 60.0  # a person's later events in that time change nothing in Recency's days
_MARK = (
    "UPDATE engage_endpoints SET active = ? WHERE app = ? AND {keys}"
    " AND (active IS NULL OR active < ?)"
)
_MARKS = {
    "sqlite": _MARK.format(keys=one_of("sqlite", "key")),
    "postgresql": _MARK.format(keys=one_of("postgresql", "key")).replace("?", "%s"),
}


class Event(NamedTuple):
    """One thing that one endpoint did, or that happened to a message to it."""

    endpoint_id: str
    event_id: str
    type: str
    moment: float
    attributes: dict[str, str]
    metrics: dict[str, float]
    rest: dict[str, Any]  # Session, AppPackageName ...: kept, not looked at


def put(
    room: Engage, conn: Connection, app: App, found: Sequence[Event], *, system: bool = False
) -> int:
    """Keep events in the caller's transaction and fire the campaigns that wait for them; how many
    messages that may become. `system`: built-in events of messages, such as _email.delivered.
    """
    if not found:
        return 0
    now = room.clock.now()
    rows = [
        (app.number, e.endpoint_id, e.event_id, e.type, e.moment, now, _document(room, e))
        for e in found
    ]
    waiting = event_campaigns.waiting(room, app)
    active = [] if system else [_mark_active(room, app, found, now)]
    if room.db.dialect == "postgresql":
        answers = ask(conn, [waiting, _INSERT.question(room.db, rows), *active])
    else:
        _INSERT.run(room.db, conn, rows)
        answers = ask(conn, [waiting, *active])
    listening = event_campaigns.listening(room, answers[0], now, system=system)
    if not listening:
        return 0
    return event_campaigns.fire(room, conn, app, listening, found, _numbers(room, conn, app, found))


def _document(room: Engage, event: Event) -> str:
    body = {"Attributes": event.attributes, "Metrics": event.metrics, **event.rest}
    return str(room.db.dump({name: value for name, value in body.items() if value}))


def _mark_active(room: Engage, app: App, found: Sequence[Event], now: float) -> Question:
    """Recency of a segment goes by what people do, and not only by updates of their endpoints."""
    keys = sorted({definitions.key_of(event.endpoint_id) for event in found})
    return _MARKS[room.db.dialect], (now, app.number, texts(keys), now - ACTIVE_SECONDS)


def _numbers(room: Engage, conn: Connection, app: App, found: Sequence[Event]) -> dict[str, int]:
    """Numbers of the endpoints that exist, by the ids the events name."""
    keys = {event.endpoint_id: definitions.key_of(event.endpoint_id) for event in found}
    mine, values = among(room.db, "key", sorted(set(keys.values())))
    text = f"SELECT key, number FROM engage_endpoints WHERE app = ? AND {mine}"
    rows = fetch(conn, room.db.sql(text), (app.number, *values))
    known = {row[0]: row[1] for row in rows}
    return {name: known[key] for name, key in keys.items() if key in known}
