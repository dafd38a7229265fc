"""The Public API's warehouses: connected sources, selective sync, schedules, history.

Beside it stands what Segment does not have: a sync on demand.
"""

from __future__ import annotations

from typing import Any

from tailorbird.clock import iso
from tailorbird.collect import sources, syncs, warehouse, warehouses
from tailorbird.errors import Invalid, Unavailable
from tailorbird.gateway import segment_shapes
from tailorbird.gateway.segment_rooms import Asked, Deed, Rooms

CONNECTED, FAILED = "CONNECTED", "FAILED"


def list_warehouses(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    found = [_warehouse(rooms, row) for row in warehouses.list_all(rooms.collect)]
    return segment_shapes.paged("warehouses", found, asked.query)


def create_warehouse(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    body = asked.body
    made = warehouses.create(
        rooms.collect,
        segment_shapes.as_text(body, "metadataId"),
        segment_shapes.as_object(body, "settings"),
        name=_name(body) or "",
        enabled=_enabled(body) is not False,
    )
    return {"warehouse": _warehouse(rooms, made)}


def get_warehouse(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"warehouse": _warehouse(rooms, warehouses.get(rooms.collect, asked.parts[0]))}


def update_warehouse(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    changed = warehouses.update(
        rooms.collect,
        asked.parts[0],
        settings=segment_shapes.as_object(asked.body, "settings"),
        name=_name(asked.body),
        enabled=_enabled(asked.body),
    )
    return {"warehouse": _warehouse(rooms, changed)}


def delete_warehouse(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    warehouses.delete(rooms.collect, asked.parts[0])
    return {"status": "SUCCESS"}


def validate(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """Whether a warehouse with such settings can be opened."""
    kind = segment_shapes.as_text(asked.body, "metadataId")
    settings = segment_shapes.as_object(asked.body, "settings")
    try:
        warehouses.reach(rooms.collect, kind, settings)
    except Unavailable as error:
        return {"status": FAILED, "message": error.message}
    return {"status": CONNECTED}


def get_connection_state(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    reached = warehouses.is_reached(rooms.collect, asked.parts[0])
    return {"connectionState": CONNECTED if reached else FAILED}


def list_connected(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    room = rooms.collect
    connected = {one["source_id"] for one in warehouses.connections(room, asked.parts[0])}
    found = [
        segment_shapes.source(row, room.settings.workspace)
        for row in sources.list_all(room.db)
        if row["id"] in connected
    ]
    return segment_shapes.paged("sources", found, asked.query)


def connect(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    warehouses.connect(rooms.collect, *asked.parts)
    return {"status": CONNECTED}


def disconnect(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    warehouses.disconnect(rooms.collect, *asked.parts)
    return {"status": "SUCCESS"}


def list_selective(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """Every collection that was loaded, with its properties, and whether each is loaded."""
    warehouse_id, source_id = asked.parts
    found = warehouses.connection(rooms.collect, warehouse_id, source_id)
    off = {
        (one.get("collection"), one.get("property"))
        for one in found["overrides"]
        if not one["enabled"]
    }
    names = {name for name, _ in off if name} | set(found["tables"])
    items = [
        {
            "sourceId": source_id,
            "warehouseId": warehouse_id,
            "collection": name,
            "enabled": (None, None) not in off and (name, None) not in off,
            "properties": {
                column: (name, column) not in off
                for column in sorted(
                    {*found["tables"].get(name, {}), *(p for n, p in off if n == name and p)}
                )
            },
        }
        for name in sorted(names)
    ]
    return segment_shapes.paged("items", items, asked.query)


def update_selective(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    given = asked.body.get("syncOverrides")
    if not isinstance(given, list):
        raise Invalid(f"syncOverrides is {given!r}; a list is right")
    warnings = warehouses.override(rooms.collect, asked.parts[0], given)
    return {"status": "UPDATED" if given else "UNCHANGED", "warnings": warnings}


def get_schedule(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return dict(warehouses.get(rooms.collect, asked.parts[0])["schedule"])


def put_schedule(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return warehouses.put_schedule(rooms.collect, asked.parts[0], asked.body)


def list_syncs(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """The history of a warehouse, or of one source of it."""
    found = [_sync(row) for row in syncs.list_all(rooms.collect, *asked.parts)]
    return segment_shapes.paged("reports", found, asked.query)


def start_sync(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """Load now; goes on in a job."""
    return {"job": syncs.start(rooms.collect, asked.parts[0])}


def get_sync_job(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """How far such a job is, and what came of it."""
    warehouses.get(rooms.collect, asked.parts[0])
    job = rooms.collect.jobs.get(int(asked.parts[1]) if asked.parts[1].isdigit() else 0)
    names = ("id", "state", "done", "total", "unit", "error", "result")
    return {"job": {name: job[name] for name in names}}


def list_kinds(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    found = [segment_shapes.warehouse_kind(kind) for kind in warehouse.KINDS.values()]
    return segment_shapes.paged("warehousesCatalog", found, asked.query)


def get_kind(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"warehouseMetadata": segment_shapes.warehouse_kind(warehouse.find(asked.parts[0]))}


def _warehouse(rooms: Rooms, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "workspaceId": rooms.collect.settings.workspace,
        "enabled": row["enabled"],
        "metadata": segment_shapes.warehouse_kind(warehouse.find(row["kind"])),
        "settings": row["settings"],
    }


def _sync(row: dict[str, Any]) -> dict[str, Any]:
    seconds = (row["ended"] or row["started"]) - row["started"]
    return {
        "sourceId": row["source_id"],
        "start": iso(row["started"]),
        "end": None if row["ended"] is None else iso(row["ended"]),
        "status": row["status"],
        "duration": round(seconds * 1000),
        "humanDuration": f"{seconds:.1f}s",
        "count": row["rows"],
        "notices": row["notices"],
    }


def _name(body: dict[str, Any]) -> str | None:
    return None if body.get("name") is None else segment_shapes.as_text(body, "name")


def _enabled(body: dict[str, Any]) -> bool | None:
    value = body.get("enabled")
    if value is not None and not isinstance(value, bool):
        raise Invalid(f"enabled is {value!r}; true or false is right")
    return value


ROUTES: dict[tuple[str, str], Deed] = {
    ("GET", "/warehouses"): list_warehouses,
    ("POST", "/warehouses"): create_warehouse,
    ("POST", "/warehouses/validation"): validate,
    ("GET", "/warehouses/*"): get_warehouse,
    ("PATCH", "/warehouses/*"): update_warehouse,
    ("DELETE", "/warehouses/*"): delete_warehouse,
    ("GET", "/warehouses/*/connection-state"): get_connection_state,
    ("GET", "/warehouses/*/connected-sources"): list_connected,
    ("POST", "/warehouses/*/connected-sources/*"): connect,
    ("DELETE", "/warehouses/*/connected-sources/*"): disconnect,
    ("GET", "/warehouses/*/connected-sources/*/selective-syncs"): list_selective,
    ("GET", "/warehouses/*/connected-sources/*/syncs"): list_syncs,
    ("PATCH", "/warehouses/*/selective-sync"): update_selective,
    ("GET", "/warehouses/*/advanced-sync-schedule"): get_schedule,
    ("PUT", "/warehouses/*/advanced-sync-schedule"): put_schedule,
    ("GET", "/warehouses/*/syncs"): list_syncs,
    ("POST", "/warehouses/*/syncs"): start_sync,
    ("GET", "/warehouses/*/syncs/*"): get_sync_job,
    ("GET", "/catalog/warehouses"): list_kinds,
    ("GET", "/catalog/warehouses/*"): get_kind,
}
