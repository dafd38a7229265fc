"""Parts: imported rows as one file of columns (npz, no pickle), read back as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tailorbird.learn.csvs import Columns, Strings
from tailorbird.learn.models.ids import packed, unpacked


@dataclass
class Part:
    """Columns of one import: strings as (numbers, distinct values), numbers as they are."""

    strings: dict[str, tuple[np.ndarray, list[str]]]
    numbers: dict[str, np.ndarray]

    def __len__(self) -> int:
        for codes, _ in self.strings.values():
            return len(codes)
        return 0


def write(path: Path, columns: Columns) -> int:
    """Write the columns; the number of rows."""
    arrays: dict[str, np.ndarray] = {}
    rows = 0
    for name, column in columns.items():
        if isinstance(column, Strings):
            codes = _joined(column.codes, np.int32)
            arrays[f"{name}/codes"] = codes
            table = packed(list(column.numbers))
            arrays |= {f"{name}/{part}": array for part, array in table.items()}
            rows = len(codes)
        else:
            arrays[f"{name}/values"] = _joined(column.chunks, np.float64)
            rows = len(arrays[f"{name}/values"])
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return rows


def every(part: Part) -> np.ndarray:
    """A mask of all rows."""
    return np.ones(len(part), dtype=bool)


def write_rows(path: Path, part: Part, keep: np.ndarray) -> None:
    """Write the rows of a part where the mask is true, and only the strings they still use."""
    arrays: dict[str, np.ndarray] = {}
    for name, (codes, values) in part.strings.items():
        used, left = np.unique(codes[keep], return_inverse=True)
        arrays[f"{name}/codes"] = left.astype(np.int32)
        table = packed([values[n] for n in used.tolist()])
        arrays |= {f"{name}/{kind}": array for kind, array in table.items()}
    for name, numbers in part.numbers.items():
        arrays[f"{name}/values"] = numbers[keep]
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read(path: Path) -> Part:
    strings: dict[str, tuple[np.ndarray, list[str]]] = {}
    numbers: dict[str, np.ndarray] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            name, _, kind = key.rpartition("/")
            if kind == "codes":
                values = unpacked(arrays[f"{name}/text"], arrays[f"{name}/offsets"])
                strings[name] = (arrays[key], values)
            elif kind == "values":
                numbers[name] = arrays[key]
    return Part(strings, numbers)


def _joined(chunks: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(chunks) if chunks else np.zeros(0, dtype=kind)
