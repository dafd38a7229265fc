"""An import as its child process runs it: files in, one part out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tailorbird.learn import csvs, parts
from tailorbird.learn.child import Said
from tailorbird.learn.schemas import Schema, parse


def run(spec: dict[str, Any], said: Said) -> dict[str, Any]:
    """Read `files` under `schema`, write the part to `out`; the report, and `written`.

    With `keep_good_rows` false one bad row keeps the part from being written, as in the service.
    """
    schema: Schema = parse(spec["schema"], spec.get("domain"))
    sources = [(name, Path(path)) for name, path in spec["files"]]

    def seen(read_bytes: int, rows: int) -> None:
        said({"bytes": read_bytes, "rows": rows})

    columns, report = csvs.read(sources, schema, seen)
    written = report.rows > 0 and (spec["keep_good_rows"] or not report.rejected)
    if written:
        parts.write(Path(spec["out"]), columns)
    return {"written": written, "reason": _reason(report), **dataclasses.asdict(report)}


def _reason(report: csvs.Report) -> str:
    if report.rejected:
        return report.sentence()
    return "" if report.rows else "The input holds no rows"
