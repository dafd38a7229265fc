"""An import as its child process runs it: files in, one part out."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

from tailorbird.learn import csvs, parts
from tailorbird.learn.child import Said
from tailorbird.learn.schemas import Schema, parse


def run(spec: dict[str, Any], said: Said) -> dict[str, Any]:
    """Read `files` under `schema`, write the part to `out`; the report, and `written`.

    With `keep_good_rows` false one bad row keeps the part from being written, as in the service;
    with `blank_cells` a cell of a describing column that is no number counts as missing.
    """
    schema: Schema = parse(spec["schema"], spec.get("domain"))
    sources = [(name, Path(path)) for name, path in spec["files"]]

    def seen(read_bytes: int, rows: int) -> None:
        said({"bytes": read_bytes, "rows": rows})

    may_be_blank = schema.metadata_numbers() if spec["blank_cells"] else frozenset[str]()
    columns, report = csvs.read(sources, schema, seen, may_be_blank)
    written = report.rows > 0 and (spec["keep_good_rows"] or not report.rejected)
    if written:
        parts.write(Path(spec["out"]), columns)
    if report.every:
        _write_rejected(Path(spec["rejected"]), report)
    shown = dataclasses.asdict(report)
    del shown["every"]
    return {"written": written, "reason": _reason(report), **shown}


def _write_rejected(path: Path, report: csvs.Report) -> None:
    """The rejected rows with where they stand and what is wrong with them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("FILE", "LINE", "FIELD", "REASON", "ROW"))
        lines.writerows(report.every)


def _reason(report: csvs.Report) -> str:
    if report.rejected:
        return report.sentence()
    return "" if report.rows else "The input holds no rows"
