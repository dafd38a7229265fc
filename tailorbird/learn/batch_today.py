"""Lines answered over all items of today, those that came since the training, too.

What the store says of them is put into arrays when a job begins; a line is then answered from these
and the model alone, here or on a Spark executor.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from tailorbird.learn import batch_lines
from tailorbird.learn.artifacts import Trained
from tailorbird.learn.batch_lines import Given, Told, Wanted, rounded, text
from tailorbird.learn.models import influence, young
from tailorbird.learn.models.best import top
from tailorbird.learn.models.influence import Weighted
from tailorbird.learn.segment_quality import shares


@dataclass(frozen=True)
class Categories:
    """Which items share which categories, as the shelf has it."""

    of_known: sparse.csr_matrix  # categories x items of the model
    of_cold: sparse.csr_matrix  # items that came since x categories
    count: np.ndarray  # items of the model in each category
    having: np.ndarray  # categories of each item that came since

    def expected(self, scores: np.ndarray) -> np.ndarray:
        """The mean score of known items in an item's categories; the least without any."""
        return young.expected(scores, self.of_known, self.of_cold, self.count, self.having)


@dataclass(frozen=True)
class Explored:
    """Young items, and what became of them where they were shown."""

    weight: float
    young: np.ndarray
    shown: np.ndarray
    taken: np.ndarray

    def mixed(self, scores: np.ndarray, uses: np.ndarray, user: str) -> np.ndarray:
        """The scores with young items drawn in: the same for the same user in every process."""
        if not len(self.young):
            return scores
        random = np.random.default_rng(zlib.crc32(user.encode()))
        n = young.drawn(len(self.young), random)
        shown, taken = self.shown[n], self.taken[n]
        return young.mixed(scores, self.young[n], shown, taken, uses, self.weight, random)


@dataclass(frozen=True)
class Today:
    """What lines of a job need to know beside the model."""

    cold: list[str]  # items that came since the training, numbered behind the model's
    categories: Categories | None = None
    explored: Explored | None = None
    vectors: np.ndarray | None = None  # of what cold items say of themselves
    popular: Weighted | None = None  # ranking influence
    fresh: Weighted | None = None

    def __len__(self) -> int:
        return len(self.cold)


def answered(
    trained: Trained, wanted: Wanted, today: Today | None, given: Given, told: Told
) -> dict[str, Any]:
    """The `output` of a line, from the items of today where they are given."""
    if told.output is not None:
        return told.output
    if today is not None and not given.get("itemList"):
        return recommended(trained, wanted, today, given, told)
    if told.passes is not None:
        told = told._replace(passes=told.passes[: len(trained.items)])
    return batch_lines.recommended(trained, wanted, given, told)


def recommended(
    trained: Trained, wanted: Wanted, today: Today, given: Given, told: Told
) -> dict[str, Any]:
    """The `output` of a line over all items; beside an item it is one of the model's."""
    if wanted.beside:
        own = trained.items.find(text(given, "itemId"))
        if given.get("userId") is not None:
            text(given, "userId")
        scores = beside(trained, today, own)
        return best(trained, wanted, today, scores, told.passes, own)
    user = text(given, "userId")
    scores = batch_lines.for_user(trained, user, told.record or {})
    if today.cold:
        assert today.categories is not None
        scores = np.concatenate([scores, today.categories.expected(scores)])
    if today.explored is not None:
        scores = today.explored.mixed(scores, trained.uses, user)
    return best(trained, wanted, today, scores, told.passes, -1)


def beside(trained: Trained, today: Today, item: int) -> np.ndarray:
    """A score for everything beside an item of the model, 0 for what is not related."""
    scores = trained.blend.scorers["items"].similar(item)  # type: ignore[attr-defined]
    if today.vectors is None:
        cold = np.zeros(len(today), dtype=scores.dtype)
    else:
        vector = trained.extra["texts.vectors"][item]
        cold = trained.extra["texts.scale"][item] * np.maximum(today.vectors @ vector, 0.0)
    return np.concatenate([scores, cold])


def best(
    trained: Trained,
    wanted: Wanted,
    today: Today,
    scores: np.ndarray,
    passes: np.ndarray | None,
    own: int,
) -> dict[str, Any]:
    """The `output` that names the best of these; `own` is the item that is never in it."""
    if wanted.beside:
        scores = influence.ordered(scores, today.popular, today.fresh)
    if passes is not None:
        scores = np.where(passes, scores, -np.inf)
    if wanted.beside:
        scores = np.where(scores > 0, scores, -np.inf)
    if own >= 0:
        scores[own] = -np.inf
    numbers = top(scores, wanted.count)
    numbers = numbers[np.isfinite(scores[numbers])]
    known = len(trained.items)
    names = [trained.items[n] if n < known else today.cold[n - known] for n in numbers.tolist()]
    output: dict[str, Any] = {"recommendedItems": names}
    if wanted.scored:
        output["scores"] = rounded(shares(scores)[numbers])
    return output
