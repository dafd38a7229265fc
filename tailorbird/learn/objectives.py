"""Optimization objectives: items with more of a number (price, minutes) move up, by sensitivity.

The number's standardised value joins the blend as one more score.
Source: Personalize developer guide, "Optimizing a solution for an additional objective".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tailorbird.errors import Invalid
from tailorbird.learn import parts
from tailorbird.learn.models.best import top
from tailorbird.learn.models.blend import Blend, Case, standard
from tailorbird.learn.models.ids import Ids
from tailorbird.learn.models.popular import Popular

NAME = "objective"
WEIGHT = {"OFF": 0.0, "LOW": 0.1, "MEDIUM": 0.3, "HIGH": 1.0}  # share of the blend's own weights
DEPTH = 25


def values(items: parts.Part, column: str, ids: Ids) -> np.ndarray:
    """The column's value for every item of the catalogue, NaN for none."""
    if column not in items.numbers:
        raise Invalid(f"optimizationObjective: Items has no column of numbers {column}")
    found = np.full(len(ids), np.nan)
    codes, names = items.strings["ITEM_ID"]
    place = np.array([ids.find(name) for name in names] or [-1])[codes]
    known = place >= 0
    found[place[known]] = items.numbers[column][known]
    return found


def joined(blend: Blend, worth: np.ndarray, sensitivity: str) -> Blend:
    """The blend with the objective as one more score."""
    weight = WEIGHT[sensitivity] * (sum(blend.weights.values()) or 1.0)
    if not weight:
        return blend
    mean = float(np.nanmean(worth)) if not np.isnan(worth).all() else 0.0
    scores = standard(np.nan_to_num(worth, nan=mean).astype(np.float32))
    return Blend(
        {**blend.scorers, NAME: Popular(scores)},
        {**blend.weights, NAME: weight},
        blend.seen_penalty,
        blend.fallback,
        blend.alone,
    )


def without(blend: Blend) -> Blend:
    """The blend as it was chosen."""
    scorers = {name: one for name, one in blend.scorers.items() if name != NAME}
    weights = {name: one for name, one in blend.weights.items() if name != NAME}
    return Blend(scorers, weights, blend.seen_penalty, blend.fallback, blend.alone)


def reward(blend: Blend, cases: list[Case], worth: np.ndarray) -> dict[str, Any]:
    """average_rewards_at_k: the share of a user's possible rewards that the list brought.

    A column with values below zero (AWS's notebook: royalties to pay) counts from its least one.
    """
    least = min(float(np.nanmin(worth, initial=0.0)), 0.0)
    gains = np.nan_to_num(worth - least)
    shares = []
    for case in cases:
        best = top(blend.score(case.history), DEPTH)
        possible = np.sort(gains[case.targets])[::-1][:DEPTH].sum()
        if possible > 0:
            shares.append(gains[best[np.isin(best, case.targets)]].sum() / possible)
    return {"average_rewards_at_k": round(float(np.mean(shares or [0.0])), 4)}
