"""Quality of user segments: each user's newest 20 % had to be found from the oldest 80 %.

For every item the 1 % of users with the highest scores is its segment; hits are the users in it
who did go on to the item.
Source: Personalize developer guide, "Evaluating a solution version with metrics".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tailorbird.learn.models.blend import Blend, Case
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.popular import Popular

INPUT_SHARE = 0.8
SEGMENT_SHARE = 0.01
MAX_USERS = 2_000
MAX_ITEMS = 500


def split(data: Interactions, seed: int) -> tuple[np.ndarray, list[Case]]:
    """A mask of the rows to train on, and the users' cases."""
    lengths = np.diff(data.offsets)
    users = np.flatnonzero(lengths >= 2)
    if len(users) > MAX_USERS:
        users = np.sort(np.random.default_rng(seed).permutation(users)[:MAX_USERS])
    keep = np.ones(len(data), dtype=bool)
    cases = []
    for user in users.tolist():
        start, stop = int(data.offsets[user]), int(data.offsets[user + 1])
        cut = min(max(start + round(INPUT_SHARE * (stop - start)), start + 1), stop - 1)
        keep[cut:stop] = False
        cases.append(Case(user, data.history(user, cut), np.unique(data.item[cut:stop])))
    return keep, cases


def measure(blend: Blend, train: Interactions, cases: list[Case], seed: int) -> dict[str, Any]:
    """Personalize's three metrics, and the same for popularity (the same score for everybody)."""
    wanted = np.unique(np.concatenate([case.targets for case in cases] or [np.zeros(0, int)]))
    if len(wanted) > MAX_ITEMS:
        wanted = np.sort(np.random.default_rng(seed).permutation(wanted)[:MAX_ITEMS])
    relevant = np.array([np.isin(wanted, case.targets) for case in cases])
    scores = np.array([shares(blend.score(case.history))[wanted] for case in cases])
    popular = Popular.fit(train)
    activity = np.array([len(case.history) for case in cases], dtype=float)
    same = activity[:, None] * shares(popular.scores)[wanted][None, :]
    return {
        "metrics": _metrics(scores, relevant),
        "honest": {"users": len(cases), "items": len(wanted)},
        "popularity": _metrics(same, relevant),
    }


def shares(scores: np.ndarray) -> np.ndarray:
    """Scores as shares of the catalogue that add up to 1."""
    raised = np.exp((scores - scores.max()).astype(np.float64)) if len(scores) else scores
    return raised / max(float(raised.sum()), 1e-300)


def _metrics(scores: np.ndarray, relevant: np.ndarray) -> dict[str, float]:
    """Means over items; `scores` and `relevant` are users x items."""
    if not scores.size:
        return {"coverage": 0.0, "hits_at_1_percent": 0.0, "recall_at_1_percent": 0.0}
    size = max(1, round(SEGMENT_SHARE * len(scores)))
    segments = np.argpartition(-scores, size - 1, axis=0)[:size]
    hits = np.take_along_axis(relevant, segments, axis=0).sum(axis=0)
    recall = hits / np.maximum(relevant.sum(axis=0), 1)
    found = {
        "coverage": len(np.unique(segments)) / len(scores),
        "hits_at_1_percent": float(hits.mean()),
        "recall_at_1_percent": float(recall.mean()),
    }
    return {name: round(value, 4) for name, value in found.items()}
