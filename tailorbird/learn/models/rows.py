"""Sparse item-to-item weights, one row for each item a history may hold."""

from functools import cached_property

import numpy as np
from scipy import sparse

try:  # scipy's own kernels: a third of what the same costs in steps of numpy
    from scipy.sparse._sparsetools import csc_matvec, csr_row_index
except ImportError:  # they are not part of what scipy promises
    csc_matvec = csr_row_index = None

from tailorbird.learn.models.ids import Arrays


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

    def add(self, items: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
        """The weighted sum of these items' rows, over the whole catalogue."""
        starts = self._narrow_starts
        if starts is None or self.weights.dtype != np.float32:
            return self._add_in_steps(items, weights, size)
        total = np.zeros(size, dtype=np.float32)
        if not len(items):
            return total
        # The kernel goes from bound to bound: from a row's first entry to its end, and from there
        # to the first of the next row, which lies before it, so that there is nothing between.
        order = items.argsort()[::-1]
        bounds = _bounds(starts, items[order])
        votes = np.zeros(len(bounds), dtype=np.float32)
        votes[::2] = weights[order]
        csc_matvec(size, len(bounds) - 1, bounds, self.columns, self.weights, votes, total)
        return total

    def votes(self, items: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
        """The same where every entry weighs 1."""
        columns, counts = self.columns_of(items)
        if self._narrow_starts is None:
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
        starts = self._narrow_starts
        bounds = _bounds(self.starts if starts is None else starts, items)
        if last is not None:
            np.maximum(bounds[::2], bounds[1::2] - last, out=bounds[::2])
        counts = bounds[1::2] - bounds[::2]
        if starts is None:
            pairs = zip(bounds[::2].tolist(), bounds[1::2].tolist(), strict=True)
            found = [self.columns[a:b] for a, b in pairs]
            return np.concatenate(found or [self.columns[:0]]), counts
        columns = np.empty(counts.sum(), dtype=np.int32)
        rows = np.arange(0, len(bounds), 2, dtype=np.int32)
        csr_row_index(len(rows), rows, bounds, self.columns, self.columns, columns, columns)
        return columns, counts

    @cached_property
    def _narrow_starts(self) -> np.ndarray | None:
        """`starts` as narrow as `columns`, as the kernels want it; None where there are none."""
        narrow = self.columns.dtype == np.int32 and self.starts[-1] <= np.iinfo(np.int32).max
        return self.starts.astype(np.int32) if narrow and csr_row_index is not None else None

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


def _bounds(starts: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Where each of these rows begins and ends, one after another."""
    bounds = np.empty(2 * len(items), dtype=starts.dtype)
    bounds[::2], bounds[1::2] = starts[items], starts[items + 1]
    return bounds


def pair_counts(
    left: np.ndarray, right: np.ndarray, weights: np.ndarray, size: int
) -> sparse.csr_matrix:
    """Summed weights of (left, right) pairs as a sparse matrix."""
    matrix = sparse.coo_matrix((weights, (left, right)), shape=(size, size), dtype=np.float32)
    return matrix.tocsr()
