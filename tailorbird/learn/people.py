"""Users without a history: what a training learns for them, and what an answer adds for them.

Source: Personalize developer guide, "New users" and the Users dataset's metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.learn import parts
from tailorbird.learn.artifacts import NO_HISTORY, PEOPLE, Trained
from tailorbird.learn.asking import Asking
from tailorbird.learn.models import engine, people
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.ids import Arrays, Ids
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.people import Choice
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.recipes.recipe import PERSONALIZED_RANKING, USER_PERSONALIZATION, Recipe

TYPES = (USER_PERSONALIZATION, PERSONALIZED_RANKING)
CHOSEN = ("rows", "begins", "attributes")


def fit(
    spec: Mapping[str, Any], recipe: Recipe, blend: Blend, data: Interactions
) -> tuple[Arrays, dict[str, Any]]:
    """Arrays of the model and its manifest's entry `people`, which the report shows as well.

    An update keeps what its version chose.
    """
    if recipe.type not in TYPES or recipe.origin or not len(data):
        return {}, {}
    cells = _cells(spec.get("users"), data.users)
    told: dict[str, float] = {}
    before = (spec.get("update") or {}).get("people")
    if before is not None:
        choice = Choice(**before["chosen"])
    elif spec.get("update"):
        return {}, {}
    else:
        choice, told = people.choose(data, cells, lambda rows: _base(blend, rows), spec["seed"])
    found = people.fit(data, cells, choice)
    arrays = {} if found is None else found.arrays()
    chosen = {name: getattr(choice, name) for name in CHOSEN}
    named = {f"{PEOPLE}{name}": array for name, array in arrays.items()}
    return named, {"people": {"chosen": chosen, "ndcg_at_25": told}}


def parts_of(asking: Asking) -> dict[str, np.ndarray]:
    """What is added for a user without a history, by where it comes from."""
    known = asking.one.trained.people
    if known is None or len(asking.history):
        return {}
    return known.parts(record(asking.one.trained, asking))


def lift(asking: Asking) -> np.ndarray | None:
    """What is added to the score of every item of the model; None for nothing."""
    known = asking.one.trained.people
    if known is None or len(asking.history):
        return None
    return known.lift(record(asking.one.trained, asking))


def record(trained: Trained, asking: Asking) -> dict[str, Any]:
    """What is known of the user at this moment, of the columns that the model was trained on."""
    if trained.people is None or not trained.people.columns or not asking.user_id:
        return {}
    found = asking.user_record
    return {name: found[name] for name in trained.people.columns if name in found}


def _base(blend: Blend, data: Interactions) -> np.ndarray:
    """What the blend says of everybody without a history, fitted on these rows."""
    every = engine.scorers(0)
    names = [name for name in blend.scorers if isinstance(blend.scorers[name], Popular)]
    fitted = {name: every[name](data) for name in names if name in every}
    weights = {name: weight for name, weight in blend.weights.items() if name in fitted}
    return Blend(fitted, weights, 0.0, blend.fallback).score(NO_HISTORY)


def _cells(path: str | None, users: Ids) -> dict[str, list[Any]]:
    """What the Users dataset says of each user of the training."""
    if path is None:
        return {}
    part = parts.read(Path(path))
    codes, names = part.strings["USER_ID"]
    place = np.array([users.find(name) for name in names] or [-1])[codes]
    rows = np.flatnonzero(place >= 0)
    found: dict[str, list[Any]] = {}
    for name, (cells, texts) in part.strings.items():
        if name != "USER_ID":
            found[name] = [None] * len(users)
            for row in rows.tolist():
                found[name][place[row]] = texts[cells[row]] or None
    for name, numbers in part.numbers.items():
        found[name] = [None] * len(users)
        for row in rows[~np.isnan(numbers[rows])].tolist():
            found[name][place[row]] = float(numbers[row])
    return {name: cells for name, cells in found.items() if any(one is not None for one in cells)}
