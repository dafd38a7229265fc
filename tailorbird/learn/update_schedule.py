"""Which versions are brought up to date by themselves, and how often.

Source: Personalize developer guide, "Automatic updates", "Trending-Now recipe" and
"Semantic-Similarity recipe".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.learn.recipes import RECIPES, trending_now
from tailorbird.learn.recipes.recipe import PERSONALIZED_ACTIONS, USER_PERSONALIZATION, Recipe
from tailorbird.learn.room import Learn

KIND = "learn.automatic_update"
QUEUE = "learn"
HOUR_SECONDS, MINUTE_SECONDS = 3_600.0, 60.0
TREND_MOST_SECONDS = 2 * HOUR_SECONDS
INCREMENTAL_SECONDS = 30 * MINUTE_SECONDS
LEGACY = "aws-hrnn"


def seconds(room: Learn, recipe_arn: str, definition: Mapping[str, Any]) -> float:
    """From one update to the next; 0 where there are none."""
    recipe, settings = RECIPES.get(recipe_arn), room.settings
    if recipe is None or settings.learn_automatic_update_hours <= 0:
        return 0.0
    usual = settings.learn_automatic_update_hours * HOUR_SECONDS
    if is_trend(recipe):
        if settings.learn_trend_minutes > 0:
            return settings.learn_trend_minutes * MINUTE_SECONDS
        config = (definition.get("solutionConfig") or {}).get("featureTransformationParameters")
        frequency = (config or {}).get(trending_now.FREQUENCY, trending_now.DEFAULT_FREQUENCY)
        return min(float(trending_now.seconds(frequency)), TREND_MOST_SECONDS)
    if recipe.incremental:
        return INCREMENTAL_SECONDS if definition.get("performIncrementalUpdate") else 0.0
    own = recipe.type in (USER_PERSONALIZATION, PERSONALIZED_ACTIONS)
    return usual if own and not recipe.name.startswith(LEGACY) else 0.0


def is_trend(recipe: Recipe) -> bool:
    return recipe.feature_transformation == trending_now.RECIPE.feature_transformation


def begin(
    room: Learn, conn: Connection, arn: str, recipe_arn: str, definition: Mapping[str, Any]
) -> None:
    """A version is ACTIVE: the job that keeps it up to date, where there is one."""
    wait = seconds(room, recipe_arn, definition)
    if wait > 0:
        due = room.clock.now() + wait
        room.jobs.enqueue(conn, KIND, {"arn": arn}, queue=QUEUE, due=due)
