"""The best of many scores, without putting the others in order."""

import numpy as np

GROUPS_EACH = 64  # scores that share one maximum, for a bound below which nothing can be best
FEW = 8  # times what is wanted: as many candidates may simply be sorted


def top(scores: np.ndarray, count: int) -> np.ndarray:
    """The numbers of the best items, best first; equal scores in catalogue order."""
    count = min(count, len(scores))
    if count <= 0:
        return np.zeros(0, dtype=np.int64)
    candidates = np.flatnonzero(scores >= _bound(scores, count))
    if len(candidates) > FEW * count:
        values = scores[candidates]
        candidates = candidates[values >= np.partition(values, -count)[-count]]
    if len(candidates) < count:  # not a number is never above a bound
        candidates = np.arange(len(scores))
    return candidates[np.argsort(-scores[candidates], kind="stable")[:count]]


def among_best(scores: np.ndarray, count: int) -> np.ndarray:
    """The same items as `top` gives, in catalogue order."""
    if len(scores) <= count:
        return np.arange(len(scores))
    least = np.partition(scores, -count)[-count]
    chosen = scores > least
    equal = np.flatnonzero(scores == least)
    chosen[equal[: count - np.count_nonzero(chosen)]] = True
    return np.flatnonzero(chosen)


def _bound(scores: np.ndarray, count: int) -> np.generic:
    """A score that at least `count` items reach."""
    groups = len(scores) // GROUPS_EACH
    if groups < count:
        return np.partition(scores, -count)[-count]
    highest = scores[: groups * GROUPS_EACH].reshape(GROUPS_EACH, groups).max(axis=0)
    return np.partition(highest, -count)[-count]
