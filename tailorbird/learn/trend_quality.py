"""trend_prediction_accuracy: how much of the newest interval's growth the trending items had.

The trend is found without the newest interval; the figure is the growth of its first items over
the most that as many items could have had.
Source: Personalize developer guide, "Evaluating a solution version with metrics".
"""

from __future__ import annotations

import numpy as np

from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.scores import DEPTHS
from tailorbird.learn.recipes import trending_now
from tailorbird.learn.recipes.recipe import Options

DEPTH = DEPTHS[-1]


def measure(data: Interactions, options: Options) -> dict[str, float]:
    interval = trending_now.interval(options)
    newest = float(data.time.max()) if len(data) else 0.0
    last = data.time > newest - interval
    before = (data.time > newest - 2 * interval) & ~last
    if not last.any() or last.all():
        return {"trend_prediction_accuracy": 0.0}
    counts = [np.bincount(data.item[rows], minlength=data.item_count) for rows in (last, before)]
    growth = np.maximum(counts[0].astype(float) - counts[1], 0.0)
    most = float(np.sort(growth)[::-1][:DEPTH].sum())
    scores = trending_now.scores(data.keep(~last), options)
    best = np.argsort(-scores, kind="stable")[:DEPTH]
    share = float(growth[best].sum()) / most if most > 0 else 0.0
    return {"trend_prediction_accuracy": round(share, 4)}
