"""Destinations: what a source is connected to."""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.collect import catalog, counts, cursors, log, sources, tables
from tailorbird.collect.catalog.definition import State
from tailorbird.collect.room import Collect
from tailorbird.errors import Invalid, NotFound

NAME_MAX_CHARACTERS = 255
LATENCIES = 10_000  # deliveries looked at for the 95th percentile


def create(
    room: Collect,
    source_id: str,
    kind: str,
    settings: dict[str, Any],
    *,
    name: str = "",
    enabled: bool = True,
) -> dict[str, Any]:
    """Connect a source; from now on its calls go there too. Invalid names the wrong setting."""
    sources.get(room.db, source_id)
    found = catalog.find(kind)
    destination_id = ids.hex32()[:24]
    row = {
        "id": destination_id,
        "source_id": source_id,
        "type": found.name,
        "name": _checked_name(name or found.name),
        "enabled": enabled,
        "settings": found.checked(settings),
        "created": room.clock.now(),
        "owner": None,
        "lease": 0.0,
    }
    with room.db.write() as conn:
        conn.execute(tables.destinations.insert().values(**row))
        _begin_at_head(room, conn, destination_id)
    room.delivery.changed()
    return get(room, destination_id)


def get(room: Collect, destination_id: str) -> dict[str, Any]:
    d = tables.destinations
    with room.db.read() as conn:
        row = conn.execute(sa.select(d).where(d.c.id == destination_id)).mappings().first()
    if row is None:
        raise NotFound(f"There is no destination {destination_id!r}")
    return _shown(row)


def list_all(room: Collect, source_id: str | None = None) -> list[dict[str, Any]]:
    """Every destination, or those of one source, the oldest first."""
    d = tables.destinations
    query = sa.select(d).order_by(d.c.created, d.c.id)
    if source_id is not None:
        query = query.where(d.c.source_id == source_id)
    with room.db.read() as conn:
        return [_shown(row) for row in conn.execute(query).mappings()]


def update(room: Collect, destination_id: str, **changes: Any) -> dict[str, Any]:
    """Change name, enabled or settings. Calls of the time it was disabled are not sent later."""
    old = get(room, destination_id)
    if unknown := changes.keys() - {"name", "enabled", "settings"}:
        raise Invalid(f"A destination has no field {sorted(unknown)[0]!r} to change")
    if "settings" in changes:
        merged = {**old["settings"], **changes["settings"]}
        changes["settings"] = catalog.find(old["type"]).checked(
            {key: value for key, value in merged.items() if value is not None}
        )
    if "name" in changes:
        _checked_name(changes["name"])
    if changes:
        d = tables.destinations
        with room.db.write() as conn:
            conn.execute(sa.update(d).where(d.c.id == destination_id).values(**changes))
            if changes.get("enabled") and not old["enabled"]:
                _begin_at_head(room, conn, destination_id)
    room.delivery.changed()
    return get(room, destination_id)


def delete(room: Collect, destination_id: str) -> None:
    """Take a destination away, with its queue; what it counted stays until it is tidied up."""
    get(room, destination_id)
    with room.db.write() as conn:
        conn.execute(
            sa.delete(tables.destinations).where(tables.destinations.c.id == destination_id)
        )
        filtered = tables.filters.c.destination_id == destination_id
        conn.execute(sa.delete(tables.filters).where(filtered))
        waiting = tables.deliveries.c.destination_id == destination_id
        conn.execute(sa.delete(tables.deliveries).where(waiting))
        cursors.drop(conn, f"destination:{destination_id}")
    room.delivery.changed()


def overview(room: Collect, destination_id: str, since: float = 0.0) -> dict[str, Any]:
    """Delivery at a glance: calls by step and reason, samples of what failed, latency."""
    destination = get(room, destination_id)
    rows = counts.totals(room.db, destination_id, since)
    steps = counts.by_step(rows)
    source = counts.by_step(counts.totals(room.db, destination["source_id"], since))
    return {
        "steps": {
            counts.RECEIVED: source.get(counts.RECEIVED, 0),
            counts.FAILED_ON_INGEST: source.get(counts.FAILED_ON_INGEST, 0),
            counts.FILTERED_AT_SOURCE: source.get(counts.FILTERED_AT_SOURCE, 0),
            counts.FILTERED_AT_DESTINATION: steps.get(counts.FILTERED_AT_DESTINATION, 0),
            "pending": _pending(room, destination_id, destination["type"]),
            counts.RETRIED: steps.get(counts.RETRIED, 0),
            counts.FAILED_DELIVERY: steps.get(counts.FAILED_DELIVERY, 0),
            counts.DELIVERED: steps.get(counts.DELIVERED, 0),
        },
        "reasons": rows,
        "samples": counts.last_samples(room.db, destination_id),
        "latency_p95_seconds": _latency(room, destination_id, since),
    }


def _pending(room: Collect, destination_id: str, kind: str) -> int:
    """Calls that are neither delivered nor given up, also those inside files."""
    d = tables.deliveries
    mine = (d.c.destination_id == destination_id, d.c.state == State.WAITING)
    with room.db.read() as conn:
        if catalog.find(kind).takes_files:
            files = conn.execute(sa.select(d.c.call).where(*mine)).scalars()
            return sum(orjson.loads(bytes(file))["calls"] for file in files)
        return int(
            conn.execute(sa.select(sa.func.count()).select_from(d).where(*mine)).scalar_one()
        )


def _latency(room: Collect, destination_id: str, since: float) -> float | None:
    """95th percentile of the seconds from receipt to delivery."""
    d = tables.deliveries.c
    query = (
        sa.select(d.finished - d.received)
        .where(d.destination_id == destination_id, d.state == State.DELIVERED, d.finished >= since)
        .order_by(d.number.desc())
        .limit(LATENCIES)
    )
    with room.db.read() as conn:
        taken = sorted(conn.execute(query).scalars())
    return round(taken[int(len(taken) * 0.95)], 4) if taken else None


def _begin_at_head(room: Collect, conn: Connection, destination_id: str) -> None:
    cursors.put(room.db, conn, f"destination:{destination_id}", log.head(conn))


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX_CHARACTERS:
        raise Invalid(f"name is {name!r}; a text of 1 to {NAME_MAX_CHARACTERS} characters is right")
    return name


def _shown(row: Any) -> dict[str, Any]:
    return {key: row[key] for key in row if key not in ("owner", "lease")}
