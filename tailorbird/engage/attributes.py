"""The names of custom attributes an application has in use: at most 250 in all.

Rule: Pinpoint developer guide, "Quotas" (attributes, metrics and user attributes together).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.engage.apps import App
from tailorbird.engage.definitions import Endpoint
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid


def note(
    room: Engage,
    conn: Connection,
    app: App,
    endpoints: Iterable[Endpoint],
    people: dict[str, dict[str, Any]],
) -> None:
    """Record names not seen before; Invalid when the application would have too many."""
    limit = room.settings.engage_max_attribute_names
    if not limit:
        return
    names = {
        (part, name)
        for endpoint in endpoints
        for part in ("Attributes", "Metrics", "UserAttributes")
        for name in endpoint.body.get(part) or ()
    }
    names |= {("UserAttributes", name) for values in people.values() for name in values}
    if not names:
        return
    query = "SELECT part, name FROM engage_attribute_names WHERE app = ?"
    rows = conn.exec_driver_sql(room.db.sql(query), (app.number,))
    known = {(row[0], row[1]) for row in rows}
    fresh = sorted(names - known)
    if not fresh:
        return
    _check(len(known) + len(fresh), limit, fresh)
    conn.exec_driver_sql(
        room.db.sql("INSERT INTO engage_attribute_names (app, part, name) VALUES (?,?,?)"),
        [(app.number, part, name) for part, name in fresh],
    )


def _check(count: int, limit: int, fresh: list[tuple[str, str]]) -> None:
    if count > limit:
        part, name = fresh[0]
        raise Invalid(
            f"{part} {name!r} would be one of {count} attribute names of the application;"
            f" {limit} is the limit (setting engage_max_attribute_names)"
        )
