"""Which rows a model is fitted on, by how long a user's history is and how often an item occurs.

Without a parameter every row counts: the service's own defaults (the longest 1 % of histories left
out) are not taken over, so that nothing is left out unasked.
Source: Personalize developer guide, "Hyperparameters" of User-Personalization and SIMS.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tailorbird.errors import Invalid
from tailorbird.learn.models.interactions import Interactions

HISTORY = ("min_user_history_length_percentile", "max_user_history_length_percentile")
ITEM_COUNT = ("min_item_interaction_count_percentile", "max_item_interaction_count_percentile")


def check(given: Mapping[str, str]) -> None:
    """Invalid when a percentile is no number from 0 to 1, or a lower bound is above its upper."""
    for low_name, high_name in (HISTORY, ITEM_COUNT):
        low, high = (_read(given, low_name, 0.0), _read(given, high_name, 1.0))
        if low > high:
            raise Invalid(f"{low_name} is {low:g}, above {high_name}, which is {high:g}")


def keep(data: Interactions, given: Mapping[str, str]) -> np.ndarray:
    """A mask of the rows within the bounds."""
    kept = np.ones(len(data), dtype=bool)
    for names, owner, count in (
        (HISTORY, data.user, len(data.users)),
        (ITEM_COUNT, data.item, data.item_count),
    ):
        if not any(name in given for name in names) or not len(data):
            continue
        lengths = np.bincount(owner, minlength=count)
        real = lengths[lengths > 0]
        low, high = (_read(given, names[0], 0.0), _read(given, names[1], 1.0))
        least, most = np.quantile(real, [low, high], method="inverted_cdf")
        kept &= (lengths[owner] >= least) & (lengths[owner] <= most)
    return kept


def _read(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        raise Invalid(f"{name} is {text!r}; a number from 0 to 1 is right") from None
    if not 0 <= value <= 1:
        raise Invalid(f"{name} is {text}; 0 to 1 is right")
    return value
