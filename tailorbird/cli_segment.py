"""Commands for sources, destinations with their filters and replays."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from tailorbird.terminal import Data, Url, parse_json, path_part, segment_api, show

Row = dict[str, Any]


def add_to(source: App, destination: App) -> None:
    """Make these commands of the front door."""
    source.command(source_get, name="get")
    source.command(source_delete, name="delete")
    source.command(source_enable, name="enable")
    source.command(source_disable, name="disable")
    destination.command(destination_get, name="get")
    destination.command(destination_delete, name="delete")
    destination.command(destination_enable, name="enable")
    destination.command(destination_disable, name="disable")
    destination.command(destination_deliveries, name="deliveries")
    destination.command(destination_filters, name="filters")
    destination.command(destination_filter_add, name="filter-add")
    destination.command(destination_filter_delete, name="filter-delete")
    destination.command(destination_replay, name="replay")


def source_get(source_id: str, *, data: Data = None, url: Url = None) -> None:
    """Show a source, and what became of its calls.

    Args:
        source_id: Id of the source.
    """
    found = segment_api("GET", f"/sources/{path_part(source_id)}", data, url)["source"]
    steps = segment_api("GET", f"/sources/{path_part(source_id)}/counts", data, url)["steps"]
    show([{**found, "steps": steps}], ("id", "name", "writeKeys", "enabled", "steps"))


def source_delete(source_id: str, *, data: Data = None, url: Url = None) -> None:
    """Take a source away; its archive stays.

    Args:
        source_id: Id of the source.
    """
    show([segment_api("DELETE", f"/sources/{path_part(source_id)}", data, url)], ("status",))


def source_enable(source_id: str, *, data: Data = None, url: Url = None) -> None:
    """Take calls of a source again.

    Args:
        source_id: Id of the source.
    """
    _switch("source", source_id, True, data, url)


def source_disable(source_id: str, *, data: Data = None, url: Url = None) -> None:
    """Drop the calls of a source from now on.

    Args:
        source_id: Id of the source.
    """
    _switch("source", source_id, False, data, url)


def destination_get(destination_id: str, *, data: Data = None, url: Url = None) -> None:
    """Show a destination with its settings.

    Args:
        destination_id: Id of the destination.
    """
    found = segment_api("GET", f"/destinations/{path_part(destination_id)}", data, url)[
        "destination"
    ]
    show([found], ("id", "sourceId", "name", "enabled", "settings"))


def destination_delete(destination_id: str, *, data: Data = None, url: Url = None) -> None:
    """Take a destination away, with its queue and its filters.

    Args:
        destination_id: Id of the destination.
    """
    show(
        [segment_api("DELETE", f"/destinations/{path_part(destination_id)}", data, url)],
        ("status",),
    )


def destination_enable(destination_id: str, *, data: Data = None, url: Url = None) -> None:
    """Deliver to a destination what its source receives from now on.

    Args:
        destination_id: Id of the destination.
    """
    _switch("destination", destination_id, True, data, url)


def destination_disable(destination_id: str, *, data: Data = None, url: Url = None) -> None:
    """Deliver no more to a destination.

    Args:
        destination_id: Id of the destination.
    """
    _switch("destination", destination_id, False, data, url)


def destination_deliveries(destination_id: str, *, data: Data = None, url: Url = None) -> None:
    """Say what became of the calls to a destination: each step and reason with its count.

    Args:
        destination_id: Id of the destination.
    """
    path = f"/destinations/{path_part(destination_id)}/delivery-metrics"
    seen = segment_api("GET", path, data, url)["overview"]
    said: dict[str, str] = {}
    for sample in reversed(seen["samples"]):
        said[sample["reason"]] = sample["message"]
    rows = [{**row, "message": said.get(row["reason"], "")} for row in seen["reasons"]]
    show(rows, ("step", "reason", "type", "n", "message"))


def destination_filters(destination_id: str, *, data: Data = None, url: Url = None) -> None:
    """List the filters of a destination.

    Args:
        destination_id: Id of the destination.
    """
    found = segment_api("GET", f"/destination/{path_part(destination_id)}/filters", data, url)[
        "filters"
    ]
    show(found, ("id", "title", "if", "actions", "enabled"))


def destination_filter_add(
    destination_id: str,
    condition: str,
    actions: str,
    *,
    title: str = "",
    data: Data = None,
    url: Url = None,
) -> None:
    """Put a filter on a destination.

    Args:
        destination_id: Id of the destination.
        condition: Which calls, in FQL: 'type = "track" and properties.price < 1', or all.
        actions: What to do with them, as a JSON object: '{"type": "DROP"}'.
        title: A name of your choice.
    """
    body = {"if": condition, "title": title, "actions": [parse_json(actions, "actions")]}
    path = f"/destination/{path_part(destination_id)}/filters"
    made = segment_api("POST", path, data, url, body)["filter"]
    show([made], ("id", "title", "if", "actions"))


def destination_filter_delete(
    destination_id: str, filter_id: str, *, data: Data = None, url: Url = None
) -> None:
    """Take a filter off a destination.

    Args:
        destination_id: Id of the destination.
        filter_id: Id of the filter.
    """
    path = f"/destination/{path_part(destination_id)}/filters/{path_part(filter_id)}"
    show([segment_api("DELETE", path, data, url)], ("status",))


def destination_replay(
    destination_id: str,
    *,
    start: str = "",
    end: str = "",
    event: tuple[str, ...] = (),
    per_second: float = 100.0,
    data: Data = None,
    url: Url = None,
) -> None:
    """Send a source's archived calls to a destination again; goes on in the background.

    Args:
        destination_id: Id of the destination; it may be disabled.
        start: Calls from this time on, such as 2026-11-21T12:00:00Z.
        end: Calls before this time.
        event: Only track calls of this name; give it several times.
        per_second: Calls a second at most.
    """
    body = {
        "destinationId": destination_id,
        "start": start or None,
        "end": end or None,
        "events": list(event) or None,
        "perSecond": per_second,
    }
    made = segment_api("POST", "/replays", data, url, body)["replay"]
    show([made], ("id", "state", "job"))


def _switch(kind: str, given: str, enabled: bool, data: Data, url: Url) -> None:
    found = segment_api("PATCH", f"/{kind}s/{path_part(given)}", data, url, {"enabled": enabled})[
        kind
    ]
    show([found], ("id", "name", "enabled"))
