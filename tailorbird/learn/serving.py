"""GetRecommendations and GetPersonalizedRanking: the history as of now, scored, the best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotBuilt, NotFound
from tailorbird.learn import artifacts, datasets
from tailorbird.learn.artifacts import Trained
from tailorbird.learn.events import SESSION_USER
from tailorbird.learn.models.engine import top
from tailorbird.learn.models.interactions import History
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.recipe import (
    PERSONALIZED_RANKING,
    POPULAR_ITEMS,
    RELATED_ITEMS,
    Recipe,
)
from tailorbird.learn.room import Learn

DEFAULT_RESULTS = 25
MAX_RESULTS = 500
MAX_MODELS_OPEN = 16
LIVE_ROWS = 500  # newest live events of a user that count
SCORE_DECIMALS = 7

FIND_CAMPAIGN = (
    "SELECT c.account, c.region, c.status, c.version_arn, v.artifact, v.recipe_arn, v.group_arn"
    " FROM learn_campaigns c JOIN learn_solution_versions v ON v.arn = c.version_arn"
    " WHERE c.arn = ?"
)
LIVE = (
    "SELECT item_id, time, event_type FROM learn_events WHERE group_arn = ? AND person = ?"
    " AND id > ? AND unusable IS NULL ORDER BY id DESC LIMIT ?"
)


def get_recommendations(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The best items for a user (or beside an item), with scores where the recipe has them."""
    _refuse_not_built(request, "filterArn", "filterValues", "promotions", "metadataColumns")
    campaign = _campaign_arn(request)
    count = request.get("numResults", DEFAULT_RESULTS)
    if not 0 <= count <= MAX_RESULTS:
        raise Invalid(f"numResults is {count}; 0 to {MAX_RESULTS} is right")
    trained, recipe, group = _open(room, campaign, caller)
    _refuse_context(room, group, request)
    if recipe.type == PERSONALIZED_RANKING:
        raise Invalid(
            f"{campaign} was trained with {recipe.name}; ask it with GetPersonalizedRanking"
        )
    scores = _scores(room, trained, recipe, group, request)
    best = top(scores, count or DEFAULT_RESULTS)
    if recipe.type == RELATED_ITEMS:
        best = _related(trained, scores, best, request["itemId"])
    items = [{"itemId": trained.items[n]} for n in best.tolist()]
    if recipe.scored:
        for shown, share in zip(items, _softmax(scores)[best].tolist(), strict=True):
            shown["score"] = round(share, SCORE_DECIMALS)
    return {"itemList": items, "recommendationId": f"RID-{ids.uuid4()}"}


def get_personalized_ranking(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """The caller's items in the user's order; unknown items last and without a score."""
    _refuse_not_built(request, "filterArn", "filterValues", "metadataColumns")
    campaign = request["campaignArn"]
    trained, recipe, group = _open(room, campaign, caller)
    _refuse_context(room, group, request)
    if recipe.type in (RELATED_ITEMS, POPULAR_ITEMS):
        raise Invalid(f"{campaign} was trained with {recipe.name}, which ranks no lists")
    wanted = list(dict.fromkeys(request["inputList"]))
    numbers = np.array([trained.items.find(one) for one in wanted], dtype=np.int64)
    known = numbers >= 0
    scores = trained.blend.score(_history(room, trained, group, request["userId"]))
    shares = np.full(len(wanted), -1.0)
    if known.any():
        shares[known] = _softmax(scores[numbers[known]])
    ranking: list[dict[str, Any]] = []
    for n in np.argsort(-shares, kind="stable").tolist():
        shown: dict[str, Any] = {"itemId": wanted[n]}
        if known[n]:
            shown["score"] = round(float(shares[n]), SCORE_DECIMALS)
        ranking.append(shown)
    return {"personalizedRanking": ranking, "recommendationId": f"RID-{ids.uuid4()}"}


def recommend(room: Learn, campaign_arn: str, user_id: str, num_results: int = 5) -> list[str]:
    """Item ids for a user, best first: for rooms that want recommendations without a request."""
    trained, recipe, group = _open(room, campaign_arn, None)
    if recipe.type == RELATED_ITEMS:
        raise Invalid(
            f"{campaign_arn} was trained with {recipe.name}, which answers for items only"
        )
    scores = _scores(room, trained, recipe, group, {"userId": user_id})
    return [trained.items[n] for n in top(scores, num_results).tolist()]


def _campaign_arn(request: dict[str, Any]) -> str:
    if request.get("recommenderArn"):
        raise NotBuilt("recommenderArn: domain recommenders are not built; use a campaignArn")
    if not request.get("campaignArn"):
        raise Invalid("campaignArn is missing")
    return request["campaignArn"]


def _refuse_not_built(request: dict[str, Any], *members: str) -> None:
    for member in members:
        if request.get(member):
            raise NotBuilt(f"{member} is not built; leave it out")


def _refuse_context(room: Learn, group_arn: str, request: dict[str, Any]) -> None:
    """A context key that is no column of the Interactions schema means nothing; others would."""
    names = {name.upper() for name in request.get("context") or ()}
    if names:
        with room.db.read() as conn:
            known = datasets.columns_of(conn, group_arn, "INTERACTIONS")
        for name in sorted(names & known):
            raise NotBuilt(f"context {name} is not built; leave it out")


def _open(room: Learn, campaign_arn: str, caller: Caller | None) -> tuple[Trained, Recipe, str]:
    """The campaign's model, its recipe and dataset group; NotFound when it is not ACTIVE."""
    with room.db.read() as conn:
        row = conn.exec_driver_sql(room.db.sql(FIND_CAMPAIGN), (campaign_arn,)).fetchone()
    if row is None or (caller is not None and (row[0], row[1]) != (caller.account, caller.region)):
        raise NotFound(f"The given campaign does not exist: {campaign_arn}")
    if row[2] != "ACTIVE":
        raise NotFound(f"The campaign {campaign_arn} is in state {row[2]}; it has to be ACTIVE")
    return model(room, row[3], row[4]), RECIPES[row[5]], row[6]


def model(room: Learn, version_arn: str, uri: str) -> Trained:
    """The version's model, opened once in this process."""
    trained = room.models.get(uri)
    if trained is None:
        with room.opening:
            trained = room.models.get(uri)
            if trained is None:
                trained = artifacts.load(room.objects, uri)
                while len(room.models) >= MAX_MODELS_OPEN:
                    room.models.pop(next(iter(room.models)))
                room.models[uri] = trained
    return trained


def _scores(
    room: Learn, trained: Trained, recipe: Recipe, group: str, request: dict[str, Any]
) -> np.ndarray:
    if recipe.type == RELATED_ITEMS:
        return _similar(trained, request.get("itemId"))
    if recipe.type == POPULAR_ITEMS:
        return trained.blend.score(artifacts.NO_HISTORY)
    if not request.get("userId"):
        raise Invalid(f"userId is missing; {recipe.name} recommends for a user")
    return trained.blend.score(_history(room, trained, group, request["userId"]))


def _similar(trained: Trained, item_id: str | None) -> np.ndarray:
    """Scores beside an item; popularity for an item nobody knows."""
    if not item_id:
        raise Invalid("itemId is missing; the campaign's recipe recommends beside an item")
    item = trained.items.find(item_id)
    if item < 0:
        return trained.blend.scorers["popular"].score(artifacts.NO_HISTORY)
    return trained.blend.scorers["items"].similar(item)  # type: ignore[attr-defined]


def _related(trained: Trained, scores: np.ndarray, best: np.ndarray, item_id: str) -> np.ndarray:
    """Without the item itself and without items that have nothing to do with it."""
    return best[(scores[best] > 0) & (best != trained.items.find(item_id))]


def _history(room: Learn, trained: Trained, group: str, user_id: str) -> History:
    """The user's history at training and the live events since; an id may also be a session's."""
    with room.db.read() as conn:
        live = room.db.sql(LIVE)
        rows = conn.exec_driver_sql(
            live, (group, user_id, trained.last_event, LIVE_ROWS)
        ).fetchall()
        known = trained.history(user_id)
        if not rows and not len(known):
            found = conn.exec_driver_sql(room.db.sql(SESSION_USER), (group, user_id)).fetchone()
            if found is not None and found[0] != user_id:
                known = trained.history(found[0])
                values = (group, found[0], trained.last_event, LIVE_ROWS)
                rows = conn.exec_driver_sql(live, values).fetchall()
    return _joined(trained, known, rows, room.clock.now())


def _joined(trained: Trained, known: History, rows: Sequence[Any], now: float) -> History:
    """Known and live rows in order of time, without unknown items and unwanted event types."""
    kinds = {name: n for n, name in enumerate(trained.kinds)}
    wanted = trained.manifest.get("event_types")
    item, time, kind = [], [], []
    for item_id, moment, event_type in reversed(rows):
        number = trained.items.find(item_id)
        if number >= 0 and (wanted is None or event_type in wanted):
            item.append(number)
            time.append(moment)
            kind.append(kinds.get(event_type, 0))
    if not item:
        return History(known.item, known.time, known.kind, now)
    times = np.concatenate([known.time, np.array(time)])
    order = np.argsort(times, kind="stable")
    return History(
        np.concatenate([known.item, np.array(item, dtype=np.int32)])[order],
        times[order],
        np.concatenate([known.kind, np.array(kind, dtype=np.int16)])[order],
        now,
    )


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Shares that add up to 1."""
    raised = np.exp((scores - scores.max()).astype(np.float64))
    return raised / raised.sum()
