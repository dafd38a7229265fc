"""Batch inference jobs: recommendations for users, beside items, or lists in a user's order.

A job knows what was imported and trained; live events count from the next training on.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotBuilt
from tailorbird.learn import (
    artifacts,
    batch,
    batch_lines,
    batch_spark,
    catalogue,
    exploration,
    influence,
    people,
    records,
    related,
)
from tailorbird.learn.asking import Asking
from tailorbird.learn.batch_lines import Told, Wanted, rounded, text
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
    batch.run(room, job, TABLE, partial(_planned, room))


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    batch.failed(room, TABLE, conn, job, reason)


@contextmanager
def _planned(
    room: Learn, row: records.Row, version: records.Row, lines: int
) -> Iterator[batch.Plan]:
    """Lines that a model alone answers may go to Spark; the others ask the store and stay here."""
    recipe, definition = catalogue.find(version["recipe_arn"]), row["definition"]
    trained = artifacts.load(room.objects, version["artifact"])
    count = definition.get("numResults") or DEFAULT_RESULTS
    config = definition.get("batchInferenceJobConfig") or {}
    one = Deployed(
        version["arn"], version["group_arn"], recipe, trained, version["artifact"], config
    )
    tell = partial(_told, room, one, definition.get("filterArn"))
    wanted = Wanted(
        count,
        recipe.scored,
        beside=recipe.type == RELATED_ITEMS,
        ranks=recipe.type == PERSONALIZED_RANKING,
        popular=recipe.type == POPULAR_ITEMS,
    )
    explores = recipe.type == USER_PERSONALIZATION and exploration.read(room, config)[0] > 0
    wide = explores or recipe.whole_catalogue
    if not wide and batch_spark.wanted(room, lines):
        with batch_spark.opened(room, version["artifact"]) as spark:
            yield spark.plan(wanted, tell)
        return

    def answer(given: dict[str, Any]) -> dict[str, Any]:
        if wide and not given.get("itemList"):
            return _wide(room, one, given, definition.get("filterArn"), count)
        return batch_lines.recommended(trained, wanted, given, tell(given))

    yield batch.Plan(batch.each(answer))


def _told(room: Learn, one: Deployed, filter_arn: str | None, given: dict[str, Any]) -> Told:
    """Which of the model's items the job's filter lets by, with the line's own filterValues, and
    what is known of a user without a history."""
    user, item = (
        None if given.get(key) is None else str(given[key]) for key in ("userId", "itemId")
    )
    asking, passes = Asking(room, one, user, item), None
    if filter_arn is not None:
        values = given.get("filterValues") or {}
        if not isinstance(values, dict):
            raise Invalid("filterValues has to be an object of names and values")
        passes = asking.passes(filter_arn, values)[: len(one.trained.items)]
    unknown = user is not None and one.trained.users.find(user) < 0
    return Told(passes, people.record(one.trained, asking) if unknown else None)


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
        text(given, member) if wanted or given.get(member) is not None else None
        for member, wanted in (("userId", not related_to), ("itemId", related_to))
    ]
    values = given.get("filterValues") or {}
    asking = Asking(room, one, names[0], names[1])
    shelf = asking.shelf
    if related_to:
        found = related.beside(one.trained, shelf, names[1] or "")
        scores = influence.ordered(found, shelf, one.config)
    else:
        record = people.record(one.trained, asking)
        plain = shelf.widened(batch_lines.for_user(one.trained, names[0] or "", record))
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
        output["scores"] = rounded(shares(scores)[best])
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
