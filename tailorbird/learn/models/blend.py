"""A blend of scorers whose weights a greedy search found on rows held out of the fit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np

from tailorbird.learn.models.best import top
from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import History, Interactions
from tailorbird.learn.models.personal import Personal, Repeat
from tailorbird.learn.models.popular import Popular

GRID = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SEEN_GRID = (0.0, 0.5, 2.0, 8.0, 1e3)  # the last is: never again while others are left
PASSES = 2
CANDIDATES_PER_SCORER = 100
MIN_GAIN = 0.002  # relative; smaller gains are noise
WITHOUT_CASES = {"rules": 1.0, "popular": 0.4}  # too little data to choose by
FALLBACK_WEIGHT = 1e-3  # popularity orders what no chosen scorer knows


class Scorer(Protocol):
    """One model: a score for every item of the catalogue, given a history."""

    def score(self, history: History) -> np.ndarray: ...
    def arrays(self) -> Arrays: ...


Fit = Callable[[Interactions], Scorer]


@dataclass(frozen=True)
class Case:
    """A held-out user: what was known, and what came next."""

    user: int
    history: History
    targets: np.ndarray  # distinct item numbers
    gains: np.ndarray | None = None  # what each target is worth; 1 when left out


@dataclass
class Blend:
    """The weighted sum of standardised scores, less a penalty for items already in the history."""

    scorers: dict[str, Scorer]
    weights: dict[str, float]
    seen_penalty: float = 0.0
    fallback: str = "popular"
    alone: dict[str, float] = field(default_factory=dict)  # NDCG@25 of each scorer, held out
    _base: np.ndarray | None = field(default=None, repr=False)

    def score(self, history: History) -> np.ndarray:
        total = self._same_for_all(history).copy()
        level, work = 0.0, np.empty_like(total)
        for name, weight in self.weights.items():
            scorer = self.scorers[name]
            if not weight or isinstance(scorer, Popular):
                continue
            if isinstance(scorer, Personal | Repeat):
                items, scores = scorer.of_history(history)
                factor, mean = _scale(scores, len(total))
                total[items] += np.float32(weight * factor) * scores
            else:
                scores = scorer.score(history)
                factor, mean = _scale(scores, len(total))
                total += np.multiply(scores, np.float32(weight * factor), out=work)
            level += weight * factor * mean
        total -= np.float32(level)
        if self.seen_penalty and len(history):
            total[history.item] -= self.seen_penalty * len(self.weights)
        return total

    def _same_for_all(self, history: History) -> np.ndarray:
        """What popularity adds, which no history changes."""
        if self._base is None:
            base = FALLBACK_WEIGHT * standard(self.scorers[self.fallback].score(history))
            for name, weight in self.weights.items():
                if isinstance(self.scorers[name], Popular):
                    base += weight * standard(self.scorers[name].score(history))
            self._base = base
        return self._base

    def parts(self, history: History) -> dict[str, np.ndarray]:
        """What each scorer adds to each item's score (for explanations)."""
        return {
            name: weight * standard(self.scorers[name].score(history))
            for name, weight in self.weights.items()
            if weight
        }


def standard(scores: np.ndarray) -> np.ndarray:
    """Zero mean, unit deviation; a constant becomes zeros."""
    factor, mean = _scale(scores, len(scores))
    return (scores - np.float32(mean)) * np.float32(factor)


def _scale(scores: np.ndarray, size: int) -> tuple[float, float]:
    """One by the deviation of scores (0 when all are the same), and their mean; where they are less
    than `size`, the others are 0."""
    count = max(size, 1)
    mean = float(np.dot(scores, _ones(len(scores)))) / count
    spread = max(float(np.dot(scores, scores)) / count - mean * mean, 0.0) ** 0.5
    return (0.0 if spread < 1e-6 * max(abs(mean), 1e-6) else 1.0 / spread), mean


@lru_cache(maxsize=16)
def _ones(count: int) -> np.ndarray:
    """A product with these is the quickest sum there is."""
    return np.ones(count, dtype=np.float32)


def search(scorers: dict[str, Scorer], cases: list[Case], fallback: str = "popular") -> Blend:
    """The blend of these fitted scorers that ranks the cases' targets best (mean NDCG@25)."""
    names = list(scorers)
    if not cases:
        chosen = {name: weight for name, weight in WITHOUT_CASES.items() if name in scorers}
        return Blend({name: scorers[name] for name in {*chosen, fallback}}, chosen, 0.0, fallback)
    table = _Table.of(scorers, cases)
    one = np.eye(len(names))
    penalty = max((SEEN_GRID[0], SEEN_GRID[-1]), key=lambda value: max(table.alone(value)))
    alone = table.alone(penalty)
    order = [n for n in np.argsort(-np.array(alone), kind="stable").tolist() if alone[n] > 0.0]
    order = [n for n in order or [0] if not table.repeats(n)]
    weights, best = one[order[0]], alone[order[0]]
    for _ in range(PASSES):
        for n in order:
            others = weights * (1.0 - one[n])
            rest, count = table.total(others, 0.0), int(np.count_nonzero(others))
            for value in GRID:
                if value == weights[n] or not (value or count):
                    continue
                total = rest + np.float32(value) * table.scores[n]
                quality = table.quality(table.less(total, penalty, count + (value > 0)))
                if quality > best * (1 + MIN_GAIN):
                    best, weights = quality, others + value * one[n]
        total, count = table.total(weights, 0.0), int(np.count_nonzero(weights))
        for value in SEEN_GRID:
            quality = table.quality(table.less(total, value, count))
            if quality > best * (1 + MIN_GAIN):
                best, penalty = quality, value
    chosen = {name: float(w) for name, w in zip(names, weights, strict=True) if w}
    kept = {name: scorers[name] for name in scorers if name in chosen or name == fallback}
    reached = dict(zip(names, alone, strict=True)) | {"blend": best}
    return Blend(kept, chosen, penalty, fallback, reached)


def hold_out(data: Interactions, limit: int, seed: int) -> tuple[np.ndarray, list[Case]]:
    """Rows to fit on (a mask) and cases to choose weights on.

    A cut in time where people are active on both sides of it, else each user's newest tenth.
    """
    return _cut_in_time(data, limit, seed) or _newest_tenth(data, limit, seed)


TIME_CUT_QUANTILE = 0.9
MIN_CASES = 50
MIN_CASE_SHARE = 0.1
NEXT_ROWS = 3  # what comes next: so many rows, and what came in the moment of the last of them
LATER_GAIN = 0.3  # of what came after that moment, beside what came in the next one
MAX_TARGET_ROWS = 20


def _cut_in_time(data: Interactions, limit: int, seed: int) -> tuple[np.ndarray, list[Case]] | None:
    if len(data) == 0:
        return None
    cut = float(np.quantile(data.time, TIME_CUT_QUANTILE))
    before = data.time < cut
    known = np.bincount(data.user[before], minlength=len(data.users))
    later = np.bincount(data.user[~before], minlength=len(data.users))
    users = np.flatnonzero((known >= 2) & (later >= 1))
    active = np.count_nonzero(known + later)
    if len(users) < max(MIN_CASES, MIN_CASE_SHARE * active):
        return None
    cases = []
    for user in _sample(users, limit, seed):
        end = int(data.offsets[user] + known[user])
        cases.append(Case(int(user), data.history(user, end, cut), *_next(data, user, end)))
    return before, cases


def _newest_tenth(data: Interactions, limit: int, seed: int) -> tuple[np.ndarray, list[Case]]:
    lengths = np.diff(data.offsets)
    users = _sample(np.flatnonzero(lengths >= 2), limit, seed)
    keep = np.ones(len(data), dtype=bool)
    cases = []
    for user in users:
        stop = int(data.offsets[user + 1])
        end = stop - max(1, round(0.1 * int(lengths[user])))
        keep[end:stop] = False
        cases.append(Case(int(user), data.history(user, end), *_next(data, user, end)))
    return keep, cases


def _next(data: Interactions, user: int, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The items a user came to next, from this row on, and what each is worth."""
    stop = min(int(data.offsets[user + 1]), row + MAX_TARGET_ROWS)
    third = min(row + NEXT_ROWS, stop) - 1
    stop = row + int(np.searchsorted(data.time[row:stop], data.time[third], side="right"))
    items = np.unique(data.item[row:stop])
    at_once = np.isin(items, data.item[row:stop][data.time[row:stop] == data.time[row]])
    return items, np.where(at_once, 1.0, LATER_GAIN)


def _sample(users: np.ndarray, limit: int, seed: int) -> np.ndarray:
    if len(users) <= limit:
        return users
    return np.sort(np.random.default_rng(seed).choice(users, size=limit, replace=False))


@dataclass
class _Table:
    """Standardised scores of the items worth ranking, for every case and scorer."""

    scores: np.ndarray  # [scorer, case, candidate]
    seen: np.ndarray  # [case, candidate]
    target: np.ndarray  # [case, place]: a target's candidate, or the one that is worst by far
    gain: np.ndarray  # [case, place]: what that target adds when it is first, of 1 for all at best

    @classmethod
    def of(cls, scorers: dict[str, Scorer], cases: list[Case]) -> "_Table":
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
