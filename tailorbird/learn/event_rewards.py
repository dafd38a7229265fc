"""NDCG where an event counts by its weight (eventsConfig): a hit brings weight / mean weight.

Normalised, as Personalize's NDCG is, by the best placement of the hits that were found.
"""

from __future__ import annotations

import numpy as np

from tailorbird.learn.models.best import top
from tailorbird.learn.models.blend import Blend, Case
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.scores import DEPTHS, DISCOUNT

NAME = "normalized_discounted_cumulative_gain_with_event_weights_at_{depth}"


def measure(blend: Blend, data: Interactions, cases: list[Case]) -> dict[str, float]:
    """The metric at 5, 10 and 25; `data` holds the cases' rows with their weights."""
    mean = float(data.weight.mean()) if len(data) else 1.0
    found: dict[str, list[float]] = {NAME.format(depth=depth): [] for depth in DEPTHS}
    for case in cases:
        rewards = _rewards(data, case, mean or 1.0)
        gains = np.array([rewards.get(n, 0.0) for n in top(blend.score(case.history), 25).tolist()])
        for depth in DEPTHS:
            here = gains[:depth]
            best = float((np.sort(here)[::-1] * DISCOUNT[: len(here)]).sum())
            value = float((here * DISCOUNT[: len(here)]).sum()) / best if best > 0 else 0.0
            found[NAME.format(depth=depth)].append(value)
    return {name: round(float(np.mean(values or [0.0])), 4) for name, values in found.items()}


def _rewards(data: Interactions, case: Case, mean: float) -> dict[int, float]:
    """What each item of the truth brings."""
    stop = int(data.offsets[case.user + 1])
    start = int(data.offsets[case.user]) + len(case.history)
    rewards: dict[int, float] = {}
    for item, weight in zip(
        data.item[start:stop].tolist(), data.weight[start:stop].tolist(), strict=True
    ):
        rewards[item] = max(rewards.get(item, 0.0), weight / mean)
    return rewards
