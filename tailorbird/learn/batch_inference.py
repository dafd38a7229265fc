"""Batch inference jobs: recommendations for users, beside items, or lists in a user's order.

A job knows what was imported and trained; live events count from the next training on.
"""

from __future__ import annotations

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
    batch_spark,
    batch_today,
    catalogue,
    exploration,
    influence,
    people,
    records,
    related,
    served,
)
from tailorbird.learn.asking import Asking
from tailorbird.learn.batch_lines import Given, Told, Wanted, text
from tailorbird.learn.batch_today import Categories, Explored, Today
from tailorbird.learn.deployed import Deployed
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
from tailorbird.learn.shelf import Shelf
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
    """What the store knows is told with the lines, so that many of them may go to Spark."""
    recipe, definition = catalogue.find(version["recipe_arn"]), row["definition"]
    trained = artifacts.load(room.objects, version["artifact"], batch_spark.native(room))
    count = definition.get("numResults") or DEFAULT_RESULTS
    config = definition.get("batchInferenceJobConfig") or {}
    one = Deployed(
        version["arn"], version["group_arn"], recipe, trained, version["artifact"], config
    )
    wanted = Wanted(
        count,
        recipe.scored,
        beside=recipe.type == RELATED_ITEMS,
        ranks=recipe.type == PERSONALIZED_RANKING,
        popular=recipe.type == POPULAR_ITEMS,
    )
    explores = recipe.type == USER_PERSONALIZATION and exploration.read(room, config)[0] > 0
    shelf = Asking(room, one).shelf if explores or recipe.whole_catalogue else None
    today = None if shelf is None else _today(room, one, shelf, explores)
    tell = partial(_told, room, one, definition.get("filterArn"), wanted, shelf, today)
    if batch_spark.wanted(room, lines):
        with batch_spark.opened(room, version["artifact"]) as spark:
            yield spark.plan(wanted, tell, today)
        return

    def answer(given: Given) -> dict[str, Any]:
        return batch_today.answered(trained, wanted, today, given, tell(given))

    yield batch.Plan(batch.each(answer))


def _today(room: Learn, one: Deployed, shelf: Shelf, explores: bool) -> Today:
    """What is on the shelf as the job begins; what comes later is for the next job."""
    if not explores:
        vectors = related.cold_vectors(one.trained, shelf)
        popular, fresh = influence.weighted(shelf, one.config)
        return Today(shelf.cold, vectors=vectors, popular=popular, fresh=fresh)
    return Today(shelf.cold, _categories(shelf), _explored(room, one, shelf))


def _categories(shelf: Shelf) -> Categories | None:
    if not shelf.cold:
        return None
    found = shelf.content
    return Categories(found.turned, found.cold, found.count, found.having)


def _explored(room: Learn, one: Deployed, shelf: Shelf) -> Explored:
    weight, days = exploration.read(room, one.config)
    young = np.flatnonzero(exploration.ages(shelf) < days)
    names = [shelf.id(n) for n in young.tolist()]
    seen = served.impressions(room, one.group, names)
    counts = np.array([seen.get(name, (0, 0)) for name in names], dtype=np.float64)
    shown, taken = counts.reshape(-1, 2).T
    return Explored(weight, young, shown, taken)


def _told(
    room: Learn,
    one: Deployed,
    filter_arn: str | None,
    wanted: Wanted,
    shelf: Shelf | None,
    today: Today | None,
    given: Given,
) -> Told:
    """Which items the job's filter lets by, with the line's own filterValues, and what is known of
    a user without a history. Beside an item that the model lacks the store alone can say more."""
    user, item = (
        None if given.get(key) is None else str(given[key]) for key in ("userId", "itemId")
    )
    asking, passes = Asking(room, one, user, item), None
    if shelf is not None:
        asking.shelf = shelf
    if filter_arn is not None:
        values = given.get("filterValues") or {}
        if not isinstance(values, dict):
            raise Invalid("filterValues has to be an object of names and values")
        passes = asking.passes(filter_arn, values)[:-1]
    lacking = wanted.beside and item is not None and one.trained.items.find(item) < 0
    if shelf is not None and today is not None and lacking and not given.get("itemList"):
        found = related.beside(one.trained, shelf, text(given, "itemId"))
        own = shelf.find(item or "")
        output = batch_today.best(one.trained, wanted, today, found, passes, own)
        return Told(output=output)
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
