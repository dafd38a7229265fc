"""AutoML: the recipe whose lists are best on users held out, of those a solution may use.

Source: Personalize API reference, CreateSolution (performAutoML) and AutoMLConfig.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.learn import evaluation
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.recipe import (
    POPULAR_ITEMS,
    USER_PERSONALIZATION,
    Options,
    Recipe,
)

PREFIX = "arn:aws:personalize:::recipe/"
DEFAULT = (f"{PREFIX}aws-user-personalization", f"{PREFIX}aws-popularity-count")


def candidates(definition: Mapping[str, Any]) -> list[str]:
    """The recipes to try; Invalid names one that recommends nothing for a user."""
    config = (definition.get("solutionConfig") or {}).get("autoMLConfig") or {}
    wanted = list(dict.fromkeys(config.get("recipeList") or DEFAULT))
    for arn in wanted:
        recipe = RECIPES.get(arn)
        if recipe is None or recipe.domain:
            raise Invalid(f"autoMLConfig.recipeList: {arn} is no recipe of a solution")
        if recipe.type not in (USER_PERSONALIZATION, POPULAR_ITEMS):
            raise Invalid(
                f"autoMLConfig.recipeList: {recipe.name} recommends nothing for a user; AutoML "
                "chooses among recipes that do"
            )
    return wanted


def choose(
    arns: list[str], data: Interactions, options: Options
) -> tuple[Recipe, list[dict[str, Any]]]:
    """The best recipe by NDCG on users held out, and what each of them reached."""
    if len(arns) == 1:
        return RECIPES[arns[0]], []
    rows, cases = evaluation.split(data, options.seed + 2)
    train = data.keep(rows)
    tried = []
    for arn in arns:
        options.progress(f"try {arn.removeprefix(PREFIX)}")
        blend = RECIPES[arn].fit(train, replace(options, hyperparameters={}, budget=None))
        quality = evaluation.measure(RECIPES[arn], blend, train, cases, data.item_count)
        tried.append({"recipeArn": arn, "ndcg_at_10": quality["honest"]["ndcg_at_10"]})
    best = max(tried, key=lambda one: one["ndcg_at_10"])
    return RECIPES[best["recipeArn"]], tried
