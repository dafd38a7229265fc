"""How the Public API shows things: pages, sources, destinations, types of destinations."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from tailorbird.clock import iso
from tailorbird.collect import catalog
from tailorbird.collect.warehouse import Warehouse
from tailorbird.errors import Invalid

PAGE_MAX = 200
_TYPES = {str: "string", list: "list", dict: "map", bool: "boolean", int: "number"}


def paged(name: str, found: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """One page of a list; the cursor is the place it starts at."""
    start = _cursor(_page_value(query, "cursor"))
    count = _count(_page_value(query, "count"))
    page: dict[str, Any] = {"current": _place(start), "totalEntries": len(found)}
    if start + count < len(found):
        page["next"] = _place(start + count)
    if start:
        page["previous"] = _place(max(0, start - count))
    return {name: found[start : start + count], "pagination": page}


def _page_value(query: Mapping[str, str], name: str) -> str | None:
    return query.get(f"pagination.{name}") or query.get(f"pagination[{name}]")


def _count(given: str | None) -> int:
    if given is None:
        return PAGE_MAX
    if not given.isdigit() or not 1 <= int(given) <= PAGE_MAX:
        raise Invalid(f"pagination.count is {given!r}; 1 to {PAGE_MAX} is right")
    return int(given)


def _cursor(given: str | None) -> int:
    if given is None:
        return 0
    try:
        return max(0, int(base64.b64decode(given, validate=True)))
    except (binascii.Error, ValueError):
        raise Invalid(f"pagination.cursor {given!r} is not one of ours") from None


def _place(at: int) -> str:
    return base64.b64encode(str(at).encode()).decode()


def source(row: dict[str, Any], workspace: str) -> dict[str, Any]:
    return {
        "id": row["id"],
        "slug": row["slug"],
        "name": row["name"],
        "workspaceId": workspace,
        "enabled": row["enabled"],
        "writeKeys": row["write_keys"],
        "metadata": {"id": row["metadata_id"], "name": row["metadata_id"]},
        "settings": row["settings"],
        "createdAt": iso(row["created"]),
        "labels": [],
    }


def destination(row: dict[str, Any]) -> dict[str, Any]:
    kind = catalog.find(row["type"])
    return {
        "id": row["id"],
        "name": row["name"],
        "enabled": row["enabled"],
        "sourceId": row["source_id"],
        "settings": row["settings"],
        "metadata": {"id": kind.id, "name": kind.name, "slug": kind.slug},
        "createdAt": iso(row["created"]),
    }


def kind(kind: Any) -> dict[str, Any]:
    return {
        "id": kind.id,
        "name": kind.name,
        "slug": kind.slug,
        "options": options(kind.options),
    }


def warehouse_kind(kind: Warehouse) -> dict[str, Any]:
    return {
        "id": kind.id,
        "name": kind.name,
        "slug": kind.slug,
        "description": kind.description,
        "logos": {"default": ""},
        "options": options(kind.options),
    }


def options(given: Sequence[Any]) -> list[dict[str, Any]]:
    """Settings as the catalogue describes them."""
    return [
        {
            "name": option.name,
            "label": option.label,
            "type": _TYPES[option.type],
            "required": option.required,
            "defaultValue": option.default,
        }
        for option in given
    ]


def reason(item: dict[str, Any]) -> str:
    return f"errors.discarded.{item['reason']}"


def as_text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name} is {value!r}; a text is right")
    return value


def as_object(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"{name} is {value!r}; an object is right")
    return value
