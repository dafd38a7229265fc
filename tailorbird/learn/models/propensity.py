"""How likely a user is to take an action soon: one logistic model for each action.

A user at a moment is what was done with items lately, the taste that shows in them, what is known
of the user, and what was done with this action and with all actions before.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from tailorbird.learn.models.ids import Arrays, Ids
from tailorbird.learn.models.interactions import SECONDS_PER_DAY, History, Interactions

TAKEN, NOT_TAKEN, VIEWED = 0, 1, 2
DEEDS = ("TAKEN", "NOT_TAKEN", "VIEWED")
LATELY_DAYS = 30.0  # how fast what was done loses its freshness: long ago is like never
KINDS = 8  # event types of items that count on their own
TASTE = 16  # dimensions of a taste
TASTE_ROWS = 50  # newest rows of a history that show it
RIDGE = 5.0
STEPS = 12
MAX_VALUES = 50  # values of one column of Users that count on their own


@dataclass(frozen=True)
class Deeds:
    """What one user did with actions, oldest first."""

    action: np.ndarray  # int numbers, -1: an action nobody knows
    deed: np.ndarray
    time: np.ndarray

    def before(self, moment: float) -> "Deeds":
        end = int(np.searchsorted(self.time, moment, side="left"))
        return Deeds(self.action[:end], self.deed[:end], self.time[:end])


NO_DEEDS = Deeds(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))


@dataclass(frozen=True)
class People:
    """How a record of Users becomes numbers: columns of numbers, and values of text columns."""

    numbers: dict[str, tuple[float, float]]  # column -> mean, deviation
    texts: dict[str, list[str]]

    @property
    def width(self) -> int:
        return len(self.numbers) + sum(len(values) for values in self.texts.values())

    @classmethod
    def of(cls, records: list[dict[str, Any]], numeric: list[str], texts: list[str]) -> "People":
        """`numeric` and `texts` are the columns to look at."""
        numbers = {}
        for name in numeric:
            values = np.array([one[name] for one in records if name in one], dtype=np.float64)
            if len(values):
                numbers[name] = (float(values.mean()), float(values.std()) or 1.0)
        kept = {}
        for name in texts:
            counts: dict[str, int] = {}
            for one in records:
                for part in str(one.get(name, "")).split("|"):
                    if part:
                        counts[part] = counts.get(part, 0) + 1
            kept[name] = sorted(counts, key=lambda value: (-counts[value], value))[:MAX_VALUES]
        return cls(numbers, kept)

    def vector(self, record: dict[str, Any]) -> np.ndarray:
        """Standardised numbers (0 for none), then 1 for each value the user has."""
        found = [
            (float(record[name]) - mean) / deviation if name in record else 0.0
            for name, (mean, deviation) in self.numbers.items()
        ]
        for name, values in self.texts.items():
            had = set(str(record.get(name, "")).split("|"))
            found += [1.0 if value in had else 0.0 for value in values]
        return np.array(found)

    def document(self) -> dict[str, Any]:
        return {"numbers": {k: list(v) for k, v in self.numbers.items()}, "texts": self.texts}

    @classmethod
    def read(cls, given: dict[str, Any]) -> "People":
        return cls({k: (v[0], v[1]) for k, v in given["numbers"].items()}, given["texts"])


@dataclass
class Propensity:
    """Weights for each action; an action without enough examples has no score."""

    actions: Ids
    known: np.ndarray  # bool [action]
    weights: np.ndarray  # [action, feature]
    offset: np.ndarray  # [action]
    bounds: (
        np.ndarray
    )  # [2, action, feature]: what the examples spanned; beyond it nothing is known
    taken: np.ndarray  # how often each action was taken
    taste: np.ndarray  # [item, TASTE]
    people: People

    def scores(self, history: History, deeds: Deeds, record: dict[str, Any]) -> np.ndarray:
        """The chance of every action, 0 where it is not known."""
        common = state(history, self.taste, self.people.vector(record))
        own = about(deeds, history.now, len(self.actions))
        every = np.concatenate([np.broadcast_to(common, (len(own), len(common))), own], axis=1)
        every = np.clip(every, self.bounds[0], self.bounds[1])
        total = self.offset + (self.weights * every).sum(axis=1)
        return np.where(self.known, 1.0 / (1.0 + np.exp(-np.clip(total, -30, 30))), 0.0)

    def arrays(self) -> Arrays:
        ids = {f"ids_{part}": array for part, array in self.actions.arrays().items()}
        return ids | {
            "known": self.known,
            "weights": self.weights,
            "offset": self.offset,
            "bounds": self.bounds,
            "taken": self.taken,
            "taste": self.taste,
        }

    @classmethod
    def load(cls, arrays: Arrays, people: dict[str, Any]) -> "Propensity":
        actions = Ids(arrays["ids_text"], arrays["ids_offsets"])
        return cls(
            actions,
            arrays["known"],
            arrays["weights"],
            arrays["offset"],
            arrays["bounds"],
            arrays["taken"],
            arrays["taste"],
            People.read(people),
        )


def state(history: History, taste: np.ndarray, person: np.ndarray) -> np.ndarray:
    """A user at `history.now`, whatever the action."""
    age = np.maximum(history.now - history.time, 0.0) / SECONDS_PER_DAY
    lately = np.minimum(history.kind[age < LATELY_DAYS], KINDS - 1)
    counts = np.log1p(np.bincount(np.maximum(lately, 0), minlength=KINDS))
    fresh = float(np.exp(-age.min() / LATELY_DAYS)) if len(age) else 0.0
    whole = [np.log1p(len(history)), fresh]
    items = history.item[-TASTE_ROWS:]
    mean = taste[items].mean(axis=0) if len(items) else np.zeros(taste.shape[1])
    return np.concatenate([counts, whole, mean, person])


def about(deeds: Deeds, moment: float, count: int) -> np.ndarray:
    """What a user did with each action and with all of them before a moment: [action, 8]."""
    found = np.zeros((count, 8))
    per_deed = [
        np.bincount(deeds.action[(deeds.deed == kind) & (deeds.action >= 0)], minlength=count)
        for kind in (TAKEN, NOT_TAKEN, VIEWED)
    ]
    for n, counts in enumerate(per_deed):
        found[:, n] = np.log1p(counts)
        found[:, 5 + n] = np.log1p(int((deeds.deed == n).sum()))
    for n, kinds in ((3, (TAKEN,)), (4, (NOT_TAKEN, VIEWED))):
        rows = np.isin(deeds.deed, kinds) & (deeds.action >= 0)
        days = np.maximum(moment - deeds.time[rows], 0.0) / SECONDS_PER_DAY
        np.maximum.at(found[:, n], deeds.action[rows], np.exp(-days / LATELY_DAYS))
    return found


def tastes(data: Interactions) -> np.ndarray:
    """Items in a space of few dimensions, by the users they share."""
    matrix = sparse.csr_matrix(
        (np.ones(len(data), dtype=np.float32), (data.user, data.item)),
        shape=(len(data.users), data.item_count),
    )
    matrix.sum_duplicates()
    matrix.data = np.log1p(matrix.data)
    width = min(TASTE, min(matrix.shape) - 1)
    found = np.zeros((data.item_count, TASTE))
    if width >= 1:
        start = np.random.default_rng(0).standard_normal(min(matrix.shape))
        _, strength, right = svds(matrix.astype(np.float64), k=width, v0=start)
        scale = np.sqrt(np.maximum(strength, 0.0))
        found[:, :width] = (right * scale[:, None]).T
    return found


def logistic(features: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and offset by Newton's steps, ridge on standardised features."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    used = deviation > 1e-9
    scaled = (features[:, used] - mean[used]) / deviation[used]
    design = np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)
    penalty = np.full(design.shape[1], RIDGE)
    penalty[-1] = 1e-6
    share = np.clip(label.mean(), 1e-3, 1 - 1e-3)
    weights = np.zeros(design.shape[1])
    weights[-1] = np.log(share / (1 - share))
    for _ in range(STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (label - chance) - penalty * weights
        spread = chance * (1 - chance)
        curve = (design * spread[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        weights += step
        if float(np.abs(step).max()) < 1e-6:
            break
    found = np.zeros(features.shape[1])
    found[used] = weights[:-1] / deviation[used]
    return found, float(weights[-1] - mean @ found)


def area(score: np.ndarray, label: np.ndarray) -> float | None:
    """Area under the ROC curve; None where only one kind of label is there."""
    positive, negative = int(label.sum()), int((~label).sum())
    if not positive or not negative:
        return None
    order = np.argsort(score, kind="stable")
    rank = np.empty(len(score))
    rank[order] = np.arange(1, len(score) + 1)
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.bincount(place, rank) / count)[place]
    return float((rank[label].sum() - positive * (positive + 1) / 2) / (positive * negative))
