"""Popularity: the same order for everybody, all time or with a half-life, or by distinct users."""

from dataclasses import dataclass

import numpy as np

from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import SECONDS_PER_DAY, History, Interactions


@dataclass
class Popular:
    """A fixed score for each item."""

    scores: np.ndarray

    @classmethod
    def fit(cls, data: Interactions, half_life_days: float | None = None) -> "Popular":
        """Weighted counts; with a half-life, older rows count less."""
        weights = data.weight.astype(np.float64)
        if half_life_days is not None and len(data):
            age_days = (data.time.max() - data.time) / SECONDS_PER_DAY
            weights = weights * np.exp2(-age_days / half_life_days)
        counts = np.bincount(data.item, weights, minlength=data.item_count)
        return cls(np.log1p(counts).astype(np.float32))

    @classmethod
    def by_users(cls, data: Interactions) -> "Popular":
        """The number of distinct users of each item (aws-popularity-count)."""
        pairs = np.unique(data.user.astype(np.int64) * data.item_count + data.item)
        counts = np.bincount(pairs % data.item_count, minlength=data.item_count)
        return cls(counts.astype(np.float32))

    def score(self, history: History) -> np.ndarray:
        return self.scores

    def arrays(self) -> Arrays:
        return {"scores": self.scores}

    @classmethod
    def load(cls, arrays: Arrays) -> "Popular":
        return cls(arrays["scores"])
