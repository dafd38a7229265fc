"""What commands share: settings, the running server, tables on a terminal or lines in a pipe."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from cyclopts import Parameter

from tailorbird.errors import Invalid

if TYPE_CHECKING:
    from tailorbird.remote import Remote

Data = Annotated[Path | None, Parameter(help="Data folder of the server (default: setting `data`)")]
Url = Annotated[
    str | None, Parameter(help="Address of the server (default: settings `host`, `port`)")
]


def settings_with(**flags: Any) -> Any:
    from tailorbird.settings import load

    return load(flags)


def remote(data: Path | None, url: str | None) -> Remote:
    """The running server that the flags, or else the settings, name."""
    from tailorbird.remote import Remote

    known = settings_with(data=data)
    return Remote(url or f"http://{known.host}:{known.port}", known.data, known.region)


def segment_api(
    method: str, path: str, data: Path | None, url: str | None, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the running server's side of Segment's Public API answers."""
    return dict(remote(data, url).call(method, f"/segmentapis{path}", body)["data"])


def path_part(given: str) -> str:
    """A text as one part of a path."""
    return quote(given, safe="")


def asking(server: Remote) -> Any:
    from tailorbird.remote import refusals

    return refusals(server.url)


def console() -> Any:
    from rich.console import Console

    return Console()


def show(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """A table on a terminal, one JSON object a line into a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
        return
    from rich.table import Table

    columns = columns or tuple(rows[0] if rows else ())
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(as_text(row.get(column)) for column in columns))
    console().print(table)


def as_text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def parse_json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Invalid(f"{what} is not valid JSON: {error}") from None
