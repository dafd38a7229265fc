"""The mapping file, TOML or JSON, and what is wrong with one: which field, on which line."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

from tailorbird.errors import Invalid, NotFound
from tailorbird.prepare.mapping import (
    DATASETS,
    INTERACTIONS,
    ITEMS,
    OWN,
    SCALARS,
    USERS,
    Column,
    Dataset,
    Mapping,
    Warehouse,
)
from tailorbird.prepare.paths import Path, parse

EVENTS = ("Product Viewed", "Product Clicked", "Product Added", "Order Completed")
SEED_EVENTS = ("Product Added", "Order Completed", "Product Clicked")
SEED_TABLE_EVENTS = ("Order Completed", "Product Added", "Product Viewed")  # as its SQL lists them
ITEM_KEYS = ("sku", "product_id", "id")
FIELDS = {
    INTERACTIONS: {
        "events", "user", "item", "item_keys", "products", "value", "time", "columns", "anonymous",
        "duplicates",
    },
    USERS: {"types", "user", "time", "columns"},
    ITEMS: {"events", "item", "item_keys", "products", "time", "columns"},
    "warehouse": {"schema", "tables", "item", "event"},
}  # fmt: skip
MODES = ("default", "seed")
DUPLICATES = ("keep", "drop")
LINES_SHOWN_MAX = 60


def load(file: FilePath) -> Mapping:
    """The mapping in a .toml or .json file."""
    try:
        text = file.read_text()
    except FileNotFoundError:
        raise NotFound(f"There is no mapping file {file}") from None
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    try:
        given = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        kind = "JSON" if file.suffix == ".json" else "TOML"
        raise Invalid(f"{file} is not {kind}: {error}") from None
    try:
        return from_dict(given)
    except Invalid as error:
        raise Invalid(f"{file}{_line(text, str(error))}: {error}") from None


def from_dict(given: Any) -> Mapping:
    """A mapping from its JSON form; Invalid names the field that is wrong.

    One without the headings interactions, users, items and warehouse is of interactions alone.
    """
    if not isinstance(given, Dict):
        raise Invalid(f"a mapping is an object, not {given!r}")
    mode = given.get("mode", "default")
    if mode not in MODES:
        raise Invalid(f'mode is {mode!r}; "default" or "seed" is right')
    rest = {name: value for name, value in given.items() if name != "mode"}
    if not rest.keys() & FIELDS.keys():
        rest = {INTERACTIONS: rest}
    for name, value in rest.items():
        if name not in FIELDS:
            raise Invalid(f"a mapping has no field {name!r}; it has mode, {', '.join(FIELDS)}")
        if not isinstance(value, Dict):
            raise Invalid(f"{name} is {value!r}; a table is right")
        _known(value, FIELDS[name], name)
    seed = mode == "seed"
    return Mapping(
        interactions=_interactions(rest.get(INTERACTIONS, {}), seed),
        users=_users(rest[USERS]) if USERS in rest else None,
        items=_items(rest[ITEMS]) if ITEMS in rest else None,
        warehouse=_warehouse(rest.get("warehouse", {}), seed),
    )


def _interactions(given: Dict[str, Any], seed: bool) -> Dataset:
    events, types = _events(given, SEED_EVENTS if seed else EVENTS)
    anonymous = parse(given.get("anonymous", "anonymousId"), "interactions.anonymous")
    time = _time(given, INTERACTIONS)
    extra = _columns(given, INTERACTIONS)
    duplicates = _one_of(given, "duplicates", DUPLICATES, "keep")
    plain = [Column("USER_ID", "user"), Column("ITEM_ID", "item"), Column("EVENT_TYPE", "event")]
    if "value" in given:
        paths = _paths(given["value"], "interactions.value")
        plain.append(Column("EVENT_VALUE", "float", paths))
    seconds = Column("TIMESTAMP", "seconds")
    if seed:
        columns = [Column("ANONYMOUS_ID", "anonymous"), *plain]
        columns += [Column("TIMESTAMP_ISO", "moment"), seconds]
    else:
        columns = [*plain, seconds]
    _no_twins([*columns, *extra], INTERACTIONS)
    uses_anonymous = seed or any(column.kind == "anonymous" for column in extra)
    return Dataset(
        name=INTERACTIONS,
        columns=(*columns, *extra),
        time=time,
        user=_list_of_paths(given, "user", ("userId",), INTERACTIONS),
        item=_item(given, INTERACTIONS, extra, seed),
        anonymous=(anonymous,) if uses_anonymous else (),
        events=events,
        event_types=types,
        drop_duplicates=duplicates == "drop",
        needs_anonymous=seed,
        literal=seed,
    )


def _users(given: Dict[str, Any]) -> Dataset:
    columns = _columns(given, USERS)
    if not columns:
        raise Invalid('users.columns is missing; for example {"AGE": {...}} with a column or more')
    return Dataset(
        name=USERS,
        columns=(Column("USER_ID", "user"), *columns),
        time=_time(given, USERS),
        user=_list_of_paths(given, "user", ("userId",), USERS),
        types=_texts(given.get("types", ["identify"]), "users.types"),
    )


def _items(given: Dict[str, Any]) -> Dataset:
    columns = _columns(given, ITEMS)
    if not columns:
        raise Invalid(
            'items.columns is missing; for example {"PRICE": {...}} with a column or more'
        )
    events, _ = _events(given, EVENTS, ITEMS)
    return Dataset(
        name=ITEMS,
        columns=(Column("ITEM_ID", "item"), *columns),
        time=_time(given, ITEMS),
        item=_item(given, ITEMS, columns, False),
        events=events,
    )


def _warehouse(given: Dict[str, Any], seed: bool) -> Warehouse:
    tables = given.get("tables", {})
    if not isinstance(tables, Dict) or not all(isinstance(v, str) and v for v in tables.values()):
        raise Invalid(
            f"warehouse.tables is {tables!r}; a table from event to table name is right, "
            'for example {"Order Completed": "order_completed"}'
        )
    item = _texts(given.get("item", ["products_sku"] if seed else []), "warehouse.item", 0)
    schema, event = (
        given.get("schema", "prod"),
        given.get("event", "event" if seed else "event_text"),
    )
    for name, value in (("schema", schema), ("event", event)):
        if not isinstance(value, str) or not value:
            raise Invalid(f"warehouse.{name} is {value!r}; a name is right")
    if seed and not tables:
        tables = {event: event.lower().replace(" ", "_") for event in SEED_TABLE_EVENTS}
    return Warehouse(schema, tuple(tables.items()), item, event)


def _item(
    given: Dict[str, Any], where: str, columns: Sequence[Column], seed: bool
) -> tuple[Path, ...]:
    """Fields of the item, in order; `item_keys` and `products` are the short way to say it."""
    if "item" in given:
        found = _list_of_paths(given, "item", (), where)
        if given.keys() & {"item_keys", "products"}:
            raise Invalid(f"{where} has item beside item_keys or products; item says it all")
    else:
        keys = _texts(given.get("item_keys", ("sku",) if seed else ITEM_KEYS), f"{where}.item_keys")
        products = given.get("products", not seed)
        if not isinstance(products, bool):
            raise Invalid(f"{where}.products is {products!r}; true or false is right")
        flat = [Path(("properties", key)) for key in keys]
        inside = [Path(("properties", "products"), (key,)) for key in keys]
        found = (*(inside if products else ()), *flat)
    arrays = {path.outer for path in found if path.inner is not None}
    if len(arrays) > 1:
        raise Invalid(f"{where}.item goes through two arrays; the entries of one give rows")
    for column in columns:
        wrong = [p for p in column.paths if p.inner is not None and p.outer not in arrays]
        if wrong:
            raise Invalid(
                f"{where}.columns.{column.name}: {wrong[0]} is in an array that {where}.item does "
                "not name; a field beside the item is right"
            )
    return found


def _columns(given: Dict[str, Any], where: str) -> list[Column]:
    columns = given.get("columns", {})
    if not isinstance(columns, Dict):
        raise Invalid(
            f"{where}.columns is {columns!r}; a table from column to field is right, for example "
            '{"DEVICE": "context.device.type"}'
        )
    found = [_column(name, value, where) for name, value in columns.items()]
    _no_twins(found, where)
    return found


def _column(name: str, given: Any, where: str) -> Column:
    place = f"{where}.columns.{name}"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise Invalid(f"{place}: a column's name has letters, digits and _ only")
    if isinstance(given, str | list):
        given = {"path": given}
    if not isinstance(given, Dict):
        raise Invalid(f'{place} is {given!r}; a path or {{"path": ..., "type": ...}} is right')
    _known(given, {"path", "type"}, place)
    own = {"ANONYMOUS_ID": "anonymous", "TIMESTAMP_ISO": "moment"}
    if "path" not in given and name in own and where == INTERACTIONS:
        return Column(name, own[name])
    if "path" not in given:
        raise Invalid(f"{place}.path is missing; the field or fields of the column are right")
    kind = _one_of(given, "type", SCALARS, "string", place)
    return Column(name, kind, _paths(given["path"], f"{place}.path"))


def _events(
    given: Dict[str, Any], usual: Sequence[str], where: str = INTERACTIONS
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Names of the events wanted and, from a table, their EVENT_TYPE."""
    events = given.get("events", usual)
    if isinstance(events, Dict):
        if not events or not all(isinstance(v, str) and v for v in (*events, *events.values())):
            raise Invalid(
                f"{where}.events is {events!r}; from event to EVENT_TYPE is right, for example "
                '{"Order Completed": "purchase"}'
            )
        return tuple(events), tuple(events.items())
    return _texts(events, f"{where}.events"), ()


def _time(given: Dict[str, Any], where: str) -> Path:
    path = parse(given.get("time", "timestamp"), f"{where}.time")
    if path.inner is not None:
        raise Invalid(f"{where}.time: {path} is in an array; a field of the call is right")
    return path


def _list_of_paths(
    given: Dict[str, Any], name: str, usual: Sequence[str], where: str
) -> tuple[Path, ...]:
    found = _paths(given.get(name, list(usual)), f"{where}.{name}")
    if name != "item" and any(path.inner is not None for path in found):
        raise Invalid(f"{where}.{name} is in an array; a field of the call is right")
    return found


def _paths(given: Any, where: str) -> tuple[Path, ...]:
    listed = given if isinstance(given, list | tuple) else [given]
    if not listed:
        raise Invalid(f"{where} is empty; the path of a field or a list of them is right")
    return tuple(
        parse(text, where if listed is not given else f"{where}[{n}]")
        for n, text in enumerate(listed)
    )


def _texts(given: Any, where: str, least: int = 1) -> tuple[str, ...]:
    right = isinstance(given, list | tuple) and all(isinstance(t, str) and t for t in given)
    if not right:
        raise Invalid(f"{where} is {given!r}; a list of texts is right")
    if len(given) < least:
        raise Invalid(f"{where} may not be empty")
    return tuple(given)


def _one_of(
    given: Dict[str, Any], name: str, known: Sequence[str], usual: str, where: str = INTERACTIONS
) -> str:
    value = given.get(name, usual)
    if value not in known:
        raise Invalid(f"{where}.{name} is {value!r}; one of {', '.join(known)} is right")
    return str(value)


def _known(given: Dict[str, Any], names: set[str], where: str) -> None:
    for name in given:
        if name not in names:
            raise Invalid(f"{where} has no field {name!r}; it has {', '.join(sorted(names))}")


def _no_twins(columns: Sequence[Column], where: str) -> None:
    names = [column.name for column in columns]
    twin = next((name for name in names if names.count(name) > 1), None)
    if twin:
        raise Invalid(f"{where}.columns.{twin}: {where} has a column {twin} already")


def _line(text: str, message: str) -> str:
    """`, line 7` when the field that the message begins with stands on one line of its own."""
    quoted = re.search(r"no field '([^']+)'", message)
    words = re.findall(r"[A-Za-z_]\w*", message.split(" ")[0].rstrip(":"))
    for name in [quoted.group(1)] if quoted else reversed(words):
        key = re.compile(rf'\s*[{{,]?\s*(?:[\w"]+\.)*"?{re.escape(name)}"?\s*[=:]')
        lines = [n for n, line in enumerate(text.splitlines(), 1) if key.match(line)]
        if lines:
            return f", line {lines[0]}" if len(lines) == 1 else ""
    return ""


def to_dict(mapping: Mapping) -> dict[str, Any]:
    """The JSON form that `from_dict` takes, for a job's payload."""
    found: dict[str, Any] = {"mode": "seed" if mapping.interactions.literal else "default"}
    for name in DATASETS:
        dataset = mapping.dataset(name)
        if dataset is not None:
            found[name] = _dataset(dataset)
    house = mapping.warehouse
    found["warehouse"] = {
        "schema": house.schema,
        "tables": dict(house.tables),
        "item": list(house.item),
        "event": house.event,
    }
    return found


def dataset_to_dict(dataset: Dataset) -> dict[str, Any]:
    """The JSON form of a mapping with this dataset alone."""
    mode = "seed" if dataset.literal else "default"
    return {"mode": mode, dataset.name: _dataset(dataset)}


def _dataset(dataset: Dataset) -> dict[str, Any]:
    given: dict[str, Any] = {"time": str(dataset.time), "columns": {}}
    if dataset.user:
        given["user"] = [str(path) for path in dataset.user]
    if dataset.item:
        given["item"] = [str(path) for path in dataset.item]
    if dataset.events:
        given["events"] = dict(dataset.event_types) or list(dataset.events)
    if dataset.types:
        given["types"] = list(dataset.types)
    if dataset.name == INTERACTIONS:
        given["duplicates"] = DUPLICATES[dataset.drop_duplicates]
        given["anonymous"] = str(next(iter(dataset.anonymous), "anonymousId"))
    for column in dataset.columns:
        paths = [str(path) for path in column.paths]
        if column.name == "EVENT_VALUE":
            given["value"] = paths
        elif column.kind in SCALARS:
            given["columns"][column.name] = {"path": paths, "type": column.kind}
        elif column.kind in ("anonymous", "moment") and not dataset.literal:
            given["columns"][column.name] = {}
    return given


SEED = from_dict({"mode": "seed"})
assert set(OWN) >= {column.kind for column in SEED.interactions.columns}
