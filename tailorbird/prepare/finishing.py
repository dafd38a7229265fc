"""Parts become what is delivered: with a header, without duplicates, or the newest of each id."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tailorbird.prepare.mapping import Dataset

MEMORY_MIB = 256  # more than this is spilled to the scratch folder
COPIED_BYTES = 8 * 1024 * 1024
READ = (
    "read_csv([{files}], all_varchar = true, header = false, auto_detect = false, delim = ',',"
    " quote = '\"', escape = '\"', null_padding = false, strict_mode = true,"
    " max_line_size = 33554432, parallel = false, columns = {{{columns}}})"
)
WRITE = "COPY ({query}) TO '{file}' (FORMAT csv, HEADER true)"


def whole(dataset: Dataset, parts: Sequence[Path], target: Path) -> None:
    """All parts, one after the other, under one header."""
    with target.open("wb") as out:
        out.write(",".join(dataset.header).encode() + b"\n")
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, out, COPIED_BYTES)


def distinct(dataset: Dataset, parts: Sequence[Path], target: Path, scratch: Path) -> int:
    """The same without rows equal to another; how many rows are left."""
    names = [f'"{name}"' for name in dataset.header]
    query = f"SELECT DISTINCT * FROM {_read(parts, names)}"
    return _write(query, target, scratch)


def newest(dataset: Dataset, parts: Sequence[Path], target: Path, scratch: Path) -> int:
    """A row for each id: of every column the newest value; how many rows there are.

    Of two values of the same millisecond the one that sorts last counts.
    """
    values = [f"v{n}" for n in range(len(dataset.columns))]
    made = []
    for value, column in zip(values, dataset.columns, strict=True):
        taken = (
            "id"
            if column.kind in ("user", "item")
            else f"arg_max({value}, (CAST(moment AS BIGINT), {value})) FILTER ({value} IS NOT NULL)"
        )
        made.append(f'{taken} AS "{column.name}"')
    query = (
        f"SELECT {', '.join(made)} FROM {_read(parts, ['id', 'moment', *values])}"
        " GROUP BY id ORDER BY id"
    )
    return _write(query, target, scratch)


def _read(parts: Sequence[Path], names: Sequence[str]) -> str:
    plain = [name.strip('"') for name in names]
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in plain)
    files = ", ".join(f"'{_quoted(str(part))}'" for part in parts)
    return READ.format(files=files, columns=columns)


def _write(query: str, target: Path, scratch: Path) -> int:
    import duckdb

    with duckdb.connect(config={"memory_limit": f"{MEMORY_MIB}MiB", "threads": 2}) as connection:
        connection.execute(f"SET temp_directory = '{_quoted(str(scratch))}'")
        connection.execute("SET preserve_insertion_order = false")
        written = connection.execute(WRITE.format(query=query, file=_quoted(str(target))))
        return sum(int(rows) for (rows,) in written.fetchall())


def _quoted(text: str) -> str:
    return text.replace("'", "''")
