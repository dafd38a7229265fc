"""The kinds of warehouses there are, by name."""

from tailorbird.collect.warehouse.definition import Connection, Warehouse
from tailorbird.collect.warehouse.duckdb_file import DUCKDB
from tailorbird.collect.warehouse.postgres import POSTGRES
from tailorbird.collect.warehouse.sqlite_files import SQLITE
from tailorbird.errors import NotFound

__all__ = ["KINDS", "Connection", "Warehouse", "find"]

KINDS = {kind.name: kind for kind in (POSTGRES, DUCKDB, SQLITE)}


def find(given: str) -> Warehouse:
    """A kind by its name, slug or id in the catalogue."""
    for kind in KINDS.values():
        if given.lower() in (kind.name.lower(), kind.slug, kind.id):
            return kind
    known = ", ".join(f"{kind.name!r}" for kind in KINDS.values())
    raise NotFound(f"There is no kind of warehouse {given!r}; there are {known}")
