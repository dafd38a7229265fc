"""Commands for warehouses: databases that sources are loaded into."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote, urlsplit

from cyclopts import App

from tailorbird.errors import Invalid, Unavailable
from tailorbird.terminal import Data, Url, parse_json, path_part, segment_api, show

Row = dict[str, Any]

LOOK_SECONDS = 0.3
ENDED = ("done", "failed")

warehouse = App(name="warehouse", help="Warehouses: databases that sources are loaded into.")


def add_to(app: App) -> None:
    """Make these commands of the front door."""
    app.command(warehouse)


@warehouse.command(name="list")
def list_(*, data: Data = None, url: Url = None) -> None:
    """List the warehouses."""
    found = segment_api("GET", "/warehouses", data, url)["warehouses"]
    show([_shown(row) for row in found], ("id", "name", "kind", "enabled", "settings"))


@warehouse.command
def create(
    kind: str,
    where: str,
    *,
    source: tuple[str, ...] = (),
    products_sku: bool = False,
    text_length: int = 512,
    name: str = "",
    data: Data = None,
    url: Url = None,
) -> None:
    """Make a warehouse and connect sources; it is loaded from the next sync on.

    Args:
        kind: postgres, duckdb or sqlite.
        where: For postgres postgresql://user:password@host:port/database; else the name of a file
            (duckdb) or a folder (sqlite) in <data>/warehouses.
        source: Id of a source to connect; give it several times.
        products_sku: Event tables have a column products_sku, and a row for every product.
        text_length: Texts are cut at this many characters; 0 keeps them whole.
        name: A name of your choice.
    """
    settings = _place(kind, where) | {"productsSku": products_sku, "textLength": text_length}
    body = {"metadataId": kind, "settings": settings, "name": name or None}
    made = segment_api("POST", "/warehouses", data, url, body)["warehouse"]
    for one in source:
        segment_api(
            "POST", f"/warehouses/{made['id']}/connected-sources/{path_part(one)}", data, url
        )
    show([_shown(made)], ("id", "name", "kind", "settings"))


@warehouse.command
def get(warehouse_id: str, *, data: Data = None, url: Url = None) -> None:
    """Show a warehouse: its sources, and whether it can be reached.

    Args:
        warehouse_id: Id of the warehouse.
    """
    path = f"/warehouses/{path_part(warehouse_id)}"
    found = segment_api("GET", path, data, url)["warehouse"]
    state = segment_api("GET", f"{path}/connection-state", data, url)["connectionState"]
    sources = segment_api("GET", f"{path}/connected-sources", data, url)["sources"]
    row = {**_shown(found), "state": state, "sources": [one["slug"] for one in sources]}
    show([row], ("id", "name", "kind", "enabled", "settings", "state", "sources"))


@warehouse.command
def update(
    warehouse_id: str,
    settings: str = "{}",
    *,
    enabled: bool | None = None,
    data: Data = None,
    url: Url = None,
) -> None:
    """Change settings of a warehouse, or whether it is loaded.

    Args:
        warehouse_id: Id of the warehouse.
        settings: A JSON object: '{"password": "new"}'; null takes a setting away.
        enabled: True or false.
    """
    body: Row = {"settings": parse_json(settings, "settings"), "enabled": enabled}
    changed = segment_api("PATCH", f"/warehouses/{path_part(warehouse_id)}", data, url, body)[
        "warehouse"
    ]
    show([_shown(changed)], ("id", "name", "kind", "enabled", "settings"))


@warehouse.command
def delete(warehouse_id: str, *, data: Data = None, url: Url = None) -> None:
    """Forget a warehouse; what was loaded into it stays there.

    Args:
        warehouse_id: Id of the warehouse.
    """
    show([segment_api("DELETE", f"/warehouses/{path_part(warehouse_id)}", data, url)], ("status",))


@warehouse.command
def connect(warehouse_id: str, source_id: str, *, data: Data = None, url: Url = None) -> None:
    """Load a source into a warehouse, from the first call of its archive on.

    Args:
        warehouse_id: Id of the warehouse.
        source_id: Id of the source.
    """
    show([segment_api("POST", _connection(warehouse_id, source_id), data, url)], ("status",))


@warehouse.command
def disconnect(warehouse_id: str, source_id: str, *, data: Data = None, url: Url = None) -> None:
    """Load a source no more; its tables stay.

    Args:
        warehouse_id: Id of the warehouse.
        source_id: Id of the source.
    """
    show([segment_api("DELETE", _connection(warehouse_id, source_id), data, url)], ("status",))


@warehouse.command
def sync(warehouse_id: str, *, data: Data = None, url: Url = None) -> None:
    """Load what is new now, and say how each source ended.

    Args:
        warehouse_id: Id of the warehouse.
    """
    path = f"/warehouses/{path_part(warehouse_id)}/syncs"
    job = segment_api("POST", path, data, url)["job"]
    while (found := segment_api("GET", f"{path}/{job}", data, url)["job"])["state"] not in ENDED:
        time.sleep(LOOK_SECONDS)
    if found["state"] == "failed":
        raise Unavailable(f"The sync failed: {found['error']}")
    show((found["result"] or {}).get("syncs", []), ("source", "status", "calls", "rows"))


@warehouse.command
def syncs(warehouse_id: str, *, data: Data = None, url: Url = None) -> None:
    """Show the history of a warehouse: each load with its rows and notices.

    Args:
        warehouse_id: Id of the warehouse.
    """
    found = segment_api("GET", f"/warehouses/{path_part(warehouse_id)}/syncs", data, url)["reports"]
    rows = [{**row, "notices": [notice["message"] for notice in row["notices"]]} for row in found]
    show(rows, ("start", "sourceId", "status", "count", "humanDuration", "notices"))


@warehouse.command
def select(
    warehouse_id: str,
    source_id: str,
    *,
    collection: str | None = None,
    property: str | None = None,
    enabled: bool = False,
    data: Data = None,
    url: Url = None,
) -> None:
    """Switch a source, one of its tables or a column off (or, with --enabled, on again).

    Args:
        warehouse_id: Id of the warehouse.
        source_id: Id of the source.
        collection: A table, such as order_completed.
        property: A column of it.
        enabled: On again; columns and tables take new calls only.
    """
    one = {"sourceId": source_id, "collection": collection, "property": property}
    body = {"syncOverrides": [{**one, "enabled": enabled}]}
    path = f"/warehouses/{path_part(warehouse_id)}/selective-sync"
    show([segment_api("PATCH", path, data, url, body)], ("status", "warnings"))


def _place(kind: str, where: str) -> Row:
    """The settings that an address stands for."""
    if "://" not in where:
        return {"file": where}
    parts = urlsplit(where)
    if kind != "postgres" or parts.scheme not in ("postgres", "postgresql"):
        raise Invalid(
            f"{where!r} is not for {kind}; postgres takes postgresql://..., others a name"
        )
    given = {
        "host": parts.hostname,
        "port": str(parts.port) if parts.port else None,
        "database": unquote(parts.path.lstrip("/")),
        "username": unquote(parts.username or "") or None,
        "password": unquote(parts.password or "") or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _shown(row: Row) -> Row:
    return {
        "id": row["id"],
        "name": row["settings"].get("name"),
        "kind": row["metadata"]["name"],
        "enabled": row["enabled"],
        "settings": row["settings"],
    }


def _connection(warehouse_id: str, source_id: str) -> str:
    return f"/warehouses/{path_part(warehouse_id)}/connected-sources/{path_part(source_id)}"
