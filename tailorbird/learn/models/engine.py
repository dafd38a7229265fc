"""From interactions to a blend: fit all scorers, choose weights on held-out rows, refit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tailorbird.learn.models import linear, transformer_training
from tailorbird.learn.models.blend import Blend, Fit, Scorer, hold_out
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.neighbours import ItemNeighbours, SessionNeighbours
from tailorbird.learn.models.personal import Personal, Repeat
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.models.rules import Rules
from tailorbird.learn.models.search import search
from tailorbird.learn.models.transformer import Transformer
from tailorbird.learn.models.transformer_training import Budget

TRANSFORMER = "transformer"
LEAST_CASES, MOST_CASES = 1_000, 2_000  # held-out users that choose the weights
CASE_ITEMS = 20_000_000  # of them times items of the catalogue, between those bounds
SEARCH_DENSE_ITEMS = 4_000  # the dense models are smaller while weights are chosen
STRETCHES = {"choose": (0.0, 0.6), "refit": (0.6, 1.0)}  # of a transformer's seconds
Progress = Callable[[str], None]

LOADERS: dict[str, Callable[[dict[str, np.ndarray]], Scorer]] = {
    "popular": Popular.load,
    "objective": Popular.load,
    "personal": Personal.load,
    "repeat": Repeat.load,
    "rules": Rules.load,
    "linseq": linear.Linear.load,
    "ease": linear.Linear.load,
    "items": ItemNeighbours.load,
    "sessions": SessionNeighbours.load,
    TRANSFORMER: Transformer.load,
}


def scorers(dense_items: int) -> dict[str, Fit]:
    """Every scorer the blend may use; the name up to the dash says which loader reads it."""
    return {
        "popular": Popular.fit,
        "popular-1d": lambda data: Popular.fit(data, half_life_days=1),
        "popular-7d": lambda data: Popular.fit(data, half_life_days=7),
        "popular-28d": lambda data: Popular.fit(data, half_life_days=28),
        "personal-7d": lambda data: Personal.fit(data, half_life_days=7),
        "personal-90d": lambda data: Personal.fit(data, half_life_days=90),
        "repeat": Repeat.fit,
        "rules": Rules.fit,
        "rules-last": lambda data: Rules.fit(data, window=1, last=1),
        "items": ItemNeighbours.fit,
        "sessions": SessionNeighbours.fit,
        "linseq": lambda data: linear.linseq(data, dense_items),
        "ease": lambda data: linear.ease(data, dense_items),
    }


def choose(
    data: Interactions,
    dense_items: int,
    seed: int,
    progress: Progress,
    budget: Budget | None = None,
) -> Blend:
    """A blend fitted on the rows not held out, with the weights that ranked the others best.

    With a budget the transformer is one of the scorers.
    """
    keep, cases = hold_out(data, _cases(data), seed)
    rest = data.keep(keep)
    fitted: dict[str, Scorer] = {}
    for name, fit in scorers(min(dense_items, SEARCH_DENSE_ITEMS)).items():
        progress(f"fit {name}")
        fitted[name] = fit(rest)
    if budget:
        progress(f"fit {TRANSFORMER}")
        fitted[TRANSFORMER] = transformer_training.fit(rest, _share(budget, "choose"))
    progress("search weights")
    return search(fitted, cases)


def refit(
    blend: Blend,
    data: Interactions,
    dense_items: int,
    progress: Progress,
    budget: Budget | None = None,
) -> Blend:
    """The same weights with every chosen scorer fitted on all of the data.

    The transformer goes on from what it knows; an update without a budget keeps it as it is.
    """
    every = scorers(dense_items)
    fitted: dict[str, Scorer] = {}
    for name in blend.scorers:
        progress(f"refit {name}")
        fitted[name] = _again(blend, data, budget) if name == TRANSFORMER else every[name](data)
    return Blend(fitted, blend.weights, blend.seen_penalty, blend.fallback, blend.alone)


def _cases(data: Interactions) -> int:
    affordable = CASE_ITEMS // max(data.item_count, 1)
    return min(max(affordable, LEAST_CASES), MOST_CASES)


def _again(blend: Blend, data: Interactions, budget: Budget | None) -> Scorer:
    before = blend.scorers[TRANSFORMER]
    if not budget:
        return before
    assert isinstance(before, Transformer)
    share = replace(_share(budget, "refit"), look=False)
    if before.epochs:  # one that ended early has learned enough: not for longer than it needed
        begin, end = STRETCHES["refit"]
        share = replace(share, epochs=min(share.epochs, before.epochs * (end - begin) / begin))
    return transformer_training.fit(data, share, before)


def _share(budget: Budget, phase: str) -> Budget:
    """The part of a budget that a phase has, with a checkpoint of its own."""
    begin, end = STRETCHES[phase]
    share = end - begin
    checkpoint = budget.checkpoint and budget.checkpoint / f"{phase}.npz"
    return replace(
        budget,
        seconds=budget.seconds * share,
        epochs=budget.epochs * share,
        stretch=(begin, end),
        checkpoint=checkpoint,
    )
