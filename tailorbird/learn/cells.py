"""The cells of one column of a CSV file: their values, and what is wrong with the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from tailorbird.learn.schemas import Column

MAX_ID_CHARACTERS = 256
MAX_CATEGORICAL_CHARACTERS = 1_000
MAX_TEXTUAL_CHARACTERS = 20_000  # longer texts are cut, as the service does
MILLISECONDS_FROM = 100_000_000_000  # as seconds this would be the year 5138
TIME_COLUMNS = ("TIMESTAMP", "CREATION_TIMESTAMP", "EXPIRATION_TIMESTAMP")
ID_COLUMNS = ("USER_ID", "ITEM_ID", "ACTION_ID")
WHOLE_BELOW = {"int": 2.0**31, "long": 2.0**63}  # Avro's whole numbers: from -this to below it


def read(column: Column, cells: list[str]) -> tuple[Any, dict[int, str]]:
    """A column's values, and the reason for each row whose cell is wrong."""
    if column.type in ("string", "boolean"):
        return _strings(column, cells)
    return _numbers(column, cells)


def _strings(column: Column, cells: list[str]) -> tuple[list[str], dict[int, str]]:
    if column.name in ID_COLUMNS:
        return cells, _wrong_ids(column, cells)
    limit = MAX_CATEGORICAL_CHARACTERS
    if column.textual:
        cells = [cell[:MAX_TEXTUAL_CHARACTERS] for cell in cells]
        limit = MAX_TEXTUAL_CHARACTERS
    wrong: dict[int, str] = {}
    distinct = set(cells)
    if "" in distinct and not column.nullable:
        wrong |= {n: "empty" for n, cell in enumerate(cells) if not cell}
    if column.categorical and max(map(len, distinct)) > limit:
        wrong |= {n: _too_long(column, limit) for n, one in enumerate(cells) if len(one) > limit}
    if column.type == "boolean":
        bad = {cell for cell in distinct if cell and cell.lower() not in ("true", "false")}
        wrong |= {
            n: f"{cell!r} is not true or false" for n, cell in enumerate(cells) if cell in bad
        }
    return cells, wrong


def _wrong_ids(column: Column, cells: list[str]) -> dict[int, str]:
    """Ids nobody could ask for: none, longer ones than a request may hold, those with NUL.

    Blanks are an id, as they are for `prepare`.
    """
    distinct = set(cells)
    if (
        "" not in distinct
        and max(map(len, distinct)) <= MAX_ID_CHARACTERS
        and "\0" not in "\n".join(distinct)
    ):
        return {}
    wrong = {}
    for n, cell in enumerate(cells):
        if not cell:
            wrong[n] = "empty"
        elif len(cell) > MAX_ID_CHARACTERS:
            wrong[n] = _too_long(column, MAX_ID_CHARACTERS)
        elif "\0" in cell:
            wrong[n] = f"{cell[:60]!r} holds the character NUL"
    return wrong


def _too_long(column: Column, limit: int) -> str:
    return f"Length cannot be more than {limit} characters for {column.name}"


def _numbers(column: Column, cells: list[str]) -> tuple[np.ndarray, dict[int, str]]:
    wrong: dict[int, str] = {}
    values = _at_once(cells)
    if values is None:
        values, wrong = _one_by_one(column, cells)
    bad = ~np.isfinite(values)
    for n in np.flatnonzero(bad).tolist():
        if n not in wrong and (cells[n].strip() or not column.nullable):
            wrong[n] = f"{cells[n]!r} is not a number" if cells[n].strip() else "empty"
    if column.type in WHOLE_BELOW:
        wrong |= _wrong_whole(column, cells, np.where(bad, 0.0, values))
    if column.name in TIME_COLUMNS:
        wrong |= _wrong_times(cells, values)
    return values, wrong


def plain(text: str) -> bool:
    """Whether Python and others read the same numbers there: no 1_000, no other script's digits."""
    return text.isascii() and "_" not in text


def _at_once(cells: list[str]) -> np.ndarray | None:
    """All cells as numbers; None when one of them is not written as one."""
    if not plain(",".join(cells)):
        return None
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        return None


def _one_by_one(column: Column, cells: list[str]) -> tuple[np.ndarray, dict[int, str]]:
    values = np.full(len(cells), np.nan)
    wrong: dict[int, str] = {}
    for n, cell in enumerate(cells):
        if not cell.strip():
            continue
        try:
            values[n] = float(cell) if plain(cell) else np.nan
        except ValueError:
            kind = "whole epoch seconds" if column.name in TIME_COLUMNS else "a number"
            wrong[n] = f"{cell[:60]!r} is not {kind}"
    return values, wrong


def _wrong_whole(column: Column, cells: list[str], values: np.ndarray) -> dict[int, str]:
    most = WHOLE_BELOW[column.type]
    odd = np.flatnonzero(values != np.floor(values)).tolist()
    large = np.flatnonzero((values < -most) | (values >= most)).tolist()
    wrong = {n: f"{cells[n][:60]!r} is not a whole number" for n in odd}
    return wrong | {n: f"{cells[n][:60]!r} does not fit {column.type}" for n in large}


def _wrong_times(cells: list[str], values: np.ndarray) -> dict[int, str]:
    with np.errstate(invalid="ignore"):
        late, early = values >= MILLISECONDS_FROM, values < 0
    wrong = {
        n: f"{cells[n]} looks like milliseconds; whole epoch seconds are right"
        for n in np.flatnonzero(late).tolist()
    }
    return wrong | {
        n: f"{cells[n]} lies before 1970; whole epoch seconds are right"
        for n in np.flatnonzero(early).tolist()
    }
