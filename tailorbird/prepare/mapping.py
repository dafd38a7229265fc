"""Which calls become interactions, and from which fields: written once, for every engine."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import asdict, dataclass, fields
from typing import Any

from tailorbird.errors import Invalid

COLUMNS = ("USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP")
SEED_COLUMNS = ("ANONYMOUS_ID", "USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP_ISO", "TIMESTAMP")

# Why a call is no interaction, in the order in which the reasons are looked for.
REASONS = {
    "not_a_call": "the line is not a JSON object with any of the fields looked for",
    "no_event": "event is missing or not a string (identify, page, ... have none)",
    "event_not_wanted": "the event is not in the mapping's list",
    "no_user_id": "userId is missing, empty, or neither a string nor an integer",
    "no_anonymous_id": "anonymousId is missing, empty, or neither a string nor an integer",
    "properties_not_object": "properties is missing or not an object",
    "bad_timestamp": "timestamp is not an ISO 8601 date and time",
    "no_item_id": "no item id that is a non-empty string or an integer",
}


@dataclass(frozen=True)
class Mapping:
    """The seed's filter and field mapping, and what a shop's calls need beyond it.

    `item_keys` are tried in order; the first that holds an id wins. With `products`, a call whose
    properties hold a non-empty array `products` (Segment's Order Completed) gives a row for each.
    """

    events: tuple[str, ...] = (
        "Product Viewed",
        "Product Clicked",
        "Product Added",
        "Order Completed",
    )
    item_keys: tuple[str, ...] = ("sku", "product_id", "id")
    products: bool = True
    needs_anonymous_id: bool = False
    columns: tuple[str, ...] = COLUMNS


# The Glue job of the seed, literally: sku only, anonymousId needed, its extra columns.
SEED = Mapping(
    events=("Product Added", "Order Completed", "Product Clicked"),
    item_keys=("sku",),
    products=False,
    needs_anonymous_id=True,
    columns=SEED_COLUMNS,
)


def from_dict(given: Dict[str, Any]) -> Mapping:
    """A mapping from its JSON form; Invalid names the field that is wrong."""
    mapping = SEED if given.get("mode") == "seed" else Mapping()
    if given.get("mode") not in (None, "seed", "default"):
        raise Invalid(f'mode is {given["mode"]!r}; "default" or "seed" is right')
    values = asdict(mapping)
    for name, value in given.items():
        if name == "mode":
            continue
        if name not in values:
            known = ", ".join(("mode", *values))
            raise Invalid(f"a mapping has no field {name!r}; it has {known}")
        values[name] = _checked(name, value, type(values[name]))
    unknown = set(values["columns"]) - set(SEED_COLUMNS)
    if unknown or not values["events"] or not values["item_keys"] or not values["columns"]:
        raise Invalid(
            f"events and item_keys may not be empty, and columns are of {', '.join(SEED_COLUMNS)}"
        )
    return Mapping(**values)


def to_dict(mapping: Mapping) -> dict[str, Any]:
    return {field.name: getattr(mapping, field.name) for field in fields(mapping)}


def _checked(name: str, value: Any, kind: type) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise Invalid(f"{name} is {value!r}; true or false is right")
    if isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value):
        return tuple(value)
    raise Invalid(f"{name} is {value!r}; a list of texts is right")
