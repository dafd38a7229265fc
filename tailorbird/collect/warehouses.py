"""Warehouses: databases that sources are loaded into, with selective sync and a schedule.

The Public API's words and shapes. A warehouse takes the sources that are connected to it, from the
first call of their archive on.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from tailorbird import ids
from tailorbird.channels import credentials
from tailorbird.collect import sources, tables, warehouse
from tailorbird.collect.room import Collect
from tailorbird.collect.warehouse.naming import schema_name
from tailorbird.errors import Invalid, NotFound, Unavailable
from tailorbird.store import insert

SEALED_AS = "WAREHOUSE"
TEXT_LENGTH_MAX = 65_535
EVERY_SLOT: dict[str, Any] = {"enabled": False}


def create(
    room: Collect, kind: str, settings: dict[str, Any], *, name: str = "", enabled: bool = True
) -> dict[str, Any]:
    """A warehouse without sources; Invalid names the wrong setting."""
    found = warehouse.find(kind)
    if name:
        settings = {**settings, "name": name}
    open_settings, secret = checked(found, settings)
    warehouse_id = ids.hex32()[:24]
    row = {
        "id": warehouse_id,
        "kind": found.name,
        "enabled": enabled,
        "settings": open_settings,
        "schedule": EVERY_SLOT,
        "created": room.clock.now(),
        "holder": None,
    }
    with room.db.write() as conn:
        conn.execute(tables.warehouses.insert().values(**row))
        if secret:
            credentials.put(room.channels, conn, warehouse_id, SEALED_AS, secret)
    return get(room, warehouse_id)


def get(room: Collect, warehouse_id: str) -> dict[str, Any]:
    """A warehouse, without its secrets."""
    w = tables.warehouses
    with room.db.read() as conn:
        row = conn.execute(sa.select(w).where(w.c.id == warehouse_id)).mappings().first()
    if row is None:
        raise NotFound(f"There is no warehouse {warehouse_id!r}")
    return dict(row)


def list_all(room: Collect) -> list[dict[str, Any]]:
    """Every warehouse, the oldest first."""
    w = tables.warehouses
    with room.db.read() as conn:
        found = conn.execute(sa.select(w).order_by(w.c.created, w.c.id)).mappings()
        return [dict(row) for row in found]


def update(
    room: Collect,
    warehouse_id: str,
    *,
    settings: dict[str, Any] | None = None,
    name: str | None = None,
    enabled: bool | None = None,
) -> dict[str, Any]:
    """Change some settings (null takes one away), the name or whether it is loaded."""
    old = get(room, warehouse_id)
    given = {**(settings or {}), **({} if name is None else {"name": name})}
    secret = credentials.read(room.channels, warehouse_id, SEALED_AS)
    merged = {**old["settings"], **secret, **given}
    kept = {key: value for key, value in merged.items() if value is not None}
    open_settings, secret = checked(warehouse.find(old["kind"]), kept)
    changes: dict[str, Any] = {"settings": open_settings}
    if enabled is not None:
        changes["enabled"] = enabled
    w = tables.warehouses
    with room.db.write() as conn:
        conn.execute(sa.update(w).where(w.c.id == warehouse_id).values(**changes))
        credentials.delete(conn, warehouse_id)
        if secret:
            credentials.put(room.channels, conn, warehouse_id, SEALED_AS, secret)
    return get(room, warehouse_id)


def delete(room: Collect, warehouse_id: str) -> None:
    """Forget a warehouse; what was loaded into it stays there."""
    get(room, warehouse_id)
    with room.db.write() as conn:
        for table in (tables.connections, tables.syncs):
            conn.execute(sa.delete(table).where(table.c.warehouse_id == warehouse_id))
        conn.execute(sa.delete(tables.warehouses).where(tables.warehouses.c.id == warehouse_id))
        credentials.delete(conn, warehouse_id)


def connect(room: Collect, warehouse_id: str, source_id: str) -> None:
    """Load a source from the next sync on, with what its archive holds."""
    get(room, warehouse_id)
    sources.get(room.db, source_id)
    row = insert(room.db, tables.connections).values(
        warehouse_id=warehouse_id,
        source_id=source_id,
        first=0,
        line=0,
        overrides=[],
        tables={},
        created=room.clock.now(),
    )
    with room.db.write() as conn:
        conn.execute(row.on_conflict_do_nothing())


def disconnect(room: Collect, warehouse_id: str, source_id: str) -> None:
    """Load a source no more; its tables stay."""
    connection(room, warehouse_id, source_id)
    c = tables.connections
    with room.db.write() as conn:
        conn.execute(_mine(sa.delete(c), warehouse_id, source_id))


def connections(room: Collect, warehouse_id: str) -> list[dict[str, Any]]:
    """The sources of a warehouse, in the order they were connected."""
    get(room, warehouse_id)
    c = tables.connections
    query = (
        sa.select(c).where(c.c.warehouse_id == warehouse_id).order_by(c.c.created, c.c.source_id)
    )
    with room.db.read() as conn:
        return [dict(row) for row in conn.execute(query).mappings()]


def connection(room: Collect, warehouse_id: str, source_id: str) -> dict[str, Any]:
    """How a source is connected; NotFound when it is not."""
    for found in connections(room, warehouse_id):
        if found["source_id"] == source_id:
            return found
    raise NotFound(f"Source {source_id!r} is not connected to warehouse {warehouse_id}")


def reach(room: Collect, kind: str, settings: dict[str, Any]) -> None:
    """Open a warehouse with these settings and close it; Unavailable says why it cannot be."""
    found = warehouse.find(kind)
    plain, secret = checked(found, settings)
    found.open({**plain, **secret}, folder(room), "").close()


def is_reached(room: Collect, warehouse_id: str) -> bool:
    """Whether the warehouse can be opened now."""
    try:
        for source in connections(room, warehouse_id) or [{"source_id": ""}]:
            opened(room, warehouse_id, source["source_id"]).close()
    except Unavailable:
        return False
    return True


def opened(room: Collect, warehouse_id: str, source_id: str) -> warehouse.Connection:
    """A connection for one source's schema."""
    row = get(room, warehouse_id)
    secret = credentials.read(room.channels, warehouse_id, SEALED_AS)
    schema = schema_name(sources.get(room.db, source_id)["slug"]) if source_id else ""
    kind = warehouse.find(row["kind"])
    return kind.open({**row["settings"], **secret}, folder(room), schema)


def folder(room: Collect) -> Path:
    """Where warehouses that are files lie."""
    given: Path = room.settings.warehouses
    return room.settings.data / "warehouses" if given == Path() else given


def override(room: Collect, warehouse_id: str, given: list[Any]) -> list[str]:
    """Selective sync: switch sources, collections or properties off and on again; warnings."""
    get(room, warehouse_id)
    warnings: list[str] = []
    changes: dict[str, list[dict[str, Any]]] = {}
    for number, item in enumerate(given):
        one = checked_override(item, number)
        changes.setdefault(one.pop("sourceId"), []).append(one)
    for source_id, ones in changes.items():
        found = connection(room, warehouse_id, source_id)
        for one in ones:
            collection = one.get("collection")
            if collection is not None and collection not in found["tables"]:
                warnings.append(f"source {source_id} has no collection {collection!r} yet")
        kept = {_place(one): one for one in [*found["overrides"], *ones]}
        off = [one for one in kept.values() if not one["enabled"]]
        c = tables.connections
        with room.db.write() as conn:
            conn.execute(_mine(sa.update(c), warehouse_id, source_id).values(overrides=off))
    return warnings


def put_schedule(room: Collect, warehouse_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """At which hours of which time zone to sync; not enabled is at every one."""
    get(room, warehouse_id)
    schedule = checked_schedule(given)
    w = tables.warehouses
    with room.db.write() as conn:
        conn.execute(sa.update(w).where(w.c.id == warehouse_id).values(schedule=schedule))
    return schedule


def is_time(schedule: dict[str, Any], now: float) -> bool:
    """Whether a warehouse with this schedule is to be loaded in this hour."""
    if not schedule.get("enabled"):
        return True
    wanted = schedule.get("schedule") or {}
    hour = datetime.fromtimestamp(now, ZoneInfo(wanted.get("timezone") or "UTC")).hour
    return any(one["enabled"] and one["hourOfDay"] == hour for one in wanted.get("times") or ())


def _mine(statement: Any, warehouse_id: str, source_id: str) -> Any:
    c = tables.connections.c
    return statement.where(c.warehouse_id == warehouse_id, c.source_id == source_id)


def checked(
    kind: warehouse.Warehouse, settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that may be shown, and the secret ones."""
    kind.checked(settings)
    length = settings.get("textLength")
    if length is not None and (isinstance(length, bool) or not 0 <= length <= TEXT_LENGTH_MAX):
        raise Invalid(f"setting 'textLength' is {length!r}; 0 to {TEXT_LENGTH_MAX} is right")
    secret = {key: settings[key] for key in kind.secrets if key in settings}
    return {key: value for key, value in settings.items() if key not in secret}, secret


def checked_override(item: Any, number: int) -> dict[str, Any]:
    where = f"syncOverrides[{number}]"
    if not isinstance(item, dict):
        raise Invalid(f"{where} is not an object")
    if unknown := item.keys() - {"sourceId", "collection", "property", "enabled"}:
        raise Invalid(f"{where} has no field {sorted(unknown)[0]!r}")
    for name in ("sourceId", "collection", "property"):
        if not isinstance(item.get(name), str | (type(None) if name != "sourceId" else str)):
            raise Invalid(f"{where}.{name} is {item.get(name)!r}; a text is right")
    if not isinstance(item.get("enabled"), bool):
        raise Invalid(f"{where}.enabled is {item.get('enabled')!r}; true or false is right")
    if item.get("property") is not None and item.get("collection") is None:
        raise Invalid(f"{where} names a property but no collection")
    return {key: value for key, value in item.items() if value is not None}


def _place(one: dict[str, Any]) -> tuple[Any, Any]:
    return one.get("collection"), one.get("property")


def checked_schedule(given: dict[str, Any]) -> dict[str, Any]:
    enabled = given.get("enabled")
    if not isinstance(enabled, bool):
        raise Invalid(f"enabled is {enabled!r}; true or false is right")
    inner = given.get("schedule")
    if inner is None:
        if enabled:
            raise Invalid("schedule is missing: {times: [{hourOfDay, enabled}], timezone}")
        return {"enabled": False}
    times = inner.get("times") if isinstance(inner, dict) else None
    if not isinstance(times, list) or not all(_is_time(one) for one in times):
        raise Invalid("schedule.times is a list of {hourOfDay: 0 to 23, enabled: true or false}")
    zone = inner.get("timezone") or "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise Invalid(
            f"schedule.timezone is {zone!r}; a name such as Europe/Berlin is right"
        ) from None
    return {"enabled": enabled, "schedule": {"times": times, "timezone": zone}}


def _is_time(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("enabled"), bool)
        and isinstance(one.get("hourOfDay"), int)
        and 0 <= one["hourOfDay"] <= 23
    )
