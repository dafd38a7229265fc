"""The names of custom attributes: at most 250 in use, and those no longer to be captured.

Rules: Pinpoint developer guide, "Quotas" (attributes, metrics and user attributes together); API
reference, "RemoveAttributes": existing values stay, new ones are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.engage import apps, endpoint_locks
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.bulk import Bulk
from tailorbird.engage.definitions import Endpoint
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid
from tailorbird.store import ask, fetch

PARTS = {
    "endpoint-custom-attributes": "Attributes",
    "endpoint-metric-attributes": "Metrics",
    "endpoint-user-attributes": "UserAttributes",
}
Name = tuple[str, str]  # its part and itself
_INSERT = Bulk("engage_attribute_names", {"app": "bigint", "part": "text", "name": "text"})


def remove_attributes(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Stop capturing some attributes, by name or glob."""
    kind, names = request["AttributeType"], request["UpdateAttributesRequest"].get("Blacklist")
    if kind not in PARTS:
        raise Invalid(f"attribute-type is {kind!r}; right are {', '.join(PARTS)}")
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        part = PARTS[kind]
        denied = sorted({*app.denied.get(part, ()), *(names or ())})
        mine = t.apps.c.number == app.number
        conn.execute(sa.update(t.apps).where(mine).values(denied={**app.denied, part: denied}))
    answer = {"ApplicationId": app.id, "AttributeType": kind, "Attributes": denied}
    return {"AttributesResource": answer}


def captured(app: App, item: dict[str, Any]) -> dict[str, Any]:
    """A write without the attributes that are not to be captured."""
    if not app.denied:
        return item
    item = {**item, **{p: _kept(app, p, item[p]) for p in ("Attributes", "Metrics") if item.get(p)}}
    user = item.get("User")
    if isinstance(user, dict) and user.get("UserAttributes"):
        kept = _kept(app, "UserAttributes", user["UserAttributes"])
        item["User"] = {**user, "UserAttributes": kept}
    return item


def note(
    room: Engage,
    conn: Connection,
    app: App,
    endpoints: Iterable[Endpoint],
    people: dict[str, dict[str, Any]],
) -> None:
    """Record names not seen before; Invalid when the application would have too many."""
    if not room.settings.engage_max_attribute_names:
        return
    known = room.attribute_names.setdefault(app.number, {part: set() for part in PARTS.values()})
    unknown: set[Name] = set()
    for endpoint in endpoints:
        for part, names in known.items():
            given = endpoint.body.get(part)
            if given and not given.keys() <= names:
                unknown |= {(part, name) for name in given.keys() - names}
    names = known["UserAttributes"]
    for values in people.values():
        if not values.keys() <= names:
            unknown |= {("UserAttributes", name) for name in values.keys() - names}
    if unknown:
        _remember(room, conn, app, known, unknown)


def _remember(
    room: Engage, conn: Connection, app: App, known: dict[str, set[str]], unknown: set[Name]
) -> None:
    """The process remembers what is committed, for names never become fewer; the rest is written
    down.
    """
    ask(conn, endpoint_locks.names(room.db, app))
    text = room.db.sql("SELECT part, name FROM engage_attribute_names WHERE app = ?")
    with room.db.read() as other:
        for part, name in fetch(other, text, (app.number,)):
            known[part].add(name)
    here = set(fetch(conn, text, (app.number,)))
    fresh = sorted(unknown - here)
    if fresh:
        _check(len(here) + len(fresh), room.settings.engage_max_attribute_names, fresh)
        rows = [(app.number, part, name) for part, name in fresh]
        _INSERT.run(room.db, conn, rows)


def _check(count: int, limit: int, fresh: list[Name]) -> None:
    if count > limit:
        part, name = fresh[0]
        raise Invalid(
            f"{part} {name!r} would be one of {count} attribute names of the application;"
            f" {limit} is the limit (setting engage_max_attribute_names)"
        )


def _kept(app: App, part: str, values: Any) -> Any:
    globs = app.denied.get(part)
    if not globs or not isinstance(values, dict):
        return values
    return {n: v for n, v in values.items() if not any(fnmatchcase(n, glob) for glob in globs)}
