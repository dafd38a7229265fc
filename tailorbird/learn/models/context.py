"""Context: how much likelier an item is where something holds (a device, a place) than at large."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from tailorbird.learn.models.ids import Arrays, Ids
from tailorbird.learn.models.rows import Rows

SHRINK = 20.0  # rows of an item that its own share of a context is mixed with the overall one of


@dataclass
class Context:
    """One column of the interactions: P(item | value) / P(item), shrunk for rare items."""

    values: Ids
    share: np.ndarray  # of the rows that have a value, by value
    uses: np.ndarray  # rows with a value, by item
    rows: Rows  # value -> items and how often
    _without: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def of(cls, values: list[str], value: np.ndarray, item: np.ndarray, size: int) -> Context:
        """From rows given as (value number, item number)."""
        table = Ids.of(values)
        place = np.array([table.find(one) for one in values] or [0], dtype=np.int64)
        counts = sparse.coo_matrix(
            (np.ones(len(value), dtype=np.float32), (place[value], item)),
            shape=(len(table), size),
        ).tocsr()
        uses = np.bincount(item, minlength=size).astype(np.float32)
        share = np.asarray(counts.sum(axis=1)).ravel() / max(len(value), 1)
        rows = Rows(counts.indptr.astype(np.int64), counts.indices.astype(np.int32), counts.data)
        return cls(table, share.astype(np.float32), uses, rows)

    def lift(self, value: str) -> np.ndarray | None:
        """The logarithm of the ratio for every item; None for a value never seen."""
        number = self.values.find(value)
        if number < 0:
            return None
        if self._without is None:
            self._without = np.log(SHRINK / (self.uses + SHRINK)).astype(np.float32)
        found = self._without.copy()
        items, counts = self.rows.row(number)
        share = self.share[number]
        found[items] = np.log((counts + SHRINK * share) / ((self.uses[items] + SHRINK) * share))
        return found

    def arrays(self) -> Arrays:
        named = {f"values_{name}": array for name, array in self.values.arrays().items()}
        return named | {"share": self.share, "uses": self.uses} | self.rows.arrays()

    @classmethod
    def load(cls, arrays: Arrays) -> Context:
        values = Ids(arrays["values_text"], arrays["values_offsets"])
        rows = Rows(arrays["starts"], arrays["columns"], arrays["weights"])
        return cls(values, arrays["share"], arrays["uses"], rows)
