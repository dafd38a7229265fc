"""Sparse item-to-item weights, one row for each item a history may hold."""

from functools import cached_property, lru_cache

import numpy as np
from scipy import sparse

try:  # scipy's own kernels: a third of what the same costs in steps of numpy
    from scipy.sparse._sparsetools import csc_matvec, csr_row_index
except ImportError:  # they are not part of what scipy promises
    csc_matvec = csr_row_index = None

from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import Recent


class Rows:
    """Rows of (item, weight) pairs in compressed form."""

    def __init__(self, starts: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> None:
        self.starts = starts
        self.columns = columns
        self.weights = weights

    @classmethod
    def largest(cls, matrix: sparse.csr_matrix, keep: int) -> "Rows":
        """Keep the `keep` largest entries (by magnitude) of every row."""
        begin, counts = matrix.indptr[:-1], np.diff(matrix.indptr)
        starts = np.zeros(matrix.shape[0] + 1, dtype=np.int64)
        np.cumsum(np.minimum(counts, keep), out=starts[1:])
        size = np.abs(matrix.data)
        kept = np.ones(len(size), dtype=bool)
        for row in np.flatnonzero(counts > keep).tolist():
            one = slice(begin[row], begin[row] + counts[row])
            small = np.argpartition(size[one], counts[row] - keep)[: counts[row] - keep]
            kept[one][small] = False
        columns = matrix.indices[kept].astype(np.int32)
        return cls(starts, columns, matrix.data[kept].astype(np.float32))

    @classmethod
    def of_dense(cls, matrix: np.ndarray, cover: np.ndarray, size: int, keep: int) -> "Rows":
        """The largest entries of a dense matrix over the items `cover`, by catalogue number."""
        width = matrix.shape[1]
        keep = min(keep, width)
        starts = np.zeros(size + 1, dtype=np.int64)
        starts[cover + 1] = keep
        np.cumsum(starts, out=starts)
        columns = np.empty(len(cover) * keep, dtype=np.int32)
        weights = np.empty(len(cover) * keep, dtype=np.float32)
        for n, row in enumerate(matrix):
            best = np.argpartition(np.abs(row), width - keep)[width - keep :]
            columns[n * keep : (n + 1) * keep] = cover[best]
            weights[n * keep : (n + 1) * keep] = row[best]
        return cls(starts, columns, weights)

    def add(self, recent: Recent, fading: np.ndarray, size: int) -> np.ndarray:
        """The sum of these items' rows over the whole catalogue, weighted by place (`fading`)."""
        pairs = self._pairs
        if pairs is None or self.weights.dtype != np.float32:
            return self._add_in_steps(recent.item, fading[recent.place, 0], size)
        total = np.zeros(size, dtype=np.float32)
        if len(recent.item):
            # The kernel goes from bound to bound: from a row's first entry to its end, and from
            # there to the next row's first, which lies before it: there is nothing between.
            bounds = pairs[recent.item].ravel()
            votes = fading[recent.place].ravel()
            csc_matvec(size, len(bounds) - 1, bounds, self.columns, self.weights, votes, total)
        return total

    def sums(
        self, items: np.ndarray, weights: np.ndarray, size: int, last: int | None = None
    ) -> np.ndarray:
        """The sum of the rows of these items, numbers from the highest down and none twice, each
        weighted; of each row the `last`. For who has `quick`."""
        assert self._pairs is not None
        bounds = self._pairs[items]
        if last is not None:
            np.maximum(bounds[:, 0], bounds[:, 1] - last, out=bounds[:, 0])
        votes = np.zeros((len(items), 2), dtype=np.float32)
        votes[:, 0] = weights
        total = np.zeros(size, dtype=np.float32)
        csc_matvec(
            size, 2 * len(items) - 1, bounds.ravel(), self.columns, self.weights, votes, total
        )
        return total

    @property
    def quick(self) -> bool:
        """Whether `sums` can be asked."""
        return self._pairs is not None and len(self.weights) == len(self.columns)

    def votes(self, items: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
        """The same where every entry weighs 1."""
        columns, counts = self.columns_of(items)
        if self._pairs is None:
            every = np.repeat(weights, counts)
            return np.bincount(columns, every, minlength=size).astype(np.float32)
        ends = np.zeros(len(items) + 1, dtype=np.int32)
        np.cumsum(counts, out=ends[1:])
        ones, total = np.ones(len(columns), dtype=np.float32), np.zeros(size, dtype=np.float32)
        csc_matvec(size, len(items), ends, columns, ones, weights.astype(np.float32), total)
        return total

    def columns_of(
        self, items: np.ndarray, last: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The columns of these items' rows (of each the `last`) one after another, and how many
        each item has."""
        pairs = self._pairs
        if pairs is None:
            bounds = np.stack([self.starts[items], self.starts[items + 1]], axis=1)
        else:
            bounds = pairs[items]
        if last is not None:
            np.maximum(bounds[:, 0], bounds[:, 1] - last, out=bounds[:, 0])
        counts = bounds[:, 1] - bounds[:, 0]
        if pairs is None:
            found = [self.columns[a:b] for a, b in bounds.tolist()]
            return np.concatenate(found or [self.columns[:0]]), counts
        columns = np.empty(counts.sum(), dtype=np.int32)
        rows = np.arange(0, 2 * len(items), 2, dtype=np.int32)
        csr_row_index(
            len(items), rows, bounds.ravel(), self.columns, self.columns, columns, columns
        )
        return columns, counts

    @cached_property
    def _pairs(self) -> np.ndarray | None:
        """Where each row begins and ends, as narrow as `columns`, for the kernels; None where
        there are none."""
        narrow = self.columns.dtype == np.int32 and self.starts[-1] <= np.iinfo(np.int32).max
        if not narrow or csr_row_index is None:
            return None
        return np.stack([self.starts[:-1], self.starts[1:]], axis=1).astype(np.int32)

    def _add_in_steps(self, items: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
        begin, end = self.starts[items], self.starts[items + 1]
        counts = end - begin
        total = int(counts.sum())
        if total == 0:
            return np.zeros(size, dtype=np.float32)
        shift = np.repeat(begin - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        where = np.arange(total) + shift
        values = self.weights[where] * np.repeat(weights, counts)
        return np.bincount(self.columns[where], values, minlength=size).astype(np.float32)

    def row(self, item: int) -> tuple[np.ndarray, np.ndarray]:
        where = slice(int(self.starts[item]), int(self.starts[item + 1]))
        return self.columns[where], self.weights[where]

    def arrays(self) -> Arrays:
        return {"starts": self.starts, "columns": self.columns, "weights": self.weights}


def distinct(items: np.ndarray) -> np.ndarray:
    """These items once, in the order they first come."""
    return np.array(list(dict.fromkeys(items.tolist())), dtype=items.dtype)


@lru_cache(maxsize=64)
def fading(decay: float, last: int) -> np.ndarray:
    """What a row counts by its place, the newest 1; the second column is what the kernel adds of
    the nothing between two rows."""
    weights = np.zeros((last, 2), dtype=np.float32)
    weights[:, 0] = decay ** np.arange(last)
    return weights


def pair_counts(
    left: np.ndarray, right: np.ndarray, weights: np.ndarray, size: int
) -> sparse.csr_matrix:
    """Summed weights of (left, right) pairs as a sparse matrix."""
    matrix = sparse.coo_matrix((weights, (left, right)), shape=(size, size), dtype=np.float32)
    return matrix.tocsr()
