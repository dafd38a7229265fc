"""What the transformer learns from: windows over whole histories, in batches of like length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tailorbird.learn.models.interactions import Interactions

BATCH_TOKENS = 3_200
HELD_BACK_WINDOWS = 200  # windows whose last row is never learned, to see when to end
SAMPLE_CHUNK = 64  # batches whose windows are sorted by length together


@dataclass(frozen=True)
class Sequences:
    """Covered rows, one user after the other."""

    code: np.ndarray  # int64 number among the covered items
    kind: np.ndarray  # int64 event type + 1
    weight: np.ndarray  # float32
    offsets: np.ndarray

    @classmethod
    def of(cls, data: Interactions, number: np.ndarray) -> Sequences:
        rows = number[data.item] >= 0
        offsets = np.searchsorted(data.user[rows], np.arange(len(data.users) + 1))
        return cls(
            number[data.item[rows]],
            data.kind[rows].astype(np.int64) + 1,
            data.weight[rows],
            offsets.astype(np.int64),
        )

    def uses(self, items: int) -> np.ndarray:
        """How many rows each covered item has."""
        return np.bincount(self.code, minlength=items)


@dataclass(frozen=True)
class Batch:
    """Windows of one length: what was had, of what kind, and what came next (-1: nothing)."""

    code: np.ndarray
    kind: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    @property
    def tokens(self) -> int:
        return int(self.code.size)

    @property
    def targets(self) -> int:
        return int((self.target >= 0).sum())

    def parts(self, count: int) -> list[Batch]:
        """The windows shared out to `count`, none of them empty."""
        count = min(count, len(self.code))
        cuts = [n * len(self.code) // count for n in range(count + 1)]
        return [
            Batch(*(one[a:b] for one in (self.code, self.kind, self.target, self.weight)))
            for a, b in itertools.pairwise(cuts)
        ]

    def tensors(self, torch: Any, device: Any) -> list[Any]:
        parts = (self.code, self.kind, self.target, self.weight)
        return [torch.from_numpy(one).to(device) for one in parts]


Windows = np.ndarray  # [start row, rows that are input]


def held_back(rows: Sequences, longest: int, seed: int, most: int) -> tuple[Windows, np.ndarray]:
    """Windows that end in a held-back row, and how far each user's rows may be learned."""
    ends = rows.offsets[1:].copy()
    able = np.flatnonzero(np.diff(rows.offsets) >= 3)
    count = min(most, len(able) // 10)
    users = np.random.default_rng(seed).choice(able, size=count, replace=False)
    ends[users] -= 1
    inputs = np.minimum(ends[users] - rows.offsets[users], longest)
    return np.stack([ends[users] - inputs, inputs], axis=1), ends


def batches(rows: Sequences, ends: np.ndarray, longest: int, seed: int) -> Iterator[Batch]:
    """Every row once as a target, in windows that begin at random places."""
    random = np.random.default_rng(seed)
    starts = rows.offsets[:-1]
    lengths = ends - starts - 1  # inputs of each user
    users = np.flatnonzero(lengths > 0)
    first = np.where(
        lengths[users] > longest, random.integers(1, longest + 1, len(users)), lengths[users]
    )
    more = -(-(lengths[users] - first) // longest)  # further windows of each user
    owner = np.repeat(np.arange(len(users)), more + 1)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(more + 1) - more - 1, more + 1)
    begin = np.where(place == 0, 0, first[owner] + (place - 1) * longest)
    size = np.where(place == 0, first[owner], np.minimum(longest, lengths[users][owner] - begin))
    windows = np.stack([starts[users][owner] + begin, size], axis=1)
    windows = windows[random.permutation(len(windows))]
    per_chunk = max(1, SAMPLE_CHUNK * BATCH_TOKENS // max(int(size.mean()), 1))
    for at in range(0, len(windows), per_chunk):
        chunk = windows[at : at + per_chunk]
        chunk = chunk[np.argsort(chunk[:, 1], kind="stable")]
        cuts = _cut(chunk[:, 1])
        for part in random.permutation(len(cuts) - 1).tolist():
            yield _batch(rows, chunk[cuts[part] : cuts[part + 1]])


def held_batches(rows: Sequences, windows: Windows, longest: int) -> Iterator[Batch]:
    """The held-back rows only, as targets."""
    step = max(1, 2 * BATCH_TOKENS // longest)
    for at in range(0, len(windows), step):
        batch = _batch(rows, windows[at : at + step])
        last = np.zeros_like(batch.target, dtype=bool)
        last[np.arange(len(last)), windows[at : at + step, 1] - 1] = True
        yield Batch(batch.code, batch.kind, np.where(last, batch.target, -1), batch.weight)


def _cut(sizes: np.ndarray) -> list[int]:
    """Where to cut windows sorted by size so that a padded batch stays within its tokens."""
    cuts, begin = [0], 0
    for n, size in enumerate(sizes.tolist()):
        if n > begin and size * (n - begin + 1) > BATCH_TOKENS:
            cuts.append(n)
            begin = n
    return [*cuts, len(sizes)]


def _batch(rows: Sequences, windows: Windows) -> Batch:
    width = int(windows[:, 1].max())
    place = np.arange(width)[None, :]
    inside = place < windows[:, 1:]
    where = np.where(inside, windows[:, :1] + place, windows[:, :1])
    following = np.where(inside, where + 1, where)
    return Batch(
        np.where(inside, rows.code[where], 0),
        np.where(inside, rows.kind[where], 0),
        np.where(inside, rows.code[following], -1),
        np.where(inside, rows.weight[following], 0.0).astype(np.float32),
    )
