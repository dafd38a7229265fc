"""A DuckDB file: COPY ... TO a file here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tailorbird.errors import Invalid, NotFound
from tailorbird.prepare.mapping import Dataset, Warehouse
from tailorbird.prepare.warehouses.local import escaped, landing
from tailorbird.prepare.warehouses.select import Known, columns_query, counts, inner, known_columns
from tailorbird.prepare.warehouses.unloading import Keys, report


def sql(
    dataset: Dataset,
    house: Warehouse,
    output: str = "",
    keys: Keys | None = None,
    known: Known | None = None,
) -> str:
    """The statement."""
    del keys
    query = inner(dataset, house, "duckdb", known=known)
    if not dataset.literal:
        query = escaped(query, dataset.header, ("TIMESTAMP",))
    return f"COPY (\n{query}\n) TO '{output.replace(chr(39), chr(39) * 2)}' (FORMAT csv, HEADER)"


def unload(
    dataset: Dataset, house: Warehouse, url: str, output: str, keys: Keys | None = None
) -> dict[str, Any]:
    """Run it on a file; the report."""
    import duckdb

    if not Path(url).is_file():
        raise NotFound(f"There is no DuckDB file {url}")
    with landing(output) as file:
        known: Known | None = None
        try:
            with duckdb.connect(url, read_only=True) as connection:
                found: Any = []
                if not dataset.literal:
                    known = known_columns(connection.execute(columns_query(house)).fetchall())
                    found = connection.execute(counts(dataset, house, "duckdb")).fetchall()
                statement = sql(dataset, house, str(file), known=known)
                rows = connection.execute(statement).fetchall()[0][0]
        except duckdb.Error as error:
            raise Invalid(f"DuckDB: {' '.join(str(error).split())}") from None
    shown = sql(dataset, house, output, known=known)
    return report(found, output, "duckdb") | {"rows": int(rows), "sql": shown}
