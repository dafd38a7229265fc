"""Exploration: young items get a share of the places, less of it the more they were passed by.

score = (1 - w) * relevance + w * a draw from what an item's chance to be taken may be. The draw is
from Beta(1 + taken, 1 + shown and not taken), and counts less the more interactions an item has:
its relevance is then known. With w = 0 nothing is changed.
Source: Personalize developer guide, "Exploration"; the cheat sheet's account of eligible items.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tailorbird.errors import Invalid
from tailorbird.learn import served
from tailorbird.learn.asking import Asking
from tailorbird.learn.metadata import Number
from tailorbird.learn.models import young
from tailorbird.learn.models.interactions import SECONDS_PER_DAY
from tailorbird.learn.room import Learn
from tailorbird.learn.shelf import Shelf

MEMBERS = ("explorationWeight", "explorationItemAgeCutOff")
DEFAULT_CUT_OFF_DAYS = 30.0
CREATED = "CREATION_TIMESTAMP"


def read(room: Learn, config: dict[str, Any]) -> tuple[float, float]:
    """Weight and age cut-off in days of a campaign; Invalid when they are out of range."""
    given = config.get("itemExplorationConfig") or {}
    unknown = given.keys() - set(MEMBERS)
    if unknown:
        raise Invalid(
            f"itemExplorationConfig does not know {', '.join(sorted(unknown))}; "
            f"it knows {' and '.join(MEMBERS)}"
        )
    weight = _number(given, "explorationWeight", room.settings.learn_exploration_weight)
    days = _number(given, "explorationItemAgeCutOff", DEFAULT_CUT_OFF_DAYS)
    if not 0 <= weight <= 1:
        raise Invalid(f"itemExplorationConfig.explorationWeight is {weight:g}; 0 to 1 is right")
    if not 0 <= days < float("inf"):
        raise Invalid(f"itemExplorationConfig.explorationItemAgeCutOff is {days:g}; 0 or more")
    return weight, days


def mixed(
    asking: Asking, scores: np.ndarray, weight: float, days: float, random: np.random.Generator
) -> np.ndarray:
    """The scores with young items drawn in, on the same scale."""
    which = np.flatnonzero(ages(asking.shelf) < days)
    if not len(which):
        return scores
    which = which[young.drawn(len(which), random)]
    names = [asking.shelf.id(n) for n in which.tolist()]
    known = served.impressions(asking.room, asking.one.group, names)
    shown, taken = np.array([known.get(name, (0, 0)) for name in names], dtype=np.float64).T
    return young.mixed(scores, which, shown, taken, asking.one.trained.uses, weight, random)


def ages(shelf: Shelf) -> np.ndarray:
    """Days from each item's creation to the newest interaction.

    Creation is CREATION_TIMESTAMP, else the first interaction, else now: the item is new.
    """
    if shelf.ages is None:
        newest = shelf.trained.newest
        first = np.full(len(shelf), np.nan)
        first[: len(shelf.trained.items)] = shelf.trained.first
        made = _created(shelf)
        first = np.where(np.isnan(made), first, made)
        shelf.ages = np.nan_to_num((newest - first) / SECONDS_PER_DAY, nan=0.0)
    return shelf.ages


def _created(shelf: Shelf) -> np.ndarray:
    table = shelf.table
    column = None if table is None else table.columns.get(CREATED)
    if table is None or not isinstance(column, Number):
        return np.full(len(shelf), np.nan)
    rows = np.full(table.height, np.nan)
    rows[: len(table.ids)] = column.values
    for row, record in table.changed.items():
        rows[row] = record.get(CREATED, np.nan)
    for n, record in enumerate(table.records):
        rows[len(table.ids) + 1 + n] = record.get(CREATED, np.nan)
    return rows[shelf.row]


def _number(given: dict[str, Any], name: str, default: float) -> float:
    try:
        return float(given.get(name, default))
    except (TypeError, ValueError):
        raise Invalid(
            f"itemExplorationConfig.{name} is {given[name]!r}; a number is right"
        ) from None
