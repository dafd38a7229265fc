"""One line of a batch job, answered from a model and nothing else: here or on a Spark executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn.artifacts import NO_HISTORY, Trained
from tailorbird.learn.models.best import top
from tailorbird.learn.segment_quality import shares

SCORE_DECIMALS = 7
Given = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What a job asks of every line."""

    count: int
    scored: bool  # whether the recipe's answers have scores
    beside: bool = False  # an item, not for a user
    ranks: bool = False  # the line's own items
    popular: bool = False  # the same for everybody


class Told(NamedTuple):
    """What the store says of a line: the items its filter lets by, and its user's record; the
    `output` itself where nobody else can say it."""

    passes: np.ndarray | None = None
    record: Given | None = None
    output: Given | None = None


def recommended(trained: Trained, wanted: Wanted, given: Given, told: Told) -> dict[str, Any]:
    """The `output` of a line; Invalid says what is wrong with it."""
    found, passes = _scores(trained, wanted, given, told.record or {}), told.passes
    if wanted.ranks or given.get("itemList"):
        return _ranked(trained, found, passes, given)
    return _best(trained, wanted, found, passes, given)


def for_user(trained: Trained, user: str, record: Given) -> np.ndarray:
    """A score of every item; somebody without a history goes by what is known of him."""
    history = trained.history(user)
    found = trained.blend.score(history)
    if trained.people is not None and not len(history):
        found = found + trained.people.lift(record)
    return found


def _scores(trained: Trained, wanted: Wanted, given: Given, record: Given) -> np.ndarray:
    """A score of every item for the line's user, or beside its item."""
    if wanted.beside:
        item = trained.items.find(text(given, "itemId"))
        if item < 0:
            return trained.blend.scorers["popular"].score(NO_HISTORY)
        return trained.blend.scorers["items"].similar(item)  # type: ignore[attr-defined]
    if wanted.popular:
        return trained.blend.score(NO_HISTORY)
    return for_user(trained, text(given, "userId"), record)


def belonging(
    trained: Trained,
    queries: Sequence[np.ndarray],
    users: range,
    seen: Callable[[int], None] = lambda user: None,
) -> np.ndarray:
    """[query, user]: the share of a user's score that lies on the query's items."""
    found = np.zeros((len(queries), len(users)), dtype=np.float32)
    for place, user in enumerate(users):
        seen(user)
        share = shares(trained.blend.score(trained.history(trained.users[user])))
        for n, items in enumerate(queries):
            found[n, place] = share[items].sum()
    return found


def line(answer: Callable[[Given], dict[str, Any]], given: Given) -> dict[str, Any]:
    """The line of the output; a refusal becomes its error."""
    try:
        return {"input": given, "output": answer(given), "error": None}
    except (Invalid, NotFound) as error:
        return {"input": given, "output": None, "error": error.message}


def text(given: Given, member: str) -> str:
    value = given.get(member)
    if not _is_id(value):
        raise Invalid(f'{member} is missing; {{"{member}": "..."}} is right')
    return str(value)


def _is_id(value: Any) -> bool:
    """A text; numbers are taken as they are written."""
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def rounded(values: np.ndarray) -> list[float]:
    return [round(one, SCORE_DECIMALS) for one in values.tolist()]


def _best(
    trained: Trained, wanted: Wanted, found: np.ndarray, passes: np.ndarray | None, given: Given
) -> dict[str, Any]:
    if passes is not None:
        found = np.where(passes, found, -np.inf)
    best = top(found, wanted.count + 1 if wanted.beside else wanted.count)
    best = best[np.isfinite(found[best])]
    if wanted.beside:
        own = trained.items.find(text(given, "itemId"))
        best = best[(found[best] > 0) & (best != own)][: wanted.count]
    output: dict[str, Any] = {"recommendedItems": [trained.items[n] for n in best.tolist()]}
    if wanted.scored:
        output["scores"] = rounded(shares(found)[best])
    return output


def _ranked(
    trained: Trained, found: np.ndarray, passes: np.ndarray | None, given: Given
) -> dict[str, Any]:
    items = given.get("itemList")
    if not isinstance(items, list) or not items:
        raise Invalid("itemList is missing; a list of item ids is right")
    if not all(map(_is_id, items)):
        raise Invalid("itemList holds what is no item id; texts are right")
    names = list(dict.fromkeys(map(str, items)))
    numbers = np.array([trained.items.find(one) for one in names])
    if passes is not None:
        stays = (numbers < 0) | passes[numbers]
        names = [name for name, ok in zip(names, stays.tolist(), strict=True) if ok]
        numbers = numbers[stays]
    known = numbers >= 0
    share, rank = np.zeros(len(names)), np.full(len(names), -np.inf)
    if known.any():
        rank[known] = found[numbers[known]]  # shares of what was seen may all be too small
        share[known] = shares(rank[known])
    order = np.argsort(-rank, kind="stable")
    return {
        "recommendedItems": [names[n] for n in order.tolist()],
        "scores": rounded(share[order]),
    }
