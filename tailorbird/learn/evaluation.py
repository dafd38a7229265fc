"""Quality of a version on users kept out of its fit, split as Personalize does.

90 % of users train; the others' oldest 90 % is the input, their newest 10 % had to be found.

Source: Personalize developer guide, "Evaluating a solution version with metrics".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tailorbird.learn.models.best import top
from tailorbird.learn.models.blend import Blend, Case
from tailorbird.learn.models.interactions import History, Interactions
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.models.scores import Ranked, honest_metrics, personalize_metrics
from tailorbird.learn.recipes.recipe import RELATED_ITEMS, Recipe

TEST_SHARE = 0.1
INPUT_SHARE = 0.9
DEPTH = 25
MAX_TEST_USERS = 2_000


def split(data: Interactions, seed: int) -> tuple[np.ndarray, list[Case]]:
    """A mask of the rows to train on, and the test users' cases."""
    lengths = np.diff(data.offsets)
    users = np.flatnonzero(lengths >= 2)
    count = min(max(1, round(TEST_SHARE * len(users))), MAX_TEST_USERS, max(len(users) - 1, 0))
    chosen = np.random.default_rng(seed).permutation(users)[:count]
    test = np.zeros(len(data.users), dtype=bool)
    test[chosen] = True
    return ~test[data.user], [case(data, int(user)) for user in np.sort(chosen)]


def case(data: Interactions, user: int) -> Case:
    """One user's oldest 90 % (at least one row) and the items of the rest."""
    start, stop = int(data.offsets[user]), int(data.offsets[user + 1])
    cut = min(max(start + round(INPUT_SHARE * (stop - start)), start + 1), stop - 1)
    return Case(user, data.history(user, cut), np.unique(data.item[cut:stop]))


def measure(
    recipe: Recipe, blend: Blend, train: Interactions, cases: list[Case], catalogue: int
) -> dict[str, Any]:
    """Personalize's metrics, the honest ones, and both for popularity on the same split."""
    popular = top(Popular.fit(train).scores, DEPTH)
    ranked = [Ranked(top(scores_for(recipe, blend, case), DEPTH), case.targets) for case in cases]
    baseline = [Ranked(popular, case.targets) for case in cases]
    return {
        "metrics": personalize_metrics(ranked, catalogue),
        "honest": honest_metrics(ranked),
        "popularity": personalize_metrics(baseline, catalogue),
        "popularity_honest": honest_metrics(baseline),
    }


def scores_for(recipe: Recipe, blend: Blend, case: Case) -> np.ndarray:
    """The recipe's scores for a case.

    Related items are those beside the newest items of the input, joined, without the input: the
    service's saved precision is out of reach of the list of a single item.
    """
    if recipe.type == RELATED_ITEMS:
        beside: Callable[[History], np.ndarray] = blend.scorers["items"].beside_newest  # type: ignore[attr-defined]
        return beside(case.history)
    return blend.score(case.history)
