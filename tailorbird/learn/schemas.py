"""Schemas: Avro records that say which columns a dataset has.

Source: Personalize developer guide, "Creating schema JSON files" and the domain datasets' pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import quotas, records
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_datasets, learn_schemas

VERSION = re.compile(r"1\.\d+")  # AWS's notebook of changed schemas counts its own up to 1.1
TYPES = ("float", "double", "int", "long", "string", "boolean", "null")
RECORD_NAMES = {
    "interactions": "INTERACTIONS",
    "users": "USERS",
    "items": "ITEMS",
    "actions": "ACTIONS",
    "actioninteractions": "ACTION_INTERACTIONS",
}
REQUIRED = {
    "INTERACTIONS": {"USER_ID": "string", "ITEM_ID": "string", "TIMESTAMP": "long"},
    "USERS": {"USER_ID": "string"},
    "ITEMS": {"ITEM_ID": "string"},
    "ACTIONS": {"ACTION_ID": "string"},
    "ACTION_INTERACTIONS": {
        "USER_ID": "string",
        "ACTION_ID": "string",
        "EVENT_TYPE": "string",
        "TIMESTAMP": "long",
    },
}
RESERVED = {
    "INTERACTIONS": {
        "EVENT_TYPE": "string",
        "EVENT_VALUE": "float",
        "IMPRESSION": "string",
        "RECOMMENDATION_ID": "string",
        "EVENT_ATTRIBUTION_SOURCE": "string",
    },
    "USERS": {},
    "ITEMS": {"CREATION_TIMESTAMP": "long"},
    "ACTIONS": {
        "CREATION_TIMESTAMP": "long",
        "VALUE": "long",
        "TYPE": "string",
        "EXPIRATION_TIMESTAMP": "long",
        "REPEAT_FREQUENCY": "long",
    },
    "ACTION_INTERACTIONS": {"IMPRESSION": "string", "RECOMMENDATION_ID": "string"},
}
DOMAIN_REQUIRED = {
    ("ECOMMERCE", "INTERACTIONS"): {"EVENT_TYPE": "string"},
    ("ECOMMERCE", "ITEMS"): {"PRICE": "float", "CATEGORY_L1": "string"},
    ("VIDEO_ON_DEMAND", "INTERACTIONS"): {"EVENT_TYPE": "string"},
    ("VIDEO_ON_DEMAND", "ITEMS"): {"CREATION_TIMESTAMP": "long", "GENRES": "string"},
}
DOMAIN_RESERVED = {
    ("ECOMMERCE", "ITEMS"): {
        "CATEGORY_L2": "string",
        "CATEGORY_L3": "string",
        "PRODUCT_DESCRIPTION": "string",
        "CREATION_TIMESTAMP": "long",
        "AGE_GROUP": "string",
        "ADULT": "string",
        "GENDER": "string",
    },
    ("VIDEO_ON_DEMAND", "ITEMS"): {
        "PRICE": "float",
        "DURATION": "float",
        "AVERAGE_RATING": "float",
        "GENRE_L2": "string",
        "GENRE_L3": "string",
        "PRODUCT_DESCRIPTION": "string",
        "CONTENT_OWNER": "string",
        "CONTENT_CLASSIFICATION": "string",
    },
    ("VIDEO_ON_DEMAND", "USERS"): {"SUBSCRIPTION_MODEL": "string"},
}
FLAGS = ("categorical", "textual", "itemName")
NEEDS_METADATA = ("USERS", "ITEMS", "ACTIONS")
MAX_METADATA = {"USERS": 25, "ITEMS": 100, "INTERACTIONS": 5, "ACTIONS": 10}
MAX_TEXTUAL = 1
MAX_NAME_CHARACTERS = 150
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")  # Avro's names, and the dash that filters know


@dataclass(frozen=True)
class Column:
    """One field of a schema."""

    name: str
    type: str  # one of TYPES but null
    nullable: bool
    categorical: bool = False
    textual: bool = False
    item_name: bool = False


@dataclass(frozen=True)
class Schema:
    """A schema as an import reads it."""

    dataset_type: str
    columns: tuple[Column, ...]

    def metadata_numbers(self) -> frozenset[str]:
        """The number columns of users and items that only describe them."""
        if self.dataset_type not in ("USERS", "ITEMS"):
            return frozenset()
        kept = REQUIRED[self.dataset_type].keys() | RESERVED[self.dataset_type].keys()
        numbers = (c for c in self.columns if c.type not in ("string", "boolean"))
        return frozenset(c.name for c in numbers if c.name not in kept)


def create_schema(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Keep a schema's text as it is; Invalid names the field that breaks a rule."""
    parse(request["schema"], request.get("domain"))
    arn = records.arn_of(caller, f"schema/{request['name']}")
    with room.db.write() as conn:
        quotas.check_count(room, conn, caller, learn_schemas, "learn_max_schemas")
        records.add(
            room,
            conn,
            learn_schemas,
            caller,
            "schema",
            arn=arn,
            name=request["name"],
            status=records.ACTIVE,
            definition=request,
        )
    return {"schemaArn": arn}


def describe_schema(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        row = records.find(conn, learn_schemas, caller, request["schemaArn"], "schema")
    return {"schema": _summary(row) | records.given(row, "schema")}


def list_schemas(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    return records.page(room, learn_schemas, caller, request, "schemas", _summary)


def delete_schema(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Gone, unless a dataset uses it."""
    arn = request["schemaArn"]
    with room.db.write() as conn:
        records.find(conn, learn_schemas, caller, arn, "schema")
        users = sa.select(learn_datasets.c.arn).where(learn_datasets.c.schema_arn == arn)
        records.refuse_while(conn, users, f"The schema {arn} is used by a dataset; delete it first")
        records.remove(conn, learn_schemas, arn)


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "schemaArn": row["arn"]}
    return shown | records.times(row) | records.given(row, "domain")


def parse(text: str, domain: str | None = None) -> Schema:
    """The columns of a schema text; Invalid says which rule is broken."""
    record = _record(text)
    dataset_type = _dataset_type(record)
    fields = record.get("fields")
    if not isinstance(fields, list) or not fields:
        raise _bad("fields must be a list of at least one field")
    columns = tuple(_column(one, n) for n, one in enumerate(fields))
    _check_names(columns)
    _check_types(columns, dataset_type, domain)
    _check_counts(columns, dataset_type)
    return Schema(dataset_type, columns)


def _record(text: str) -> dict[str, Any]:
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _bad(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    if not isinstance(record, dict) or record.get("type") != "record":
        raise _bad('it must be an Avro record: {"type": "record", ...}')
    if "version" in record and not VERSION.fullmatch(str(record["version"])):
        raise _bad(f'version is {record["version"]!r}; "1.0" is right')
    return record


def _dataset_type(record: dict[str, Any]) -> str:
    name = str(record.get("name", "")).lower().replace("_", "")
    if name not in RECORD_NAMES:
        raise _bad(
            f"name is {record.get('name')!r}; Interactions, Users, Items, Actions or "
            "ActionInteractions is right"
        )
    return RECORD_NAMES[name]


def _column(field: Any, number: int) -> Column:
    if not isinstance(field, dict) or not isinstance(field.get("name"), str):
        raise _bad(f"field {number + 1} has no name")
    name = field["name"]
    if not name or len(name) > MAX_NAME_CHARACTERS:
        raise _bad(f"field {name!r}: a name has 1 to {MAX_NAME_CHARACTERS} characters")
    if not NAME.fullmatch(name):
        raise _bad(f"field {name!r}: a name has letters, digits and _, and no digit at its begin")
    for flag in FLAGS:
        if not isinstance(field.get(flag, False), bool):
            raise _bad(f"field {name}: {flag} is {field[flag]!r}; true or false is right")
    types = field.get("type")
    types = types if isinstance(types, list) else [types]
    if not types or any(one not in TYPES for one in types):
        raise _bad(f"field {name}: type {field.get('type')!r}; one of {', '.join(TYPES)} is right")
    real = [one for one in types if one != "null"]
    if len(real) != 1 or len(types) > 2:
        raise _bad(f"field {name}: type must be one type, or one type and null")
    return Column(
        name.upper(),
        real[0],
        "null" in types,
        field.get("categorical") is True,
        field.get("textual") is True,
        field.get("itemName") is True,
    )


def _check_names(columns: tuple[Column, ...]) -> None:
    seen: dict[str, str] = {}
    for column in columns:
        plain = re.sub(r"[^A-Z0-9]", "", column.name)
        if plain in seen:
            raise _bad(
                f"fields {seen[plain]} and {column.name} are the same without punctuation; "
                "names must differ in letters and digits"
            )
        seen[plain] = column.name


def _check_types(columns: tuple[Column, ...], dataset_type: str, domain: str | None) -> None:
    by_name = {column.name: column for column in columns}
    required = REQUIRED[dataset_type] | DOMAIN_REQUIRED.get((domain or "", dataset_type), {})
    missing = [name for name in required if name not in by_name]
    if missing:
        raise _bad(f"{dataset_type} needs the fields {', '.join(missing)}")
    reserved = RESERVED[dataset_type] | DOMAIN_RESERVED.get((domain or "", dataset_type), {})
    for name, wanted in (required | reserved).items():
        column = by_name.get(name)
        if column and not _fits(column.type, wanted):
            raise _bad(f"field {name} has type {column.type}; {wanted} is right")
    for name in REQUIRED[dataset_type]:
        if by_name[name].nullable:
            raise _bad(f"field {name} may not be null")
    for column in columns:
        if column.textual and (dataset_type != "ITEMS" or column.type != "string"):
            raise _bad(f"field {column.name}: only strings of Items may be textual")
        if column.item_name and (dataset_type != "ITEMS" or column.type != "string"):
            raise _bad(f"field {column.name}: only a string of Items may be the itemName")
        if column.categorical and column.type != "string":
            raise _bad(f"field {column.name}: only strings may be categorical")
    event_type = by_name.get("EVENT_TYPE")
    if event_type and event_type.categorical:
        raise _bad("field EVENT_TYPE may not be categorical")


def _fits(given: str, wanted: str) -> bool:
    families = {"float": ("float", "double"), "long": ("long", "int")}
    return given in families.get(wanted, (wanted,))


def _check_counts(columns: tuple[Column, ...], dataset_type: str) -> None:
    known = REQUIRED[dataset_type] | RESERVED[dataset_type]
    own = [column for column in columns if column.name not in known]
    if dataset_type in NEEDS_METADATA and len(columns) == len(REQUIRED[dataset_type]):
        raise _bad(f"{dataset_type} needs at least one field beside its id")
    most = MAX_METADATA.get(dataset_type)
    if most is not None and len(own) > most:
        raise _bad(f"{len(own)} metadata fields; {dataset_type} may have {most}")
    if sum(column.textual for column in columns) > MAX_TEXTUAL:
        raise _bad(f"at most {MAX_TEXTUAL} field may be textual")
    if sum(column.item_name for column in columns) > 1:
        raise _bad("at most one field may be the itemName")


def _bad(reason: str) -> Invalid:
    return Invalid(f"Input schema is not a valid schema: {reason}")
