"""The greedy search for a blend's weights: what ranks the held-out cases' targets best."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tailorbird.learn.models.best import top
from tailorbird.learn.models.blend import Blend, Case, Scorer, standard
from tailorbird.learn.models.popular import Popular

GRID = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SEEN_GRID = (0.0, 0.5, 2.0, 8.0, 1e3)  # the last is: never again while others are left
PASSES = 2
CANDIDATES_PER_SCORER = 100
MIN_GAIN = 0.002  # relative; smaller gains are noise
STEPS = (0.0, 0.5, 0.7, 1.4, 2.0)  # times a weight, once the grid has been gone through
ENTRIES = (0.1, 0.3, 1.0)  # times the greatest weight, for a scorer that has none
STEP_PASSES = 4
MIN_STEP_GAIN = 0.001
WITHOUT_CASES = {"rules": 1.0, "popular": 0.4}  # too little data to choose by


def search(scorers: dict[str, Scorer], cases: list[Case], fallback: str = "popular") -> Blend:
    """The blend of these fitted scorers that ranks the cases' targets best (mean NDCG@25)."""
    names = list(scorers)
    if not cases:
        chosen = {name: weight for name, weight in WITHOUT_CASES.items() if name in scorers}
        return Blend({name: scorers[name] for name in {*chosen, fallback}}, chosen, 0.0, fallback)
    climb = _Climb(Table.of(scorers, cases))
    for _ in range(PASSES):
        climb.along(MIN_GAIN, lambda _weight, _greatest: GRID)
    for _ in range(STEP_PASSES):
        if not climb.along(MIN_STEP_GAIN, _steps):
            break
    weights, alone = climb.weights, climb.alone
    chosen = {name: round(float(w), 4) for name, w in zip(names, weights, strict=True) if w}
    kept = {name: scorers[name] for name in scorers if name in chosen or name == fallback}
    reached = dict(zip(names, alone, strict=True)) | {"blend": climb.best}
    return Blend(kept, chosen, climb.penalty, fallback, reached)


def _steps(weight: float, greatest: float) -> tuple[float, ...]:
    if weight:
        return tuple(weight * step for step in STEPS)
    return tuple(greatest * entry for entry in ENTRIES)


class _Climb:
    """From the best scorer alone, one weight at a time, as long as it gains enough."""

    def __init__(self, table: "Table") -> None:
        self.table = table
        ends = (SEEN_GRID[0], SEEN_GRID[-1])
        self.penalty = max(ends, key=lambda value: max(table.alone(value)))
        self.alone = table.alone(self.penalty)
        order = np.argsort(-np.array(self.alone), kind="stable").tolist()
        order = [n for n in order if self.alone[n] > 0.0] or [0]
        self.order = [n for n in order if not table.repeats(n)]
        self.one = np.eye(len(self.alone))
        self.weights, self.best = self.one[self.order[0]], self.alone[self.order[0]]

    def along(self, gain: float, values: Callable[[float, float], tuple[float, ...]]) -> bool:
        """One pass over the weights and the penalty; whether anything was changed."""
        before = self.best
        for n in self.order:
            others = self.weights * (1.0 - self.one[n])
            rest, count = self.table.total(others, 0.0), int(np.count_nonzero(others))
            for value in values(float(self.weights[n]), float(self.weights.max())):
                if value == self.weights[n] or not (value or count):
                    continue
                total = rest + np.float32(value) * self.table.scores[n]
                total = self.table.less(total, self.penalty, count + (value > 0))
                if self._better(self.table.quality(total), gain):
                    self.weights = others + value * self.one[n]
        total = self.table.total(self.weights, 0.0)
        count = int(np.count_nonzero(self.weights))
        for value in SEEN_GRID:
            if self._better(self.table.quality(self.table.less(total, value, count)), gain):
                self.penalty = value
        return self.best > before

    def _better(self, quality: float, gain: float) -> bool:
        if quality <= self.best * (1 + gain):
            return False
        self.best = quality
        return True


@dataclass
class Table:
    """Standardised scores of the items worth ranking, for every case and scorer."""

    scores: np.ndarray  # [scorer, case, candidate]
    seen: np.ndarray  # [case, candidate]
    target: np.ndarray  # [case, place]: a target's candidate, or the one that is worst by far
    gain: np.ndarray  # [case, place]: what that target adds when it is first, of 1 for all at best

    @classmethod
    def of(cls, scorers: dict[str, Scorer], cases: list[Case]) -> "Table":
        same = {
            name: standard(scorer.score(cases[0].history))
            for name, scorer in scorers.items()
            if isinstance(scorer, Popular)
        }
        best = [top(vector, CANDIDATES_PER_SCORER) for vector in same.values()]
        rows = [_row(scorers, case, same, best) for case in cases]
        width = 1 + max(len(row[1]) for row in rows)
        most = max(len(row[2]) for row in rows)
        scores = np.full((len(scorers), len(rows), width), -1e3, dtype=np.float32)
        seen = np.zeros((len(rows), width), dtype=bool)
        target = np.full((len(rows), most), width - 1)
        gain = np.zeros((len(rows), most))
        for n, (values, old, wanted) in enumerate(rows):
            scores[:, n, : len(old)] = values
            seen[n, : len(old)] = old
            target[n, : len(wanted)] = wanted
            gain[n, : len(wanted)] = _shares(cases[n])
        return cls(scores, seen, target, gain)

    def total(self, weights: np.ndarray, penalty: float) -> np.ndarray:
        found = np.zeros(self.seen.shape, dtype=np.float32)
        for n in np.flatnonzero(weights).tolist():
            found += np.float32(weights[n]) * self.scores[n]
        return self.less(found, penalty, int(np.count_nonzero(weights)))

    def less(self, total: np.ndarray, penalty: float, count: int) -> np.ndarray:
        """The sum of `count` scorers without the penalty for what was seen."""
        return total - np.float32(penalty * count) * self.seen if penalty else total

    def quality(self, total: np.ndarray) -> float:
        """Mean NDCG@25."""
        own = np.take_along_axis(total, self.target, axis=1)
        found = np.zeros(len(total))
        for place in range(self.target.shape[1]):
            ahead = (total >= own[:, place, None]).sum(axis=1) - 1  # equals stand ahead
            found += self.gain[:, place] * GAIN_AT[np.minimum(ahead, len(GAIN_AT) - 1)]
        return float(found.mean())

    def alone(self, penalty: float) -> list[float]:
        """What each scorer reaches by itself."""
        return [self.quality(self.less(one, penalty, 1)) for one in self.scores]

    def repeats(self, n: int) -> bool:
        """Whether an earlier scorer says the same of every case."""
        return any(np.array_equal(self.scores[n], self.scores[m]) for m in range(n))


DISCOUNT = 1.0 / np.log2(np.arange(2, 27))  # an answer holds 25 items unless it is told otherwise
GAIN_AT = np.append(DISCOUNT, 0.0)


def _shares(case: Case) -> np.ndarray:
    """What each target is worth, so that the best order of all of them is worth 1."""
    gains = np.ones(len(case.targets)) if case.gains is None else case.gains
    best = np.sort(gains)[::-1][: len(DISCOUNT)]
    return gains / float((best * DISCOUNT[: len(best)]).sum())


def _row(
    scorers: dict[str, Scorer],
    case: Case,
    same: dict[str, np.ndarray],
    best_of_same: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One case's candidates (the best of every scorer, and the targets): their scores, which of
    them were seen, and where the targets are. `same` scorers say the same of every case."""
    own = {
        name: standard(scorer.score(case.history))
        for name, scorer in scorers.items()
        if name not in same
    }
    best = [top(vector, CANDIDATES_PER_SCORER) for vector in own.values()]
    candidates = np.unique(np.concatenate([*best, *best_of_same, case.targets]))
    vectors = own | same
    values = np.stack([vectors[name][candidates] for name in scorers])
    return values, np.isin(candidates, case.history.item), np.searchsorted(candidates, case.targets)
