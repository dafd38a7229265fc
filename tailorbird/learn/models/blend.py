"""A blend of scorers, and the rows held out of a fit to choose its weights on (`search`)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np

from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import History, Interactions
from tailorbird.learn.models.personal import Personal, Repeat
from tailorbird.learn.models.popular import Popular

FALLBACK_WEIGHT = 1e-3  # popularity orders what no chosen scorer knows


class Scorer(Protocol):
    """One model: a score for every item of the catalogue, given a history."""

    def score(self, history: History) -> np.ndarray: ...
    def arrays(self) -> Arrays: ...


class Kernel(Protocol):
    """What adds up some of a blend's scorers quicker than they do themselves (`native`)."""

    names: frozenset[str]

    def add(self, history: History, total: np.ndarray) -> float | None: ...


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
    kernel: Kernel | None = field(default=None, repr=False)
    _base: np.ndarray | None = field(default=None, repr=False)

    def score(self, history: History) -> np.ndarray:
        total = self._same_for_all(history).copy()
        level = None if self.kernel is None else self.kernel.add(history, total)
        added = frozenset() if self.kernel is None or level is None else self.kernel.names
        level, work = level or 0.0, np.empty_like(total)
        for name, weight in self.weights.items():
            scorer = self.scorers[name]
            if not weight or name in added or isinstance(scorer, Popular):
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
