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
from tailorbird.engage import apps
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.definitions import Endpoint
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid

PARTS = {
    "endpoint-custom-attributes": "Attributes",
    "endpoint-metric-attributes": "Metrics",
    "endpoint-user-attributes": "UserAttributes",
}


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


def _kept(app: App, part: str, values: Any) -> Any:
    globs = app.denied.get(part)
    if not globs or not isinstance(values, dict):
        return values
    return {n: v for n, v in values.items() if not any(fnmatchcase(n, glob) for glob in globs)}
