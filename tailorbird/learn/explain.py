"""Why an item stands where it does in a user's answer: which model, which history items."""

from __future__ import annotations

from typing import Any

import numpy as np

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import deployed, people
from tailorbird.learn.asking import Asking
from tailorbird.learn.models.interactions import History
from tailorbird.learn.recipes.recipe import RELATED_ITEMS
from tailorbird.learn.room import Learn

HISTORY_TRIED = 50  # newest rows of the history that are left out one by one
HISTORY_SHOWN = 10
DECIMALS = 4


def explain(room: Learn, arn: str, user_id: str, item_id: str) -> dict[str, Any]:
    """Rank and score of an item for a user, what each model adds, what each history item adds.

    A history item adds what the score loses when the item is left out of the history.
    """
    one = deployed.find(room, arn)
    if one.recipe.type == RELATED_ITEMS:
        raise Invalid(f"{arn} was trained with {one.recipe.name}, which answers for no user")
    asking = Asking(room, one, user_id)
    number = asking.shelf.find(item_id)
    if number < 0:
        raise NotFound(
            f"{item_id} is neither in the model nor in the Items dataset; items that came "
            "by events alone wait for the next training"
        )
    history = asking.history
    newcomer = people.parts_of(asking)
    scores = one.trained.blend.score(history)
    for part in newcomer.values():
        scores = scores + part
    scores = asking.shelf.widened(scores)
    person = asking.person
    answer = {
        "campaign": arn,
        "recipe": one.recipe.name,
        "user": user_id,
        "person": person,
        "item": item_id,
        "rank": int((scores > scores[number]).sum()) + 1,
        "items": len(scores),
        "score": round(float(scores[number]), DECIMALS),
        "rowsOfHistory": len(history),
    }
    if number >= len(one.trained.items):
        return answer | {
            "models": [],
            "history": [],
            "note": "The model does not know the item: it scores what items with its categories "
            "score on average, the least of all without categories",
        }
    seen = bool(np.isin(number, history.item))
    return answer | {
        "seen": seen,
        "seenPenalty": one.trained.blend.seen_penalty if seen else 0.0,
        "models": _models(one, history, newcomer, number),
        "history": _history(one, history, number),
    }


def _models(
    one: deployed.Deployed, history: History, newcomer: dict[str, np.ndarray], number: int
) -> list[dict[str, Any]]:
    """What each model of the blend, and what is known of somebody without a history, adds to the
    score, the most first, and its own rank."""
    found = []
    for name, added in (one.trained.blend.parts(history) | newcomer).items():
        rank = int((added > added[number]).sum()) + 1
        found.append(
            {
                "model": name,
                "weight": one.trained.blend.weights.get(name, 1.0),
                "adds": round(float(added[number]), DECIMALS),
                "rank": rank,
            }
        )
    return sorted(found, key=lambda part: -part["adds"])


def _history(one: deployed.Deployed, history: History, number: int) -> list[dict[str, Any]]:
    """The items of the history without which the score would be less, the most first."""
    whole = float(one.trained.blend.score(history)[number])
    found: list[dict[str, Any]] = []
    for item in np.unique(history.item[-HISTORY_TRIED:]).tolist():
        rest = history.item != item
        without = History(history.item[rest], history.time[rest], history.kind[rest], history.now)
        added = whole - float(one.trained.blend.score(without)[number])
        rows = np.flatnonzero(~rest)
        found.append(
            {
                "itemId": one.trained.items[item],
                "eventType": one.trained.kinds[int(history.kind[rows[-1]])],
                "time": float(history.time[rows[-1]]),
                "times": len(rows),
                "adds": round(added, DECIMALS),
            }
        )
    found = [part for part in found if part["adds"] > 0]
    return sorted(found, key=lambda part: -part["adds"])[:HISTORY_SHOWN]
