"""The rows that one call becomes in a warehouse.

Objects are flattened with `_`, arrays are JSON text, null makes no column, and a property that
has the name of a standard column is left out. Source: Segment, "Warehouse Schemas".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tailorbird.collect.warehouse.naming import column_name, table_name

DEPTH_MAX = 20  # objects inside objects; what is deeper is JSON text
OTHER = "other_properties"  # JSON of what found no column of its own
EPOCH = "epoch"
PRODUCTS_SKU = "products_sku"
ITEM_KEYS = ("sku", "product_id", "id")
TIMES = (
    ("received_at", "receivedAt"),
    ("sent_at", "sentAt"),
    ("timestamp", "timestamp"),
    ("original_timestamp", "originalTimestamp"),
)
STANDARD = frozenset(
    ("id", "anonymous_id", "user_id", "uuid", "uuid_ts", "loaded_at", *(name for name, _ in TIMES))
)
EVENT_COLUMNS = frozenset(("event", "event_text"))

Row = dict[str, Any]
Wanted = Callable[[str, str | None], bool]  # collection and, if it is asked for, property


@dataclass
class Rows:
    """Rows by table, in the order of the calls, and what was left out by reason."""

    tables: dict[str, list[Row]] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)

    def add(self, table: str, row: Row) -> None:
        self.tables.setdefault(table, []).append(row)

    def note(self, message: str) -> None:
        self.notices[message] = self.notices.get(message, 0) + 1


def take(rows: Rows, call: dict[str, Any], now: str, wanted: Wanted, products_sku: bool) -> None:
    """Add the rows of one call."""
    kind = call["type"]
    if kind == "track":
        _track(rows, call, now, wanted, products_sku)
    elif kind == "identify":
        _identify(rows, call, now, wanted)
    elif kind in ("page", "screen"):
        own = {"name": call.get("name"), "category": call.get("category")}
        _plain(rows, f"{kind}s", call, now, wanted, own, "properties")
    elif kind == "group":
        _plain(rows, "groups", call, now, wanted, {"group_id": call["groupId"]}, "traits")
    elif kind == "alias":
        _plain(rows, "aliases", call, now, wanted, {"previous_id": call["previousId"]}, "traits")


def _track(rows: Rows, call: Row, now: str, wanted: Wanted, products_sku: bool) -> None:
    table = table_name(call["event"])
    if wanted("tracks", None):
        row = _common(call, now) | {"event": table, "event_text": call["event"]}
        _spread(rows, "tracks", row, call.get("context"), wanted, ("context",))
        rows.add("tracks", row)
    if not table:
        rows.note("an event without a letter or digit of ASCII in its name is in tracks only")
        return
    if not wanted(table, None):
        return
    row = _common(call, now) | {"event": table, "event_text": call["event"]}
    if products_sku:
        row[EPOCH] = EPOCH
    _spread(rows, table, row, call.get("context"), wanted, ("context",))
    core = dict(row)
    _spread(rows, table, row, call.get("properties"), wanted, (), EVENT_COLUMNS)
    rows.add(table, row)
    if products_sku:
        _products(rows, table, row, core, call.get("properties") or {}, wanted)


def _products(
    rows: Rows, table: str, row: Row, core: Row, properties: dict[str, Any], wanted: Wanted
) -> None:
    """A row for each product: the first is the call's own, the others carry the product's fields
    only, so that sums stay right."""
    if row.get(PRODUCTS_SKU) is not None:
        return
    products = properties.get("products")
    if not isinstance(products, list) or not products:
        row[PRODUCTS_SKU] = _item(properties) or None
        return
    found = [product for product in products if _item(product)]
    for number, product in enumerate(found, 1):
        mine = row if number == 1 else {**core, "id": f"{core['id']}#{number}"}
        _spread(rows, table, mine, product, wanted, ("products",))
        mine[PRODUCTS_SKU] = _item(product)
        if number > 1:
            rows.add(table, mine)
    row.setdefault(PRODUCTS_SKU, None)


def _item(product: Any) -> str:
    """The id of an item, as the interactions take it."""
    if not isinstance(product, dict):
        return ""
    for key in ITEM_KEYS:
        value = product.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return ""


def _identify(rows: Rows, call: Row, now: str, wanted: Wanted) -> None:
    _plain(rows, "identifies", call, now, wanted, {}, "traits")
    user = call.get("userId")
    if not user or not wanted("users", None):
        return
    row = {"id": user, "received_at": call["receivedAt"], "uuid_ts": now}
    _spread(rows, "users", row, call.get("context"), wanted, ("context",))
    _spread(rows, "users", row, call.get("traits"), wanted, ())
    rows.add("users", row)


def _plain(
    rows: Rows, table: str, call: Row, now: str, wanted: Wanted, own: Row, inside: str
) -> None:
    if not wanted(table, None):
        return
    row = _common(call, now) | {name: value for name, value in own.items() if value is not None}
    _spread(rows, table, row, call.get("context"), wanted, ("context",))
    _spread(rows, table, row, call.get(inside), wanted, (), frozenset(own) - {"name", "category"})
    rows.add(table, row)


def _common(call: Row, now: str) -> Row:
    row: Row = {"id": call["messageId"]}
    row |= {"anonymous_id": call.get("anonymousId"), "user_id": call.get("userId")}
    row |= {name: call.get(key) for name, key in TIMES}
    return row | {"uuid_ts": now}


def _spread(
    rows: Rows,
    table: str,
    row: Row,
    given: dict[str, Any] | None,
    wanted: Wanted,
    prefix: tuple[str, ...],
    taken: frozenset[str] = frozenset(),
) -> None:
    """Give every value its column; what finds none goes into the one for the rest."""
    for path, value in _flat(given or {}, prefix):
        name = column_name(*path)
        if name and not wanted(table, name):
            continue
        if name in STANDARD or name in taken:
            rows.note(f"{table}: a property named as the standard column {name} is left out")
        elif not name or name == OTHER or row.get(name, value) != value:
            row.setdefault(OTHER, {})[".".join(path)] = value
        else:
            row[name] = value


def _flat(given: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in given.items():
        here = (*path, key)
        if isinstance(value, dict) and len(here) < DEPTH_MAX:
            yield from _flat(value, here)
        elif value is not None:
            yield here, value
