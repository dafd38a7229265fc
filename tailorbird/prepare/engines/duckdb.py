"""DuckDB: one query over a group of files; malformed lines cost nothing but themselves.

A file that its reader cannot read to the end is left to the plain engine, which gives the lines
before the damage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tailorbird.prepare import worker
from tailorbird.prepare.counts import SAMPLE_CHARACTERS, SAMPLES, Counts
from tailorbird.prepare.engines.duckdb_query import query, quoted, rows
from tailorbird.prepare.engines.work import Work
from tailorbird.prepare.mapping import Dataset
from tailorbird.prepare.worker import Named

MEMORY_MIB = 1024
COPY = "COPY ({rows}) TO {file} (FORMAT csv, HEADER false)"
COUNTS = """
SELECT coalesce(reason, ''), count(*),
    sum(len(entries)) FILTER (reason IS NULL),
    sum(len(list_filter(entries, lambda e: e.item IS NULL))) FILTER (reason IS NULL),
    min(seconds) FILTER (reason IS NULL), max(seconds) FILTER (reason IS NULL)
FROM made GROUP BY ALL
"""
FUTURE = """
SELECT coalesce(sum(len(list_filter(entries, lambda e: e.item IS NOT NULL))), 0) FROM made
WHERE reason IS NULL AND seconds > {now}
"""
SAMPLED = """
SELECT reason, file, sample FROM made WHERE reason IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY reason) <= {samples}
"""


def run(work: Work) -> Iterator[tuple[int, Counts]]:
    """Turn every group into its part; the groups as they are done."""
    for number in work.todo:
        with work.open(number) as files:
            yield number, convert(work, files, work.part(number))


def convert(work: Work, files: Sequence[Named], part: Path) -> Counts:
    """The rows of some files in one part; a damaged file is read by the plain engine."""
    import duckdb

    try:
        return _convert(work, files, part)
    except (duckdb.IOException, duckdb.InvalidInputException):
        if len(files) == 1:
            return worker.convert(work.dataset, files, part, work.now)
    counts = Counts()
    with part.open("wb") as out:
        for file in files:  # the others keep their engine
            piece = part.with_suffix(".piece")
            counts.add(convert(work, [file], piece))
            out.write(piece.read_bytes())
            piece.unlink()
    return counts


def _convert(work: Work, files: Sequence[Named], part: Path) -> Counts:
    import duckdb

    dataset = work.dataset
    settings: dict[str, Any] = {"memory_limit": f"{MEMORY_MIB}MiB", "threads": work.processes}
    with duckdb.connect(config=settings) as connection:
        connection.execute(f"SET temp_directory = {quoted(str(work.scratch))}")
        connection.execute("SET preserve_insertion_order = false")
        paths = {str(path): name for name, path in files}
        made = query(list(paths), dataset, SAMPLE_CHARACTERS)
        connection.execute(f"CREATE TEMP TABLE made AS {made}")
        connection.execute(COPY.format(rows=rows(dataset), file=quoted(str(part))))
        return _counts(connection, dataset, work.now, paths)


def _counts(connection: Any, dataset: Dataset, now: float, names: dict[str, str]) -> Counts:
    counts = Counts()
    for reason, lines, entries, without, oldest, newest in connection.execute(COUNTS).fetchall():
        counts.read += lines
        if reason:
            counts.rejected[reason] = lines
            continue
        without = without if dataset.item else 0
        counts.kept, counts.rows = lines, int(entries - without)
        if without:
            counts.left_out["entry_without_item"] = int(without)
        if not dataset.latest and not dataset.literal:
            counts.oldest, counts.newest = oldest, newest
    if counts.newest is not None and counts.newest > now:
        counts.future = int(connection.execute(FUTURE.format(now=now)).fetchone()[0])
    for reason, file, text in connection.execute(SAMPLED.format(samples=SAMPLES)).fetchall():
        sample = {"file": names.get(file, file), "line": None, "text": text}
        counts.samples.setdefault(reason, []).append(sample)
    return counts
