"""Closed-form linear models over the most frequent items: the next item (LinSeq), the set (EASE).

LinSeq: ridge regression from the decayed recent history to the next items. EASE: Steck, WWW 2019.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import History, Interactions, Recent
from tailorbird.learn.models.rows import Rows, distinct, fading
from tailorbird.learn.models.rules import lagged

MIN_ITEM_ROWS = 5  # rarer items are left to the sparse models
KEEP = 500  # weights kept for an item
DENSE_PAIRS = 350.0  # a pair counted one by one costs as much as so many in a dense product
BLOCK = 1_000  # users, or rows of a matrix, at a time
STATE_FLOOR = 0.01  # lags whose weight falls below this are dropped


@dataclass
class Linear:
    """Item-to-item weights; the last `last` rows of a history vote, decayed by place."""

    size: int
    rows: Rows
    last: int
    decay: float
    distinct: bool  # EASE knows sets: a repeated item votes once

    def score(self, history: History) -> np.ndarray:
        recent = history.recent(self.last)
        if self.distinct:
            recent = Recent.of(distinct(history.item[-self.last :][::-1]))
        return self.rows.add(recent, fading(self.decay, self.last), self.size)

    def arrays(self) -> Arrays:
        scalars = {
            "size": self.size,
            "last": self.last,
            "decay": self.decay,
            "distinct": self.distinct,
        }
        return self.rows.arrays() | {name: np.array(value) for name, value in scalars.items()}

    @classmethod
    def load(cls, arrays: Arrays) -> "Linear":
        rows = Rows(arrays["starts"], arrays["columns"], arrays["weights"])
        return cls(
            int(arrays["size"]),
            rows,
            int(arrays["last"]),
            float(arrays["decay"]),
            bool(arrays["distinct"]),
        )


def linseq(
    data: Interactions, max_items: int, decay: float = 0.8, ridge: float = 300.0, labels: int = 3
) -> Linear:
    """Fit the next-item model; its sums are counted lag by lag, no matrix of states is built."""
    cover, number = covered(data, max_items)
    count = len(cover)
    lags = int(np.ceil(np.log(STATE_FLOOR) / np.log(decay))) + 1
    code = number[data.item]
    before = np.zeros((count, count), dtype=np.float32)  # sum of state x next item
    for lag in range(1, lags + 1):
        earlier, later, _ = _pairs(data, code, lag)
        np.add.at(before.reshape(-1), earlier * count + later, np.float32(decay ** (lag - 1)))
    target = _target(data, code, before, decay, lags, labels)
    gram = _state_gram(data, code, count, before, decay, lags)
    del before
    gram[np.diag_indices(count)] += ridge
    factor = linalg.cho_factor(gram.T, lower=True, overwrite_a=True, check_finite=False)
    found = linalg.cho_solve(factor, target.T, overwrite_b=True, check_finite=False)
    rows = Rows.of_dense(found, cover, data.item_count, KEEP)
    return Linear(data.item_count, rows, last=lags, decay=decay, distinct=False)


def _target(
    data: Interactions, code: np.ndarray, before: np.ndarray, decay: float, lags: int, labels: int
) -> np.ndarray:
    """The sum of the next `labels` items, weighted, x state.

    Where all rows weigh the same it is `before` turned and scaled, but for the lags at both ends.
    """
    count = len(before)
    whole = sum(decay**-m for m in range(labels))
    weight = float(data.weight[0]) if len(data) else 1.0
    alike = bool((data.weight == weight).all())
    if alike:
        target = np.ascontiguousarray(before.T)
        target *= np.float32(whole * weight)
    else:
        target = np.zeros_like(before)
    for lag in range(1, lags + labels):
        if alike and labels <= lag <= lags:
            continue
        earlier, later, weights = _pairs(data, code, lag)
        votes = sum(decay**-m for m in range(min(labels, lag)))
        if alike and lag <= lags:
            votes -= whole
        weights = weights * np.float32(votes * decay ** (lag - 1))
        np.add.at(target.reshape(-1), later * count + earlier, weights)
    return target


def _pairs(
    data: Interactions, code: np.ndarray, lag: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covered items `lag` steps apart: the earlier, the later, and the later's weight."""
    left, right = lagged(data, lag)
    known = (code[left] >= 0) & (code[right] >= 0)
    return code[left][known], code[right][known], data.weight[right][known]


def ease(data: Interactions, max_items: int, ridge: float = 400.0, decay: float = 0.95) -> Linear:
    """Fit EASE on the set of items of each user; at serving, older items vote less."""
    cover, number = covered(data, max_items)
    gram = _together(data, number[data.item], len(cover))
    gram[np.diag_indices(len(cover))] += ridge
    inverse = _inverse(gram)
    inverse /= -np.diag(inverse).copy()[None, :]
    inverse[np.diag_indices(len(cover))] = 0.0
    rows = Rows.of_dense(inverse, cover, data.item_count, KEEP)
    return Linear(data.item_count, rows, last=100, decay=decay, distinct=True)


def covered(data: Interactions, max_items: int) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent items, which a dense model keeps, and each item's number there or -1."""
    uses = np.bincount(data.item, minlength=data.item_count)
    frequent = np.flatnonzero(uses >= min(MIN_ITEM_ROWS, uses.max(initial=0)))
    if len(frequent) > max_items:
        frequent = frequent[np.argsort(-uses[frequent], kind="stable")[:max_items]]
    cover = np.sort(frequent)
    number = np.full(data.item_count, -1, dtype=np.int64)
    number[cover] = np.arange(len(cover))
    return cover, number


def _together(data: Interactions, code: np.ndarray, count: int) -> np.ndarray:
    """How many users two items share; only the lower triangle is sure to be filled."""
    known = code >= 0
    sets = sparse.csr_matrix(
        (np.ones(int(known.sum()), dtype=np.float32), (data.user[known], code[known])),
        shape=(len(data.users), count),
    )
    sets.sum_duplicates()
    sets.data[:] = 1.0
    pairs = (np.diff(sets.indptr).astype(np.float64) ** 2).sum()
    if len(data.users) * float(count) ** 2 > DENSE_PAIRS * pairs:
        return (sets.T @ sets).toarray(order="F")
    gram = np.zeros((count, count), dtype=np.float32, order="F")
    for begin in range(0, len(data.users), BLOCK):
        some = sets[begin : begin + BLOCK].toarray()
        gram = linalg.blas.ssyrk(1.0, some.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
    return gram


def _inverse(gram: np.ndarray) -> np.ndarray:
    """The inverse of a positive matrix in its place; only the lower triangle is read."""
    if not gram.size:
        return gram
    factor, _ = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    found, _ = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    turned = found.T  # the other triangle is filled block by block
    for begin in range(0, len(turned), BLOCK):
        end = min(begin + BLOCK, len(turned))
        block = turned[begin:end, begin:end]
        turned[begin:end, begin:end] = np.triu(block) + np.triu(block, 1).T
        turned[end:, begin:end] = turned[begin:end, end:].T
    return np.asarray(turned)


def _state_gram(
    data: Interactions,
    code: np.ndarray,
    count: int,
    before: np.ndarray,
    decay: float,
    lags: int,
) -> np.ndarray:
    """Sum of state x state over all rows, from s(t) = decay * s(t-1) + e(t), solved for the sum."""
    final = _final_states(data, code, count, decay, lags)
    ends = (final.T @ final).tocoo()
    gram = before + before.T
    gram *= decay
    gram[ends.row, ends.col] -= np.float32(decay**2) * ends.data
    gram[np.diag_indices(count)] += np.bincount(code[code >= 0], minlength=count)
    gram /= 1.0 - decay**2
    return gram


def _final_states(
    data: Interactions, code: np.ndarray, count: int, decay: float, lags: int
) -> sparse.csr_matrix:
    """Each user's state after the last row."""
    from_end = data.offsets[data.user + 1] - 1 - np.arange(len(data))
    rows = (from_end < lags) & (code >= 0)
    values = (decay ** from_end[rows]).astype(np.float32)
    return sparse.csr_matrix(
        (values, (data.user[rows], code[rows])), shape=(len(data.users), count)
    )
