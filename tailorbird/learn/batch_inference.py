"""Batch inference jobs: recommendations for users, beside items, or lists in a user's order.

A job knows what was imported and trained; live events count from the next training on.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotBuilt
from tailorbird.learn import artifacts, batch, catalogue, exploration, influence, records, related
from tailorbird.learn.artifacts import Trained
from tailorbird.learn.asking import Asking
from tailorbird.learn.deployed import Deployed
from tailorbird.learn.models.best import top
from tailorbird.learn.recipes.recipe import (
    PERSONALIZED_ACTIONS,
    PERSONALIZED_RANKING,
    POPULAR_ITEMS,
    RELATED_ITEMS,
    USER_PERSONALIZATION,
    USER_SEGMENTATION,
    Recipe,
)
from tailorbird.learn.room import Learn
from tailorbird.learn.segment_quality import shares
from tailorbird.learn.tables import learn_batch_inference_jobs
from tailorbird.store import Job

KIND = "learn.batch_inference"
TABLE = learn_batch_inference_jobs
WHAT = "batch inference job"
DEFAULT_RESULTS, MAX_RESULTS = 25, 500
SCORE_DECIMALS = 7
THEMES = "THEME_GENERATION"
SHOWN = (
    "filterArn",
    "numResults",
    "jobInput",
    "jobOutput",
    "batchInferenceJobConfig",
    "roleArn",
)


def create_batch_inference_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Start a job; it is PENDING until a worker takes it."""
    if request.get("batchInferenceJobMode") == THEMES or request.get("themeGenerationConfig"):
        raise NotBuilt("batchInferenceJobMode THEME_GENERATION is not built")
    count = request.get("numResults", DEFAULT_RESULTS)
    if not 0 <= count <= MAX_RESULTS:
        raise Invalid(f"numResults is {count}; 0 to {MAX_RESULTS} is right")
    arn = batch.create(
        room, caller, request, TABLE, KIND, WHAT, partial(_check_version, room, request)
    )
    return {"batchInferenceJobArn": arn}


def describe_batch_inference_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    with room.db.read() as conn:
        row = records.find(conn, TABLE, caller, request["batchInferenceJobArn"], WHAT)
    return {"batchInferenceJob": _summary(row) | records.given(row, *SHOWN)}


def list_batch_inference_jobs(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """All jobs, or those of a solution version."""
    version = request.get("solutionVersionArn")
    where = () if version is None else (TABLE.c.version_arn == version,)
    return records.page(room, TABLE, caller, request, "batchInferenceJobs", _summary, *where)


def run(room: Learn, job: Job) -> None:
    batch.run(room, job, TABLE, lambda row, version: _answering(room, row, version))


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    batch.failed(room, TABLE, conn, job, reason)


def _answering(room: Learn, row: records.Row, version: records.Row) -> batch.Answer:
    recipe = catalogue.find(version["recipe_arn"])
    trained = artifacts.load(room.objects, version["artifact"])
    definition = row["definition"]
    count = definition.get("numResults") or DEFAULT_RESULTS

    config = definition.get("batchInferenceJobConfig") or {}
    deployed = Deployed(
        version["arn"], version["group_arn"], recipe, trained, version["artifact"], config
    )
    filter_arn = definition.get("filterArn")
    explores = recipe.type == USER_PERSONALIZATION and exploration.read(room, config)[0] > 0
    wide = explores or recipe.whole_catalogue

    def answer(given: dict[str, Any]) -> dict[str, Any]:
        if wide and not given.get("itemList"):
            return _wide(room, deployed, given, filter_arn, count)
        scores = _scores(recipe, trained, given)
        passes = None if filter_arn is None else _mask(room, deployed, filter_arn, given)
        if recipe.type == PERSONALIZED_RANKING or given.get("itemList"):
            return _ranked(trained, scores, passes, given)
        return _best(recipe, trained, scores, passes, given, count)

    return batch.each(answer)


def _scores(recipe: Recipe, trained: Trained, given: dict[str, Any]) -> np.ndarray:
    """A score of every item for the line's user, or beside its item."""
    if recipe.type == RELATED_ITEMS:
        item = trained.items.find(_text(given, "itemId"))
        if item < 0:
            return trained.blend.scorers["popular"].score(artifacts.NO_HISTORY)
        return trained.blend.scorers["items"].similar(item)  # type: ignore[attr-defined]
    if recipe.type == POPULAR_ITEMS:
        return trained.blend.score(artifacts.NO_HISTORY)
    return trained.blend.score(trained.history(_text(given, "userId")))


def _mask(room: Learn, one: Deployed, filter_arn: str, given: dict[str, Any]) -> np.ndarray:
    """Which of the model's items the job's filter lets by, with the line's own filterValues."""
    values = given.get("filterValues") or {}
    if not isinstance(values, dict):
        raise Invalid("filterValues has to be an object of names and values")
    names = [None if given.get(key) is None else str(given[key]) for key in ("userId", "itemId")]
    asking = Asking(room, one, *names)
    return asking.passes(filter_arn, values)[: len(one.trained.items)]


def _best(
    recipe: Recipe,
    trained: Trained,
    scores: np.ndarray,
    passes: np.ndarray | None,
    given: dict[str, Any],
    count: int,
) -> dict[str, Any]:
    if passes is not None:
        scores = np.where(passes, scores, -np.inf)
    best = top(scores, count + 1 if recipe.type == RELATED_ITEMS else count)
    best = best[np.isfinite(scores[best])]
    if recipe.type == RELATED_ITEMS:
        own = trained.items.find(_text(given, "itemId"))
        best = best[(scores[best] > 0) & (best != own)][:count]
    output: dict[str, Any] = {"recommendedItems": [trained.items[n] for n in best.tolist()]}
    if recipe.scored:
        output["scores"] = _rounded(shares(scores)[best])
    return output


def _ranked(
    trained: Trained, scores: np.ndarray, passes: np.ndarray | None, given: dict[str, Any]
) -> dict[str, Any]:
    wanted = given.get("itemList")
    if not isinstance(wanted, list) or not wanted:
        raise Invalid("itemList is missing; a list of item ids is right")
    names = list(dict.fromkeys(map(str, wanted)))
    numbers = np.array([trained.items.find(one) for one in names])
    if passes is not None:
        stays = (numbers < 0) | passes[numbers]
        names = [name for name, ok in zip(names, stays.tolist(), strict=True) if ok]
        numbers = numbers[stays]
    known = numbers >= 0
    found, rank = np.zeros(len(names)), np.full(len(names), -np.inf)
    if known.any():
        rank[known] = scores[numbers[known]]  # shares of what was seen may all be too small
        found[known] = shares(rank[known])
    order = np.argsort(-rank, kind="stable")
    return {
        "recommendedItems": [names[n] for n in order.tolist()],
        "scores": _rounded(found[order]),
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(one, SCORE_DECIMALS) for one in values.tolist()]


def _text(given: dict[str, Any], member: str) -> str:
    value = given.get(member)
    if not isinstance(value, str | int) or value == "":
        raise Invalid(f'{member} is missing; {{"{member}": "..."}} is right')
    return str(value)


def _check_version(
    room: Learn, request: dict[str, Any], conn: Connection, version: records.Row
) -> None:
    recipe = catalogue.find(version["recipe_arn"])
    if recipe.type == PERSONALIZED_ACTIONS:
        raise Invalid(f"{recipe.name} has no batch jobs; GetActionRecommendations asks it")
    if recipe.type == USER_SEGMENTATION:
        raise Invalid(f"{recipe.name} makes user segments; use CreateBatchSegmentJob")
    if recipe.name.endswith("trending-now"):
        raise Invalid(f"{recipe.name} has no batch jobs: what is trending is true for the moment")
    _check_config(room, conn, version, recipe, request.get("batchInferenceJobConfig") or {})


def _wide(
    room: Learn, one: Deployed, given: dict[str, Any], filter_arn: str | None, count: int
) -> dict[str, Any]:
    """A line answered over all items of today, with exploration or ranking influence."""
    related_to = one.recipe.type == RELATED_ITEMS
    names = [
        _text(given, member) if wanted or given.get(member) is not None else None
        for member, wanted in (("userId", not related_to), ("itemId", related_to))
    ]
    values = given.get("filterValues") or {}
    asking = Asking(room, one, *names)
    shelf = asking.shelf
    if related_to:
        found = related.beside(one.trained, shelf, names[1] or "")
        scores = influence.ordered(found, shelf, one.config)
    else:
        plain = shelf.widened(one.trained.blend.score(one.trained.history(names[0] or "")))
        weight, days = exploration.read(room, one.config)
        random = np.random.default_rng(zlib.crc32((names[0] or "").encode()))
        scores = exploration.mixed(asking, plain, weight, days, random)
    if filter_arn is not None:
        scores = np.where(asking.passes(filter_arn, values)[:-1], scores, -np.inf)
    if related_to:
        scores = np.where(scores > 0, scores, -np.inf)
        own = shelf.find(names[1] or "")
        if own >= 0:
            scores[own] = -np.inf
    best = top(scores, count)
    best = best[np.isfinite(scores[best])]
    output: dict[str, Any] = {"recommendedItems": [shelf.id(n) for n in best.tolist()]}
    if one.recipe.scored:
        output["scores"] = _rounded(shares(scores)[best])
    return output


def _check_config(
    room: Learn, conn: Connection, version: records.Row, recipe: Recipe, config: dict[str, Any]
) -> None:
    """Invalid names what a job of this recipe cannot do."""
    weight, _ = exploration.read(room, config)
    if config.get("itemExplorationConfig") and weight > 0 and recipe.type != USER_PERSONALIZATION:
        raise Invalid(f"batchInferenceJobConfig: {recipe.name} does not explore")
    influence.check(conn, version["group_arn"], recipe, config)


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"batchInferenceJobArn": row["arn"], "jobName": row["name"]}
    mode = {
        "batchInferenceJobMode": row["definition"].get("batchInferenceJobMode", "BATCH_INFERENCE")
    }
    version = {"solutionVersionArn": row["version_arn"]}
    return shown | version | mode | records.state(row) | records.times(row)
