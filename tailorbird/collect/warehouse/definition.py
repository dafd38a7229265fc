"""What a kind of warehouse is: its settings, and a connection that the loader writes through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tailorbird.collect.catalog.definition import Option, check_options
from tailorbird.collect.warehouse.columns import Type

Columns = Mapping[str, Type]


class Connection(Protocol):
    """An open warehouse, on one schema. Names are those of `naming`: letters, digits and `_`."""

    def tables(self) -> dict[str, dict[str, Type]]:
        """Every table of the schema with its columns."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing, on the disk when it ends; Unavailable with the database's own words."""

    def create(self, table: str, columns: Columns) -> None:
        """A table whose key is `id`, and the schema where it is the first."""

    def add(self, table: str, columns: Columns) -> None:
        """More columns."""

    def widen(self, table: str, column: str, old: Type, new: Type) -> None:
        """Give a column a wider type and keep its values."""

    def put(self, table: str, columns: Columns, rows: Sequence[tuple[Any, ...]]) -> int:
        """Add rows whose ids are not there yet; how many that were."""

    def upsert(self, table: str, columns: Columns, rows: Sequence[tuple[Any, ...]]) -> int:
        """Add rows, or change the values that are given in the rows of these ids."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Warehouse:
    """A kind of warehouse. `open` takes the settings, the folder of files and a schema's name,
    which is empty when only to see whether it opens: Unavailable says why it does not."""

    id: str
    name: str
    slug: str
    description: str
    options: tuple[Option, ...]
    open: Callable[[dict[str, Any], Path, str], Connection]
    check: Callable[[dict[str, Any]], None]
    secrets: tuple[str, ...] = ()

    def checked(self, settings: dict[str, Any]) -> None:
        """Invalid names the setting that is wrong, unknown or missing."""
        check_options(self.name, self.options, settings)
        self.check(settings)


COMMON_OPTIONS = (
    Option("name", "Name", str),
    Option("productsSku", "Rows with products_sku for every product", bool, default=False),
    Option("textLength", "Characters of a text (0: all)", int, default=512),
)
