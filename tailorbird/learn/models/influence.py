"""The most alike items in another order: likeness plus weight times popularity or freshness."""

import numpy as np

from tailorbird.learn.models.best import top

CANDIDATES = 200  # the most alike, which are put into another order
Weighted = tuple[float, np.ndarray]  # what a property counts, and its value for every item


def ordered(scores: np.ndarray, popular: Weighted | None, fresh: Weighted | None) -> np.ndarray:
    """The scores with the best candidates first, in their new order."""
    best = top(scores, CANDIDATES)
    best = best[scores[best] > 0]
    if not len(best) or not (popular or fresh):
        return scores
    total = scores[best] / scores[best].max()
    if popular:
        total = total + popular[0] * _spread(popular[1][best])
    if fresh:
        ages = fresh[1][best]
        oldest = np.nanmax(ages) if not np.isnan(ages).all() else 0.0
        total = total + fresh[0] * _spread(-np.nan_to_num(ages, nan=oldest))
    changed = scores.copy()
    changed[best] = scores.max() + total  # before everything else
    return changed


def _spread(values: np.ndarray) -> np.ndarray:
    """0 to 1 over the candidates; a constant becomes zeros."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros(len(values))
