"""PostgreSQL: COPY ... TO STDOUT into a file here."""

from __future__ import annotations

from typing import Any

from tailorbird.errors import Invalid, Unavailable
from tailorbird.prepare.mapping import Dataset, Warehouse
from tailorbird.prepare.warehouses.local import escaped, landing
from tailorbird.prepare.warehouses.select import Known, columns_query, counts, inner, known_columns
from tailorbird.prepare.warehouses.unloading import Keys, report

MISSING = "PostgreSQL is reached through psycopg: pip install 'tailorbird[postgres]'"


def sql(
    dataset: Dataset,
    house: Warehouse,
    output: str = "",
    keys: Keys | None = None,
    known: Known | None = None,
) -> str:
    """The statement."""
    del output, keys  # it comes here
    query = inner(dataset, house, "postgres", known=known)
    if dataset.literal:  # the seed's words; `epoch` is a column that the loader makes
        return f"COPY (\n{query}\n) TO STDOUT (FORMAT csv, HEADER)"
    header = [f'"{name}"' for name in dataset.header]
    shown = ", ".join(
        f"{name.lower()} as {quoted}" for name, quoted in zip(dataset.header, header, strict=True)
    )
    texts = escaped(query, tuple(map(str.lower, dataset.header)), ("timestamp",))
    return f"COPY (\nselect {shown} from (\n{texts}\n) as named\n) TO STDOUT (FORMAT csv, HEADER)"


def unload(
    dataset: Dataset, house: Warehouse, url: str, output: str, keys: Keys | None = None
) -> dict[str, Any]:
    """Run it on `postgresql://user:password@host/database`; the report."""
    try:
        import psycopg
    except ImportError:
        raise Invalid(MISSING) from None
    statement = sql(dataset, house)  # what cannot be said at all is refused before anything is
    try:
        connection = psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"))
    except psycopg.OperationalError as error:
        raise Unavailable(f"PostgreSQL does not answer: {error}") from None
    with connection, landing(output) as file:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        try:
            cursor = connection.cursor()
            found: Any = []
            if not dataset.literal:
                known = known_columns(cursor.execute(columns_query(house)).fetchall())
                statement = sql(dataset, house, known=known)
                found = cursor.execute(counts(dataset, house, "postgres")).fetchall()
            with file.open("wb") as out, cursor.copy(statement) as copy:
                for block in copy:
                    out.write(block)
            rows = cursor.rowcount
        except psycopg.Error as error:
            raise Invalid(f"PostgreSQL: {' '.join(str(error).split())}") from None
    return report(found, output, "postgres") | {"rows": rows, "sql": statement}
