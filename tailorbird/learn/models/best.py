"""The best of many scores, without putting the others in order."""

import numpy as np

GROUP_SIZES = (64, 16, 4)  # scores that share one maximum: a bound below which nothing is best
SORTED = 4_096  # scores: so few are sorted quicker than they are parted
FEW = 8  # times what is wanted: as many candidates may simply be sorted


def top(scores: np.ndarray, count: int, passes: np.ndarray | None = None) -> np.ndarray:
    """The numbers of the best items (of those that pass), best first; equal scores in catalogue
    order."""
    if passes is not None:
        which = np.flatnonzero(passes)
        return which[top(scores[which], count)]
    count = min(count, len(scores))
    if count <= 0:
        return np.zeros(0, dtype=np.int64)
    candidates = np.flatnonzero(scores >= _bound(scores, count))
    if len(candidates) > FEW * count:
        values = scores[candidates]
        candidates = candidates[values >= _at(values, count)]
    if len(candidates) < count:  # not a number is never above a bound
        candidates = np.arange(len(scores))
    return candidates[np.argsort(-scores[candidates], kind="stable")[:count]]


def softmax(scores: np.ndarray) -> tuple[float, float]:
    """The highest score, and the sum of e to the power of each less the highest."""
    highest = scores.max()
    return float(highest), float(np.exp(scores - highest).sum(dtype=np.float64))


def among_best(scores: np.ndarray, count: int) -> np.ndarray:
    """The same items as `top` gives, in catalogue order."""
    if len(scores) <= count:
        return np.arange(len(scores))
    least = _at(scores, count)
    chosen = scores > least
    equal = np.flatnonzero(scores == least)
    chosen[equal[: count - np.count_nonzero(chosen)]] = True
    return np.flatnonzero(chosen)


def _bound(scores: np.ndarray, count: int) -> np.generic:
    """A score that at least `count` items reach."""
    for each in GROUP_SIZES:
        groups = len(scores) // each
        if groups >= count:
            highest = scores[: groups * each].reshape(each, groups).max(axis=0)
            return _at(highest, count)
    return _at(scores, count)


def _at(scores: np.ndarray, count: int) -> np.generic:
    """The score of the item that is the `count`th best."""
    if len(scores) <= SORTED:
        return np.sort(scores)[-count]
    return np.partition(scores, -count)[-count]
