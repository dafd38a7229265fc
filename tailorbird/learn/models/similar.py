"""Items like an item: who used them, what they say of themselves, weighed on held-out rows.

An item with fewer than five interactions is known by its metadata only; up to some dozens the two
are mixed. The lists are computed when the model is fitted.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from tailorbird.learn.models.blend import Case, hold_out
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.neighbours import ItemNeighbours
from tailorbird.learn.models.rows import Rows
from tailorbird.learn.models.scores import DISCOUNT
from tailorbird.learn.models.texts import directions, unit

COLD_BELOW = 5  # interactions; Personalize developer guide, "Similar-Items recipe"
HALF_KNOWN = 20.0
KEEP = 500  # a request may ask for 500 items
BLOCK = 256
CASES = 300
DEPTH = 25
CONTENT_GRID = (0.0, 0.1, 0.3, 1.0)
FACTOR_GRID = (0.0, 0.3, 1.0)


@dataclass(frozen=True)
class Mix:
    """How much neighbours, factors and content count."""

    neighbours: float
    factors: float
    content: float

    def known(self, uses: np.ndarray) -> np.ndarray:
        """How far each item is known by its use."""
        return np.where(uses < COLD_BELOW, 0.0, uses / (uses + HALF_KNOWN))

    def content_scale(self, uses: np.ndarray) -> np.ndarray:
        """How much content counts beside each item."""
        return self.content + (1.0 - self.known(uses)) * (self.neighbours + self.factors)


@dataclass(frozen=True)
class Parts:
    """The three views of the items that are mixed."""

    neighbours: sparse.csr_matrix  # rows scaled to a largest value of 1
    factors: np.ndarray
    content: np.ndarray
    uses: np.ndarray

    @classmethod
    def of(cls, data: Interactions, factors: int, content: np.ndarray) -> "Parts":
        near = ItemNeighbours.in_sequence(data, keep=KEEP) if len(data) > 1 else None
        count = data.item_count
        uses = np.bincount(data.item, minlength=count)
        if near is None:
            return cls(sparse.csr_matrix((count, count)), np.zeros((count, 0)), content, uses)
        rows = near.rows
        matrix = sparse.csr_matrix((rows.weights, rows.columns, rows.starts), shape=(count, count))
        most = np.asarray(matrix.max(axis=1).todense()).ravel()
        scaled = sparse.diags(1.0 / np.maximum(most, 1e-12)) @ matrix
        return cls(scaled.tocsr(), _factors(data, factors), content, uses)

    def scores(self, items: np.ndarray, mix: Mix) -> np.ndarray:
        """[item, catalogue]: how alike every item is to these."""
        known = mix.known(self.uses[items])[:, None]
        total = known * mix.neighbours * self.neighbours[items].toarray()
        if mix.factors and self.factors.shape[1]:
            total = total + known * mix.factors * (self.factors[items] @ self.factors.T)
        if self.content.shape[1]:
            scale = mix.content_scale(self.uses[items])[:, None]
            total = total + scale * np.maximum(self.content[items] @ self.content.T, 0.0)
        return np.asarray(total, dtype=np.float32)

    def rows(self, mix: Mix) -> Rows:
        """The best of every item, without itself."""
        count = len(self.uses)
        keep = min(KEEP, max(count - 1, 0))
        starts = np.arange(count + 1, dtype=np.int64) * keep
        columns = np.empty((count, keep), dtype=np.int32)
        weights = np.empty((count, keep), dtype=np.float32)
        for begin in range(0, count, BLOCK):
            items = np.arange(begin, min(begin + BLOCK, count))
            scores = self.scores(items, mix)
            scores[np.arange(len(items)), items] = -np.inf
            best = np.argpartition(-scores, keep - 1, axis=1)[:, :keep] if keep else columns[:0]
            columns[items] = best
            weights[items] = np.take_along_axis(scores, best, axis=1)
        return Rows(starts, columns.ravel(), np.maximum(weights, 0.0).ravel())


def choose(
    data: Interactions, factors: int, content: np.ndarray, seed: int
) -> tuple[Mix, dict[str, float]]:
    """The mix whose lists beside an item held what came next, and what each alone reached."""
    keep, cases = hold_out(data, CASES, seed)
    plain = Mix(1.0, 0.0, 0.1 if content.shape[1] else 0.0)
    if not cases:
        return plain, {}
    parts = Parts.of(data.keep(keep), factors, content)
    contents = CONTENT_GRID if content.shape[1] else (0.0,)
    tried = {
        mix: _quality(parts, mix, cases)
        for mix in (Mix(1.0, f, c) for f in FACTOR_GRID for c in contents)
    }
    best = max(tried, key=lambda mix: (tried[mix], -mix.factors - mix.content))
    alone = {"neighbours": tried[Mix(1.0, 0.0, 0.0)], "mixed": tried[best]}
    if content.shape[1]:
        alone["content"] = _quality(parts, Mix(0.0, 0.0, 1.0), cases)
    return best, {name: round(value, 4) for name, value in alone.items()}


def _quality(parts: Parts, mix: Mix, cases: list[Case]) -> float:
    """Mean NDCG@25 of the list beside each case's newest item."""
    found = []
    for case in cases:
        item = int(case.history.item[-1])
        scores = parts.scores(np.array([item]), mix)[0]
        scores[item] = -np.inf
        count = min(DEPTH, len(scores))
        best = np.argpartition(-scores, count - 1)[:count]
        best = best[np.argsort(-scores[best], kind="stable")]
        hits = np.isin(best, case.targets)
        ideal = DISCOUNT[: min(len(case.targets), count)].sum()
        found.append(float((hits * DISCOUNT[:count]).sum() / ideal))
    return float(np.mean(found))


def _factors(data: Interactions, size: int) -> np.ndarray:
    """Items by the users they share, in few dimensions."""
    matrix = sparse.csr_matrix(
        (np.ones(len(data)), (data.user, data.item)), shape=(len(data.users), data.item_count)
    )
    matrix.sum_duplicates()
    matrix.data = np.log1p(matrix.data)
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = (sparse.diags(1.0 / np.maximum(length, 1e-12)) @ matrix).tocsr()
    return unit(directions(matrix, size))
