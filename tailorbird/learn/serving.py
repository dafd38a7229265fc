"""GetRecommendations and GetPersonalizedRanking: the history as of now, scored, the best first.

A filter is a mask over all items before the best are taken, so that it never shortens an answer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import (
    artifacts,
    contexts,
    deployed,
    exploration,
    influence,
    people,
    promotions,
    quick,
    related,
    served,
    showing,
    sources,
    throttle,
)
from tailorbird.learn import shelf as shelves
from tailorbird.learn.asking import Asking, Person
from tailorbird.learn.deployed import Deployed
from tailorbird.learn.models.best import softmax, top
from tailorbird.learn.models.native import Native
from tailorbird.learn.recipes.recipe import (
    PERSONALIZED_RANKING,
    POPULAR_ITEMS,
    RELATED_ITEMS,
    USER_PERSONALIZATION,
)
from tailorbird.learn.room import Learn

DEFAULT_RESULTS = 25
MAX_RESULTS = 500
SCORE_DECIMALS = 7
RATE = "learn_max_recommendations_per_second"
PROMOTED, EXPLORED, FILLED = "Promoted item", "Exploration", "Popular item"


def get_recommendations(
    room: Learn, caller: Caller, request: dict[str, Any], person: Person | None = None
) -> dict[str, Any]:
    """The best items for a user (or beside an item), with scores where the recipe has them.

    `person` is the user's history where it was looked up already (`crowd`).
    """
    one = deployed.asked(room, caller, request)
    throttle.check(room, RATE, one.arn)
    if one.recipe.type not in (USER_PERSONALIZATION, RELATED_ITEMS, POPULAR_ITEMS):
        instead = (
            "; ask it with GetPersonalizedRanking"
            if one.recipe.type == PERSONALIZED_RANKING
            else ""
        )
        raise Invalid(f"{one.arn} was trained with {one.recipe.name}{instead}")
    begun = time.thread_time()
    found = answer(room, one, request, person)
    quick.note(room, one.arn, time.thread_time() - begun)
    return found


def get_personalized_ranking(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """The caller's items in the user's order; unknown items last and without a score."""
    one = deployed.asked(room, caller, request)
    throttle.check(room, RATE, one.arn)
    if one.recipe.type not in (USER_PERSONALIZATION, PERSONALIZED_RANKING):
        raise Invalid(f"{one.arn} was trained with {one.recipe.name}, which ranks no lists")
    if len(request["inputList"]) > MAX_RESULTS:
        raise Invalid(f"inputList has {len(request['inputList'])} items; {MAX_RESULTS} are allowed")
    begun = time.thread_time()
    wanted = list(dict.fromkeys(request["inputList"]))
    columns = showing.columns(one, request, len(wanted))
    asking = Asking(room, one, request["userId"])
    showing.check(asking.shelf, columns)
    numbers = np.array([asking.shelf.find(item) for item in wanted], dtype=np.int64)
    scores = _scores(asking, request)
    if request.get("filterArn"):
        passes = asking.passes(request["filterArn"], request.get("filterValues") or {})
        kept = passes[numbers]  # -1 reads what holds for an item nobody knows
        wanted = [item for item, keep in zip(wanted, kept.tolist(), strict=True) if keep]
        numbers = numbers[kept]
    known = numbers >= 0
    shares, order = np.full(len(wanted), -1.0), np.full(len(wanted), -np.inf)
    if known.any():
        order[known] = scores[numbers[known]]  # shares of what was seen may all be too small
        shares[known] = _softmax(scores[numbers[known]])
    ranking: list[dict[str, Any]] = []
    for n in np.argsort(-order, kind="stable").tolist():
        shown: dict[str, Any] = {"itemId": wanted[n]}
        if 0 <= numbers[n] < len(one.trained.items):
            shown["score"] = round(float(shares[n]), SCORE_DECIMALS)
        if columns:
            shown["metadata"] = showing.of(asking.shelf, wanted[n], columns)
        ranking.append(shown)
    rid = sources.recommendation_id(ids.uuid4(), one.arn)
    quick.note(room, one.arn, time.thread_time() - begun)
    return {"personalizedRanking": ranking, "recommendationId": rid}


def recommend(room: Learn, campaign_arn: str, user_id: str, num_results: int = 5) -> list[str]:
    """Item ids for a user, best first: for rooms that want recommendations without a request."""
    one = deployed.find(room, campaign_arn)
    if one.recipe.type == RELATED_ITEMS:
        raise Invalid(
            f"{campaign_arn} was trained with {one.recipe.name}, which answers for items only"
        )
    asking = Asking(room, one, user_id)
    scores = _scores(asking, {"userId": user_id})
    return [asking.shelf.id(n) for n in top(scores, num_results).tolist()]


def answer(
    room: Learn, one: Deployed, request: dict[str, Any], person: Person | None = None
) -> dict[str, Any]:
    """What GetRecommendations says for a deployed version."""
    count = request.get("numResults", DEFAULT_RESULTS)
    if not 0 <= count <= MAX_RESULTS:
        raise Invalid(f"numResults is {count}; 0 to {MAX_RESULTS} is right")
    if one.recipe.needs_user and not request.get("userId"):
        raise Invalid(f"userId is missing; the use case {one.recipe.name} asks for it")
    count = count or DEFAULT_RESULTS
    columns = showing.columns(one, request, count)
    promotion = promotions.read(request)
    unique = ids.uuid4()
    rid = sources.recommendation_id(unique, one.arn)
    weight, days = 0.0, 0.0
    if one.recipe.type == USER_PERSONALIZATION:
        weight, days = exploration.read(room, one.config)
    asking = _asking(room, one, request, person)
    showing.check(asking.shelf, columns)
    chance = Chance(unique)
    page = _page(asking, request, promotion, count, (weight, days), chance)
    shown = _shown(asking, page, columns)
    if weight > 0:
        served.keep(room, one.group, rid, [item["itemId"] for item in shown])
    return {"itemList": shown, "recommendationId": rid}


Entry = tuple[int, float | None, str, str]  # number, score, reason, name of the promotion


def _page(
    asking: Asking,
    request: dict[str, Any],
    promotion: promotions.Promotion | None,
    count: int,
    explore: tuple[float, float],
    chance: Chance,
) -> list[Entry]:
    plain = _scores(asking, request)
    scores = plain
    if explore[0] > 0:
        scores = exploration.mixed(asking, plain, *explore, chance.random)
    passes = None
    if request.get("filterArn"):
        passes = asking.passes(request["filterArn"], request.get("filterValues") or {})[:-1]
    if asking.one.recipe.hides and asking.user_id:
        passes = asking.not_had() if passes is None else passes & asking.not_had()
    shares = Shares(scores, asking.room.native) if asking.one.recipe.scored else None
    promoted = _promoted(asking, promotion, scores, count, shares)
    taken = {entry[0] for entry in promoted}
    rest = [n for n in _best(asking, scores, passes, count) if n not in taken]
    reasons = [""] * len(rest)
    if scores is not plain:
        expected = set(_best(asking, plain, passes, count))
        reasons = ["" if n in expected else EXPLORED for n in rest]
    others: list[Entry] = [
        (n, share, reason, "")
        for n, share, reason in zip(rest, _shares(shares, rest), reasons, strict=True)
    ]
    if passes is not None and asking.one.recipe.type == RELATED_ITEMS:
        others += _filled(asking, passes, {*rest, *taken}, count - len(others))
    return _laid(promoted, others, count, chance)


def _promoted(
    asking: Asking,
    promotion: promotions.Promotion | None,
    scores: np.ndarray,
    count: int,
    shares: Shares | None,
) -> list[Entry]:
    if promotion is None:
        return []
    passes = asking.passes(promotion.filter_arn, promotion.values)[:-1].copy()
    if asking.item_id is not None:
        passes[asking.shelf.find(asking.item_id)] = False
    best = _top(scores, passes, promotions.share(promotion.percent, count))
    given = zip(best, _shares(shares, best), strict=True)
    return [(n, share, PROMOTED, promotion.name) for n, share in given]


def _laid(promoted: list[Entry], others: list[Entry], count: int, chance: Chance) -> list[Entry]:
    """Promoted items at random places, both kinds in their own order."""
    if not promoted:
        return others[:count]
    total = min(count, len(promoted) + len(others))
    places = promotions.places(len(promoted), total, chance.random)
    first, second = iter(promoted), iter(others)
    return [next(first) if n in places else next(second) for n in range(total)]


def _best(asking: Asking, scores: np.ndarray, passes: np.ndarray | None, count: int) -> list[int]:
    """The best items that pass; beside an item only what is related, without the item itself."""
    if asking.one.recipe.type == RELATED_ITEMS:
        passes = scores > 0 if passes is None else passes & (scores > 0)
        number = asking.shelf.find(asking.item_id or "")
        if number >= 0:
            passes[number] = False
    return _top(scores, passes, count)


def _top(scores: np.ndarray, passes: np.ndarray | None, count: int) -> list[int]:
    found: list[int] = top(scores, count, passes).tolist()
    return found


def _filled(asking: Asking, passes: np.ndarray, without: set[int], count: int) -> list[Entry]:
    """Popular items that pass the filter, when too few related ones do; they carry no score."""
    if count <= 0:
        return []
    passes = passes.copy()
    passes[list(without)] = False
    number = asking.shelf.find(asking.item_id or "")
    if number >= 0:
        passes[number] = False
    return [(n, None, FILLED, "") for n in _top(shelves.popular(asking.shelf), passes, count)]


def _shown(asking: Asking, page: list[Entry], columns: list[str]) -> list[dict[str, Any]]:
    found = []
    names = asking.shelf.names([entry[0] for entry in page])
    for name, (_, score, reason, promotion) in zip(names, page, strict=True):
        shown: dict[str, Any] = (
            {"itemId": name} if score is None else {"itemId": name, "score": score}
        )
        if promotion:
            shown["promotionName"] = promotion
        if columns:
            shown["metadata"] = showing.of(asking.shelf, name, columns)
        if reason:
            shown["reason"] = [reason]
        found.append(shown)
    return found


def _asking(room: Learn, one: Deployed, request: dict[str, Any], person: Person | None) -> Asking:
    """The request's user and item; Invalid when the recipe needs one that is missing."""
    if one.recipe.type == RELATED_ITEMS and not request.get("itemId"):
        raise Invalid("itemId is missing; the campaign's recipe recommends beside an item")
    if one.recipe.type == USER_PERSONALIZATION and not request.get("userId"):
        raise Invalid(f"userId is missing; {one.recipe.name} recommends for a user")
    item = request.get("itemId") if one.recipe.type == RELATED_ITEMS else None
    return Asking(room, one, request.get("userId"), item, person, request.get("filterArn"))


def _scores(asking: Asking, request: dict[str, Any]) -> np.ndarray:
    """A score for everything on the shelf."""
    trained, kind = asking.one.trained, asking.one.recipe.type
    if kind == RELATED_ITEMS:
        return _similar(asking)
    if kind == POPULAR_ITEMS:
        return asking.shelf.widened(trained.blend.score(artifacts.NO_HISTORY))
    scores = trained.blend.score(asking.history)
    for lift in (people.lift(asking), contexts.lift(trained, request.get("context") or {})):
        scores = scores if lift is None else scores + lift
    return asking.shelf.widened(scores)


def _similar(asking: Asking) -> np.ndarray:
    """Scores beside an item, in the order that the campaign's ranking influence asks for."""
    item, trained = asking.item_id or "", asking.one.trained
    found = related.beside(trained, asking.shelf, item)
    return influence.ordered(found, asking.shelf, asking.one.config)


def _shares(shares: Shares | None, numbers: list[int]) -> Sequence[float | None]:
    return [None] * len(numbers) if shares is None else shares.of(numbers)


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Shares that add up to 1."""
    raised = np.exp(scores - scores.max())
    return raised / raised.sum(dtype=np.float64)


class Shares:
    """`_softmax`, of which an answer wants a few."""

    def __init__(self, scores: np.ndarray, native: Native | None) -> None:
        self._scores = scores
        self._highest, self._sum = (softmax if native is None else native.softmax)(scores)

    def of(self, numbers: list[int]) -> list[float]:
        raised = np.exp(self._scores[numbers] - self._scores.dtype.type(self._highest))
        shares: list[float] = np.round(
            raised.astype(np.float64) / self._sum, SCORE_DECIMALS
        ).tolist()
        return shares


class Chance:
    """What is left to chance in one answer, by its id; made when something is."""

    def __init__(self, unique: str) -> None:
        self._unique = unique

    @cached_property
    def random(self) -> np.random.Generator:
        return np.random.default_rng(int(self._unique.replace("-", "")[:16], 16))
