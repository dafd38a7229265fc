"""Items that a model has hardly seen, or not at all: what stands for their score, their chance."""

import numpy as np
from scipy import sparse

CATEGORY_SHRINK = 3.0  # known items of a category that its mean is mixed with the overall mean of
DRAWN = 200  # young items that take part in one answer
HALF_KNOWN = 20.0  # interactions that make an item half known


def expected(
    scores: np.ndarray,
    of_known: sparse.csr_matrix,
    of_new: sparse.csr_matrix,
    count: np.ndarray,
    having: np.ndarray,
) -> np.ndarray:
    """The mean score of known items in a new item's categories; the least without any.

    `of_known`: categories x known items; `of_new`: new items x categories; `count`: known items of
    each category; `having`: categories of each new item.
    """
    total = of_known @ scores
    mean = (total + CATEGORY_SHRINK * float(scores.mean())) / (count + CATEGORY_SHRINK)
    found = (of_new @ mean) / np.maximum(having, 1.0)
    return np.where(having > 0, found, scores.min()).astype(scores.dtype)


def drawn(count: int, random: np.random.Generator) -> np.ndarray:
    """Which of `count` young items take part in an answer, ascending."""
    if count <= DRAWN:
        return np.arange(count)
    return np.sort(random.choice(count, DRAWN, replace=False))


def mixed(
    scores: np.ndarray,
    young: np.ndarray,
    shown: np.ndarray,
    taken: np.ndarray,
    uses: np.ndarray,
    weight: float,
    random: np.random.Generator,
) -> np.ndarray:
    """The scores with young items drawn in, on the same scale: by how often each was shown and
    then taken, and by its `uses` in the training (none for numbers beyond)."""
    low, high = float(scores.min()), float(scores.max())
    chance = random.beta(1 + taken, 1 + np.maximum(shown - taken, 0))
    use = np.array([uses[n] if n < len(uses) else 0 for n in young.tolist()])
    bonus = weight * (high - low) * chance * HALF_KNOWN / (HALF_KNOWN + use)
    total = (1 - weight) * scores + weight * low
    total[young] += bonus
    return total.astype(scores.dtype)
