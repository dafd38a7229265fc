"""Which calls become rows of a dataset, and from which fields: written once, for every engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tailorbird.prepare.paths import Path

ID_MAX_CHARACTERS = 256  # limits of Personalize's importer, which takes all rows or none
TEXT_MAX_CHARACTERS = 1_000  # longer texts of a column are cut
SECONDS_MAX = 100_000_000_000  # not with it; more would be taken for milliseconds

INTERACTIONS, USERS, ITEMS = DATASETS = ("interactions", "users", "items")

# Why a call gives no row, in the order in which the reasons are looked for.
REASONS = {
    "not_a_call": "the line is not a JSON object with any of the fields looked for",
    "type_not_wanted": "type is missing or not in the mapping's list",
    "no_event": "event is missing or not a string (identify, page, ... have none)",
    "event_not_wanted": "the event is not in the mapping's list",
    "no_user_id": "no user id: a string of 1 to 256 characters, or an integer",
    "no_anonymous_id": "no anonymous id of that kind",
    "properties_not_object": "properties is missing or not an object",
    "bad_timestamp": "the time is not an ISO 8601 date and time from 1970 to 5138",
    "no_item_id": "no item id of that kind",
}

# What of a call that is kept still gives no row.
LEFT_OUT = {
    "entry_without_item": "an entry of products[] without an item id, beside others that have one",
    "duplicate": "a row equal to another in every column",
    "older": "a call about somebody or something of which a newer one is known too",
}

SCALARS = ("string", "int", "long", "float", "double", "boolean")  # Avro's words, as in a schema
OWN = ("user", "item", "event", "seconds", "moment", "anonymous")  # columns with a meaning here


@dataclass(frozen=True)
class Column:
    """A column of the output: one of `OWN`, or the first of `paths` that holds a `kind`."""

    name: str
    kind: str
    paths: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """One output: its filter, its ids, its columns.

    With `latest` a row for each id, of each column the newest value; else a row for each
    interaction. `literal` takes values and times as the Glue job of the seed does.
    """

    name: str
    columns: tuple[Column, ...]
    time: Path
    user: tuple[Path, ...] = ()
    item: tuple[Path, ...] = ()
    anonymous: tuple[Path, ...] = ()
    types: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    event_types: tuple[tuple[str, str], ...] = ()
    drop_duplicates: bool = False
    needs_anonymous: bool = False
    literal: bool = False

    @property
    def latest(self) -> bool:
        return self.name != INTERACTIONS

    @property
    def header(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every field that is looked at."""
        given = [Path(("event",))] * bool(self.events) + [Path(("type",))] * bool(self.types)
        given += [*self.user, *self.item, *self.anonymous, self.time]
        given += [path for column in self.columns for path in column.paths]
        return tuple(dict.fromkeys(given))

    @property
    def roots(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path.outer[0] for path in self.paths))

    @property
    def array(self) -> tuple[str, ...] | None:
        """Where the array is of which every entry gives a row."""
        return next((path.outer for path in self.item if path.inner is not None), None)

    @property
    def needs_properties(self) -> bool:
        return bool(self.item) and all(
            path.outer[0] == "properties" and len(path.outer) + (path.inner is not None) > 1
            for path in self.item
        )


@dataclass(frozen=True)
class Warehouse:
    """Where the same calls lie as tables, and what the item's column is called there."""

    schema: str = "prod"
    tables: tuple[tuple[str, str], ...] = ()  # event, table
    item: tuple[str, ...] = ()  # columns in order of precedence; empty: from the paths
    event: str = "event_text"


@dataclass(frozen=True)
class Mapping:
    """The whole file."""

    interactions: Dataset
    users: Dataset | None = None
    items: Dataset | None = None
    warehouse: Warehouse = Warehouse()

    def dataset(self, name: str) -> Dataset | None:
        found: Any = getattr(self, name)
        return found if isinstance(found, Dataset) else None
