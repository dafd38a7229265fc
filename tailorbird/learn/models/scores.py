"""Quality of ranked lists: Personalize's definitions, and the usual ones beside them.

Personalize divides NDCG by the best placement of the hits that were found, not of everything that
was relevant (its guide's worked example and its notebooks' saved numbers fit only this reading).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

DEPTHS = (5, 10, 25)
DRAWS = 1_000  # of the users, for an interval
DISCOUNT = 1.0 / np.log2(np.arange(2, 27))


@dataclass(frozen=True)
class Ranked:
    """One user's list of item numbers, best first, and what was relevant."""

    items: np.ndarray
    relevant: np.ndarray


def personalize_metrics(lists: Iterable[Ranked], catalogue: int) -> dict[str, float]:
    """The metrics of GetSolutionMetrics, four decimals."""
    hits, shown = [], set()
    for one in lists:
        top = one.items[:25]
        shown.update(top.tolist())
        row = np.zeros(25, dtype=bool)
        row[: len(top)] = np.isin(top, one.relevant)
        hits.append(row)
    table = np.array(hits) if hits else np.zeros((1, 25), dtype=bool)
    result = {
        "coverage": len(shown) / max(catalogue, 1),
        "mean_reciprocal_rank_at_25": float(reciprocal_rank(table).mean()),
    }
    for depth in DEPTHS:
        result[f"normalized_discounted_cumulative_gain_at_{depth}"] = float(
            ndcg_of_hits(table[:, :depth]).mean()
        )
    for depth in DEPTHS:
        result[f"precision_at_{depth}"] = float(table[:, :depth].mean())
    return {name: round(value, 4) for name, value in result.items()}


def honest_metrics(lists: Iterable[Ranked]) -> dict[str, float]:
    """Recall, hit rate and NDCG over everything that was relevant, at several depths.

    Each comes with the bounds of its 95 % interval (`_low`, `_high`), by drawing users anew.
    """
    rows = list(lists)
    table = honest_table(rows)
    found: dict[str, float] = {}
    values = np.stack(list(table.values()), axis=1)
    means = values.mean(axis=0)
    low, high = interval(values)
    for n, name in enumerate(table):
        found[name] = round(float(means[n]), 4)
        found[f"{name}_low"] = round(float(low[n]), 4)
        found[f"{name}_high"] = round(float(high[n]), 4)
    ndcg = table["ndcg_at_10"]
    found["ndcg_at_10_standard_error"] = round(float(ndcg.std() / np.sqrt(len(ndcg))), 4)
    return found | {"users": float(len(rows))}


def honest_table(rows: list[Ranked]) -> dict[str, np.ndarray]:
    """The honest metrics of every user."""
    table: dict[str, np.ndarray] = {}
    for depth in DEPTHS:
        hits = [np.isin(one.relevant, one.items[:depth]) for one in rows]
        recall = [hit.mean() if len(hit) else 0.0 for hit in hits]
        table[f"ndcg_at_{depth}"] = np.array([_ndcg(one, depth) for one in rows] or [0.0])
        table[f"recall_at_{depth}"] = np.array(recall or [0.0])
        table[f"hit_rate_at_{depth}"] = np.array([float(hit.any()) for hit in hits] or [0.0])
    return table


def interval(values: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bounds that 95 % of the means of [user, metric] keep to when the users are drawn anew."""
    count = len(values)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
    means = drawn @ values / count
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return low, high


def reciprocal_rank(hits: np.ndarray) -> np.ndarray:
    """1 / rank of the first hit of every row, 0 without one."""
    first = hits.argmax(axis=1)
    return np.where(hits.any(axis=1), 1.0 / (first + 1), 0.0)


def ndcg_of_hits(hits: np.ndarray) -> np.ndarray:
    """NDCG of every row, normalised by the best placement of the hits in the row."""
    gain = (hits * DISCOUNT[: hits.shape[1]]).sum(axis=1)
    best = np.concatenate(([0.0], np.cumsum(DISCOUNT)))[hits.sum(axis=1)]
    return np.divide(gain, best, out=np.zeros(len(hits)), where=best > 0)


def _ndcg(one: Ranked, depth: int) -> float:
    hits = np.isin(one.items[:depth], one.relevant)
    wanted = min(len(one.relevant), depth)
    if not wanted:
        return 0.0
    return float((hits * DISCOUNT[: len(hits)]).sum() / DISCOUNT[:wanted].sum())
