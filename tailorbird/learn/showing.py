"""Metadata columns in answers: lower-case names, values as text.

Source: Personalize developer guide, "Metadata in recommendations"; saved answers of its notebooks.
"""

from __future__ import annotations

from typing import Any

from tailorbird.errors import Invalid
from tailorbird.learn.deployed import Deployed
from tailorbird.learn.metadata import WHOLE
from tailorbird.learn.shelf import Shelf

MAX_COLUMNS = 10
MAX_ITEMS = 50  # in one request that asks for metadata
SWITCH = "enableMetadataWithRecommendations"


def columns(one: Deployed, request: dict[str, Any], items: int) -> list[str]:
    """The columns a request asks for; Invalid when it asks for too much of them."""
    given = request.get("metadataColumns") or {}
    unknown = [kind for kind in given if kind.upper() != "ITEMS"]
    if unknown:
        raise Invalid(f"metadataColumns names {unknown[0]!r}; ITEMS is right")
    names = [name.upper() for every in given.values() for name in every]
    if not names:
        return []
    if len(names) > MAX_COLUMNS:
        raise Invalid(f"metadataColumns.ITEMS has {len(names)} columns; {MAX_COLUMNS} are allowed")
    if not one.config.get(SWITCH) and not one.recipe.by_texts:
        raise Invalid(
            f"{one.arn} does not return metadata; create or update it with {SWITCH} = true"
        )
    if items > MAX_ITEMS:
        raise Invalid(f"{items} items with metadata are asked for; {MAX_ITEMS} are allowed")
    return names


def check(shelf: Shelf, names: list[str]) -> None:
    """Invalid names a column the Items schema does not have."""
    known = {} if shelf.table is None else shelf.table.types
    for name in names:
        if name not in known or name == "ITEM_ID":
            have = ", ".join(one for one in known if one != "ITEM_ID") or "none"
            raise Invalid(f"metadataColumns.ITEMS names {name}; the Items dataset has {have}")


def of(shelf: Shelf, item_id: str, names: list[str]) -> dict[str, str]:
    """An item's values of these columns, those it has."""
    record = shelf.record(item_id)
    types = {} if shelf.table is None else shelf.table.types
    return {name.lower(): _text(record[name], types[name]) for name in names if name in record}


def _text(value: str | float, kind: str) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if kind in WHOLE else str(float(value))
