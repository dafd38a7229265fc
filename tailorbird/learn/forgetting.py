"""A trained model written anew without some users' histories."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from tailorbird.learn import artifacts
from tailorbird.learn.models.ids import Arrays, Ids
from tailorbird.store import Objects

ROWS = ("item", "time", "kind")  # one entry for each row of a history
NUMBERS = "user_numbers"  # which user of the training each of those left is


def rewrite(objects: Objects, uri: str, users: set[str], new: str) -> bool:
    """Store the model below `new` without these users; False when it knows none of them."""
    manifest = json.loads(objects.get(f"{uri}/{artifacts.MANIFEST}"))
    names = [name.removesuffix(".npy") for name in manifest["files"]]
    arrays = {name: _array(objects, f"{uri}/{name}.npy") for name in names}
    table = Ids(arrays["user_ids.text"], arrays["user_ids.offsets"])
    numbers = np.array(sorted(n for one in users if (n := table.find(one)) >= 0), dtype=np.int64)
    if not len(numbers):
        return False
    keep = np.ones(len(table), dtype=bool)
    keep[numbers] = False
    left = _histories(arrays, table, keep)
    trained_as = arrays.get(NUMBERS, np.arange(len(table)))
    left[NUMBERS] = trained_as[keep]
    for name in names:
        if name.endswith(".user_starts"):
            left |= _session_sets(arrays, name.removesuffix(".user_starts"), trained_as[numbers])
    with tempfile.TemporaryDirectory(prefix="tailorbird-forget-") as folder:
        for name, array in (arrays | left).items():
            np.save(Path(folder) / f"{name}.npy", array, allow_pickle=False)
        manifest["files"] = sorted(f"{name}.npy" for name in arrays.keys() | left.keys())
        (Path(folder) / artifacts.MANIFEST).write_text(json.dumps(manifest))
        artifacts.store(objects, Path(folder), new)
    return True


def _histories(arrays: Arrays, table: Ids, keep: np.ndarray) -> Arrays:
    lengths = np.diff(arrays["offsets"])
    rows = np.repeat(keep, lengths)
    names = Ids.of(name for name, stays in zip(table, keep.tolist(), strict=True) if stays)
    left = {f"user_ids.{part}": array for part, array in names.arrays().items()}
    left["offsets"] = np.concatenate(([0], np.cumsum(lengths[keep]))).astype(np.int64)
    return left | {name: arrays[name][rows] for name in ROWS}


def _session_sets(arrays: Arrays, scorer: str, gone: np.ndarray) -> Arrays:
    """The item sets of session neighbours: those of the users (by their numbers in the training)
    are empty from now on."""
    lengths = np.diff(arrays[f"{scorer}.user_starts"])
    keep = np.ones(len(lengths), dtype=bool)
    keep[gone] = False
    items = arrays[f"{scorer}.user_items"][np.repeat(keep, lengths)]
    left = np.concatenate(([0], np.cumsum(np.where(keep, lengths, 0)))).astype(np.int64)
    return {f"{scorer}.user_starts": left, f"{scorer}.user_items": items}


def _array(objects: Objects, uri: str) -> np.ndarray:
    with objects.fetch(uri) as path:
        return np.load(path, allow_pickle=False)
