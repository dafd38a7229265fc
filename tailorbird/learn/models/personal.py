"""A user's own history: what people come back to, and when."""

from dataclasses import dataclass

import numpy as np

from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import SECONDS_PER_DAY, History, Interactions

COUNT_BOUNDS = np.array([1, 2, 3, 4, 6, 10, 20])  # times an item was used so far
PLACE_BOUNDS = np.array([1, 2, 3, 5, 8, 15, 30, 60, 120])  # distinct items since its last use
MAX_CUTS = 4_000
LOOK_AHEAD_ROWS = 5


@dataclass
class Personal:
    """Frequency in the user's own past, older use counting less."""

    size: int
    half_life_days: float

    @classmethod
    def fit(cls, data: Interactions, half_life_days: float) -> "Personal":
        return cls(data.item_count, half_life_days)

    def score(self, history: History) -> np.ndarray:
        return _spread(self.size, *self.of_history(history))

    def of_history(self, history: History) -> tuple[np.ndarray, np.ndarray]:
        """The items of a history and the scores of these; all others have 0."""
        age_days = np.maximum(history.now - history.time, 0.0) / SECONDS_PER_DAY
        weights = np.exp2(-age_days / self.half_life_days)
        items, place = history.distinct
        return items, np.bincount(place, weights).astype(np.float32)

    def arrays(self) -> Arrays:
        return {"size": np.array(self.size), "half_life_days": np.array(self.half_life_days)}

    @classmethod
    def load(cls, arrays: Arrays) -> "Personal":
        return cls(int(arrays["size"]), float(arrays["half_life_days"]))


@dataclass
class Repeat:
    """The learned chance that an item comes again soon, by how often and how lately it was used."""

    size: int
    chance: np.ndarray  # [count bucket, place bucket, last event type]

    @classmethod
    def fit(cls, data: Interactions, seed: int = 7) -> "Repeat":
        shape = (len(COUNT_BOUNDS) + 1, len(PLACE_BOUNDS) + 1, max(len(data.kinds), 1))
        came, seen = np.zeros(shape), np.zeros(shape)
        for start, cut, stop in _cuts(data, seed):
            past = data.item[start:cut]
            items, features = _features(past, data.kind[start:cut])
            again = np.isin(items, data.item[cut : min(cut + LOOK_AHEAD_ROWS, stop)])
            np.add.at(seen, features, 1.0)
            np.add.at(came, features, again.astype(float))
        prior = came.sum() / max(seen.sum(), 1.0)
        chance = (came + 10.0 * prior) / (seen + 10.0)
        return cls(data.item_count, chance.astype(np.float32))

    def score(self, history: History) -> np.ndarray:
        return _spread(self.size, *self.of_history(history))

    def of_history(self, history: History) -> tuple[np.ndarray, np.ndarray]:
        """The items of a history and the scores of these; all others have 0."""
        if not len(history):
            return history.item, np.zeros(0, dtype=np.float32)
        kind = np.minimum(history.kind, self.chance.shape[2] - 1)
        items, features = _features(history.item, kind)
        return items, self.chance[features]

    def arrays(self) -> Arrays:
        return {"size": np.array(self.size), "chance": self.chance}

    @classmethod
    def load(cls, arrays: Arrays) -> "Repeat":
        return cls(int(arrays["size"]), np.asarray(arrays["chance"]))


def _spread(size: int, items: np.ndarray, some: np.ndarray) -> np.ndarray:
    scores = np.zeros(size, dtype=np.float32)
    scores[items] = some
    return scores


def _features(past: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Distinct items of a history with their count, place and last-event-type buckets."""
    items, first, counts = np.unique(past[::-1], return_index=True, return_counts=True)
    place = np.empty(len(items), dtype=np.int64)
    place[np.argsort(first, kind="stable")] = np.arange(1, len(items) + 1)
    last_kind = kind[::-1][first].astype(np.int64)
    buckets = (
        np.searchsorted(COUNT_BOUNDS, counts, side="left"),
        np.searchsorted(PLACE_BOUNDS, place, side="left"),
        np.maximum(last_kind, 0),
    )
    return items, buckets


def _cuts(data: Interactions, seed: int) -> list[tuple[int, int, int]]:
    """Random moments (first row of the user, row of the cut, last row) to learn from."""
    lengths = np.diff(data.offsets)
    rows = np.flatnonzero(np.arange(len(data)) > np.repeat(data.offsets[:-1], lengths))
    random = np.random.default_rng(seed)
    chosen = random.choice(rows, size=min(MAX_CUTS, len(rows)), replace=False)
    user = data.user[chosen]
    return list(
        zip(
            data.offsets[user].tolist(),
            chosen.tolist(),
            data.offsets[user + 1].tolist(),
            strict=True,
        )
    )
