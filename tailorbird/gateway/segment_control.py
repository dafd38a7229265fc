"""The Public API's filters, source settings, catalogue and delivery overview; and our replays."""

from __future__ import annotations

from typing import Any

from tailorbird.clock import iso, parse_iso
from tailorbird.collect import catalog, counts, destinations, filters, profiles, replays, sources
from tailorbird.errors import Invalid, NotFound
from tailorbird.gateway import segment_shapes
from tailorbird.gateway.segment_rooms import Asked, Deed, Rooms

GRANULARITIES = {"MINUTE": 600, "HOUR": 3600, "DAY": 86_400}  # counted in buckets of ten minutes
GROUPS = {"eventType": "type", "discardReason": "reason"}
OF_SOURCE = (counts.RECEIVED, counts.FAILED_ON_INGEST, counts.FILTERED_AT_SOURCE)


def list_filters(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    found = [_filter(row) for row in filters.list_all(rooms.collect, asked.parts[0])]
    return segment_shapes.paged("filters", found, asked.query)


def create_filter(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"filter": _filter(filters.create(rooms.collect, asked.parts[0], asked.body))}


def get_filter(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"filter": _filter(filters.get(rooms.collect, *asked.parts))}


def update_filter(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    destination, filter_id = asked.parts
    return {"filter": _filter(filters.update(rooms.collect, destination, filter_id, asked.body))}


def delete_filter(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    filters.delete(rooms.collect, *asked.parts)
    return {"status": "SUCCESS"}


def preview_filter(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """What a filter makes of a payload: the Public API's PreviewDestinationFilter."""
    for name in ("filter", "payload"):
        if name not in asked.body:
            raise Invalid(f"{name} is missing; filter and payload are objects")
    given = segment_shapes.as_object(asked.body, "filter")
    payload = segment_shapes.as_object(asked.body, "payload")
    return {"inputPayload": payload, "result": filters.preview(given, payload)}


def get_settings(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"settings": sources.get(rooms.collect.db, asked.parts[0])["settings"]}


def update_settings(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """Merge settings of a source; null takes one away."""
    room = rooms.collect
    merged = {**sources.get(room.db, asked.parts[0])["settings"], **asked.body}
    kept = {name: value for name, value in merged.items() if value is not None}
    changed = sources.update(room.db, asked.parts[0], settings=kept)
    room.keys.forget()
    return {"settings": changed["settings"]}


def get_destination_kind(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"destinationMetadata": segment_shapes.kind(catalog.find(asked.parts[0]))}


def list_source_kinds(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """Sources are all of one kind here: whoever sends HTTP calls with a write key."""
    name = sources.DEFAULT_CATALOG
    one = {"id": name, "name": name, "slug": "http-api", "options": [], "categories": ["Server"]}
    return segment_shapes.paged("sourcesCatalog", [one], asked.query)


def overview(step: str) -> Deed:
    """One step of the delivery overview, as series over time."""

    def deed(rooms: Rooms, asked: Asked) -> dict[str, Any]:
        return _overview(rooms, asked, step)

    return deed


def start_replay(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"replay": _replay(rooms, replays.start(rooms.collect, asked.body))}


def list_replays(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    found = [_replay(rooms, row) for row in replays.list_all(rooms.collect)]
    return segment_shapes.paged("replays", found, asked.query)


def get_replay(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"replay": _replay(rooms, replays.get(rooms.collect, asked.parts[0]))}


def cancel_replay(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    return {"replay": _replay(rooms, replays.cancel(rooms.collect, asked.parts[0]))}


def get_anonymous_profile(rooms: Rooms, asked: Asked) -> dict[str, Any]:
    """What is known of a person, by anonymous id."""
    return {"profile": profiles.find(rooms.collect, anonymous_id=asked.parts[0])}


def _overview(rooms: Rooms, asked: Asked, step: str) -> dict[str, Any]:
    query, room = asked.query, rooms.collect
    source = sources.get(room.db, query.get("sourceId") or "")
    owner = source["id"]
    if step not in OF_SOURCE:
        owner = query.get("destinationConfigId") or ""
        if destinations.get(room, owner)["source_id"] != source["id"]:
            raise NotFound(f"Source {source['id']} has no destination {owner!r}")
    seconds = GRANULARITIES.get(query.get("granularity") or "HOUR")
    if seconds is None:
        raise Invalid(f"granularity is one of {', '.join(GRANULARITIES)}")
    since, until = _moment(query, "startTime"), _moment(query, "endTime")
    groups = [value for name, value in query.items() if name.startswith("groupBy")]
    if wrong := [group for group in groups if group not in GROUPS]:
        raise Invalid(f"groupBy {wrong[0]!r} is not counted here; one of {', '.join(GROUPS)} is")
    series: dict[tuple[str, ...], dict[int, int]] = {}
    for row in counts.over_time(room.db, owner, step, since, until):
        group = series.setdefault(tuple(row[GROUPS[name]] for name in groups), {})
        slot = int(row["bucket"] // seconds * seconds)
        group[slot] = group.get(slot, 0) + int(row["n"])
    dataset: list[dict[str, Any]] = [
        {
            **dict(zip(groups, group, strict=True)),
            "total": sum(slots.values()),
            "series": [{"time": iso(slot), "count": n} for slot, n in sorted(slots.items())],
        }
        for group, slots in sorted(series.items())
    ]
    total = sum(int(one["total"]) for one in dataset)
    return {"sourceId": source["id"], "total": total, **_page(dataset, query)}


def _page(dataset: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    return segment_shapes.paged("dataset", dataset, query)


def _moment(query: dict[str, str], name: str) -> float:
    try:
        return parse_iso(query.get(name) or "")
    except ValueError:
        raise Invalid(
            f"{name} is {query.get(name)!r}; a time such as 2026-11-21T12:00:00Z is right"
        ) from None


def _filter(row: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "id": row["id"],
        "sourceId": row["source_id"],
        "destinationId": row["destination_id"],
        "if": row["condition"],
        "actions": row["actions"],
        "title": row["title"],
        "enabled": row["enabled"],
        "createdAt": iso(row["created"]),
        "updatedAt": iso(row["updated"]),
    }
    return shown | ({"description": row["description"]} if row["description"] else {})


def _replay(rooms: Rooms, row: dict[str, Any]) -> dict[str, Any]:
    job = rooms.collect.jobs.get(row["job"])
    return {
        "id": row["id"],
        "destinationId": row["destination_id"],
        "wanted": row["wanted"],
        "state": row["state"],
        "error": row["error"] or job["error"],
        "job": row["job"],
        "progress": {name: job[name] for name in ("done", "total", "unit")},
        "counts": row["counts"],
    }


ROUTES: dict[tuple[str, str], Deed] = {
    ("POST", "/destination/filters/preview"): preview_filter,
    ("GET", "/destination/*/filters"): list_filters,
    ("POST", "/destination/*/filters"): create_filter,
    ("GET", "/destination/*/filters/*"): get_filter,
    ("PATCH", "/destination/*/filters/*"): update_filter,
    ("DELETE", "/destination/*/filters/*"): delete_filter,
    ("GET", "/sources/*/settings"): get_settings,
    ("PATCH", "/sources/*/settings"): update_settings,
    ("GET", "/catalog/destinations/*"): get_destination_kind,
    ("GET", "/catalog/sources"): list_source_kinds,
    ("GET", "/delivery-overview/successfully-received"): overview(counts.RECEIVED),
    ("GET", "/delivery-overview/failed-on-ingest"): overview(counts.FAILED_ON_INGEST),
    ("GET", "/delivery-overview/filtered-at-source"): overview(counts.FILTERED_AT_SOURCE),
    ("GET", "/delivery-overview/filtered-at-destination"): overview(counts.FILTERED_AT_DESTINATION),
    ("GET", "/delivery-overview/failed-delivery"): overview(counts.FAILED_DELIVERY),
    ("GET", "/delivery-overview/successful-delivery"): overview(counts.DELIVERED),
    ("GET", "/replays"): list_replays,
    ("POST", "/replays"): start_replay,
    ("GET", "/replays/*"): get_replay,
    ("DELETE", "/replays/*"): cancel_replay,
    ("GET", "/profiles/anonymous/*"): get_anonymous_profile,
}
