"""Checkpoints of a training: plain arrays by item id, so that new items do not spoil them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tailorbird.learn.models.ids import Arrays, Ids, packed, unpacked

SAID = "checkpoint "  # what a progress line begins with when one was written
BY_ITEM = "/item"  # arrays with one row for each covered item


def write(path: Path, items: Ids, cover: np.ndarray, arrays: Arrays) -> None:
    """In one step: a reader sees the old one or the new one."""
    ids = packed([items[n] for n in cover.tolist()])
    beside = path.with_name(f"{path.name}.part")
    with beside.open("wb") as file:
        np.savez(
            file, allow_pickle=False, ids_text=ids["text"], ids_offsets=ids["offsets"], **arrays
        )
    beside.replace(path)


def read(path: Path, items: Ids, cover: np.ndarray) -> Arrays | None:
    """The arrays in the order of this cover; None without a checkpoint or with too few items.

    Items that came since get the mean of the others' rows.
    """
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    names = unpacked(arrays.pop("ids_text"), arrays.pop("ids_offsets"))
    rows = {name: n for n, name in enumerate(names)}
    place = np.array([rows.get(items[n], -1) for n in cover.tolist()] or [0], dtype=np.int64)
    if (place >= 0).mean() < 0.5:
        return None
    for name, array in arrays.items():
        if name.endswith(BY_ITEM):
            arrays[name] = np.where(place[:, None] >= 0, array[place], array.mean(axis=0))
    return arrays
