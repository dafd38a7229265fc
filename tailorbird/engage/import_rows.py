"""Rows of an import's files: CSV with Pinpoint's dotted headers, or an endpoint of JSON a line.

Pure. Source: Pinpoint user guide, "Importing segments"; gzip and the records of an export are
taken besides what the service took.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import orjson

from tailorbird.errors import Invalid

CSV, JSON = "CSV", "JSON"
GZIP_MAGIC = b"\x1f\x8b"
FIELD_MAX_CHARS = 1_000_000
TEXT_KEPT_CHARS = 1_000  # of a row that was refused
PLAIN = (
    "Address", "ChannelType", "EffectiveDate", "EndpointStatus", "Id", "OptOut", "RequestId",
    "CohortId", "CreationDate", "ApplicationId",
)  # fmt: skip
MEMBERS = {
    "Demographic": (
        "AppVersion", "Locale", "Make", "Model", "ModelVersion", "Platform", "PlatformVersion",
        "Timezone",
    ),
    "Location": ("City", "Country", "Latitude", "Longitude", "PostalCode", "Region"),
}  # fmt: skip
NUMBERS = ("Location.Latitude", "Location.Longitude")
USER_ID = "User.UserId"

Item = dict[str, Any]
Put = Callable[[Item, str], None]  # lays a cell that is not empty into an endpoint


class Row(NamedTuple):
    """One row of a file, from 1; `wrong` says why it is no endpoint."""

    number: int
    item: Item
    wrong: str | None
    text: str


def read(file: Path, form: str) -> Iterator[Row]:
    """The rows of a file, gzipped or not. Invalid when the file as a whole cannot be read."""
    with _opened(file) as raw:
        try:
            yield from _csv(raw) if form == CSV else _json(raw)
        except UnicodeDecodeError as error:
            raise Invalid(f"It is not UTF-8: {error.reason}") from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Invalid(f"It is gzip, but damaged: {error}") from None
        except csv.Error as error:
            raise Invalid(f"It is not CSV (RFC 4180): {error}") from None


def _opened(file: Path) -> IO[bytes]:
    with file.open("rb") as probe:
        is_gzip = probe.read(2) == GZIP_MAGIC
    return cast(IO[bytes], gzip.open(file, "rb") if is_gzip else file.open("rb"))


def _json(raw: IO[bytes]) -> Iterator[Row]:
    number = 0
    for line in raw:
        line = line.strip()
        if not line:
            continue
        if not number:
            line = line.removeprefix(b"\xef\xbb\xbf")
        number += 1
        yield _json_row(number, line)


def _json_row(number: int, line: bytes) -> Row:
    text = line[:TEXT_KEPT_CHARS].decode("utf-8", "replace")
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Row(number, {}, f"It is not JSON: {error}", text)
    if not isinstance(item, dict):
        return Row(number, {}, "It is no JSON object; one endpoint a line is right", text)
    return Row(number, item, None, text)


def _csv(raw: IO[bytes]) -> Iterator[Row]:
    csv.field_size_limit(FIELD_MAX_CHARS)
    rows = csv.reader(io.TextIOWrapper(raw, encoding="utf-8-sig", newline=""), strict=True)
    header = next(rows, None)
    if not header:
        raise Invalid("It has no header: a first line such as ChannelType,Address,Id is right")
    puts = [_column(name.strip()) for name in header]
    number = 0
    for cells in rows:
        if not any(cells):
            continue
        number += 1
        yield _csv_row(number, header, puts, cells)


def _csv_row(number: int, header: list[str], puts: list[Put], cells: list[str]) -> Row:
    item: Item = {}
    text = ",".join(cells)[:TEXT_KEPT_CHARS]
    if len(cells) > len(puts):
        return Row(number, {}, f"It has {len(cells)} cells; the header has {len(puts)}", text)
    try:
        for put, cell in zip(puts, cells, strict=False):
            if cell != "":
                put(item, cell)
    except ValueError:
        wrong = next(
            f"{name} is {cell!r}, not a number"
            for name, cell in zip(header, cells, strict=False)
            if (name.startswith("Metrics.") or name in NUMBERS) and not _is_number(cell)
        )
        return Row(number, {}, wrong, text)
    return Row(number, item, None, text)


def _is_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True


def _column(name: str) -> Put:
    """How the cells of a column go into an endpoint; Invalid for a name that is none."""
    part, _, rest = name.partition(".")
    if name in PLAIN:
        return lambda item, cell: item.__setitem__(name, cell)
    if part in MEMBERS and rest in MEMBERS[part]:
        convert: Callable[[str], Any] = float if name in NUMBERS else str
        return lambda item, cell: item.setdefault(part, {}).__setitem__(rest, convert(cell))
    if part == "Attributes" and rest:
        return lambda item, cell: item.setdefault(part, {}).setdefault(rest, []).append(cell)
    if part == "Metrics" and rest:
        return lambda item, cell: item.setdefault(part, {}).__setitem__(rest, float(cell))
    if name == USER_ID:
        return lambda item, cell: item.setdefault("User", {}).__setitem__("UserId", cell)
    if part == "User" and rest.startswith("UserAttributes.") and rest != "UserAttributes.":
        attribute = rest.removeprefix("UserAttributes.")
        return lambda item, cell: (
            item.setdefault("User", {})
            .setdefault("UserAttributes", {})
            .setdefault(attribute, [])
            .append(cell)
        )
    raise Invalid(
        f"There is no column {name!r}; right are {', '.join(PLAIN[:7])}, Attributes.x, Metrics.x,"
        " Demographic.x, Location.x, User.UserId and User.UserAttributes.x"
    )
