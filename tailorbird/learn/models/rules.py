"""Sequential rules: what tends to follow an item within a few steps."""

from dataclasses import dataclass

import numpy as np

from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import History, Interactions
from tailorbird.learn.models.rows import Rows, fading, pair_counts

KEEP = 300  # rules an item


@dataclass
class Rules:
    """Weighted follow-up counts; the last items of a history vote, later ones more."""

    size: int
    rows: Rows
    last: int
    decay: float

    @classmethod
    def fit(cls, data: Interactions, window: int = 3, last: int = 5, decay: float = 0.7) -> "Rules":
        counts = None
        for lag in range(1, window + 1):
            left, right = lagged(data, lag)
            some = pair_counts(
                data.item[left], data.item[right], data.weight[right] / lag, data.item_count
            )
            counts = some if counts is None else counts + some
        assert counts is not None
        uses = np.bincount(data.item, minlength=data.item_count)
        norm = 1.0 / np.maximum(uses, 1.0)
        counts = counts.multiply(norm[:, None]).tocsr()
        return cls(data.item_count, Rows.largest(counts, KEEP), last, decay)

    def score(self, history: History) -> np.ndarray:
        return self.rows.add(history.recent(self.last), fading(self.decay, self.last), self.size)

    def arrays(self) -> Arrays:
        scalars = {"size": self.size, "last": self.last, "decay": self.decay}
        return self.rows.arrays() | {name: np.array(value) for name, value in scalars.items()}

    @classmethod
    def load(cls, arrays: Arrays) -> "Rules":
        rows = Rows(arrays["starts"], arrays["columns"], arrays["weights"])
        return cls(int(arrays["size"]), rows, int(arrays["last"]), float(arrays["decay"]))


def lagged(data: Interactions, lag: int) -> tuple[slice | np.ndarray, np.ndarray]:
    """Row numbers of pairs of one user's rows that lie `lag` steps apart: (earlier, later)."""
    later = np.flatnonzero(data.user[lag:] == data.user[: max(len(data) - lag, 0)]) + lag
    return later - lag, later
