"""Ranking influence: among items that mean something alike, newer or more popular ones first.

Popularity is that of the training; freshness goes by CREATION_TIMESTAMP.
Source: Personalize developer guide, "Semantic-Similarity recipe", properties.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird.errors import Invalid
from tailorbird.learn import datasets, exploration
from tailorbird.learn import shelf as shelves
from tailorbird.learn.models import influence
from tailorbird.learn.models.influence import Weighted
from tailorbird.learn.recipes.recipe import Recipe
from tailorbird.learn.shelf import Shelf

POPULARITY, FRESHNESS = "POPULARITY", "FRESHNESS"


def check(conn: Connection, group: str, recipe: Recipe, config: dict[str, Any]) -> None:
    """Invalid when a campaign or job asks for an influence that cannot be."""
    given = config.get("rankingInfluence") or {}
    for name, weight in given.items():
        if name not in (POPULARITY, FRESHNESS):
            raise Invalid(f"rankingInfluence knows {POPULARITY} and {FRESHNESS}, not {name!r}")
        if not 0 <= float(weight) <= 1:
            raise Invalid(f"rankingInfluence.{name} is {weight}; 0 to 1 is right")
    asked = {name for name, weight in given.items() if float(weight) > 0}
    if asked and not recipe.by_texts:
        raise Invalid(f"rankingInfluence is for aws-semantic-similarity, not {recipe.name}")
    if FRESHNESS in asked and exploration.CREATED not in datasets.columns_of(conn, group, "ITEMS"):
        raise Invalid(f"rankingInfluence.FRESHNESS needs {exploration.CREATED} in Items")
    if POPULARITY in asked and not datasets.columns_of(conn, group, "INTERACTIONS"):
        raise Invalid("rankingInfluence.POPULARITY needs an Interactions dataset")


def ordered(scores: np.ndarray, shelf: Shelf, config: dict[str, Any]) -> np.ndarray:
    """The scores with the most alike items in the order that the influence asks for."""
    popular, fresh = weighted(shelf, config)
    return influence.ordered(scores, popular, fresh)


def weighted(shelf: Shelf, config: dict[str, Any]) -> tuple[Weighted | None, Weighted | None]:
    """What popularity and freshness count, with their values for everything on the shelf."""
    given = {name: float(one) for name, one in (config.get("rankingInfluence") or {}).items()}
    popular, fresh = given.get(POPULARITY, 0.0), given.get(FRESHNESS, 0.0)
    return (
        (popular, shelves.popular(shelf)) if popular else None,
        (fresh, exploration.ages(shelf)) if fresh else None,
    )
