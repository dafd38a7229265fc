"""ListRecipes and DescribeRecipe: the read-only catalogue of what can be trained."""

from __future__ import annotations

from typing import Any

from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotFound
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.recipe import CREATED, Recipe
from tailorbird.learn.records import ACTIVE, PAGE_SIZE
from tailorbird.learn.room import Learn


def find(recipe_arn: str) -> Recipe:
    """The recipe; NotFound lists what there is."""
    if recipe_arn not in RECIPES:
        names = ", ".join(recipe.name for recipe in RECIPES.values())
        raise NotFound(f"The given recipe does not exist: {recipe_arn}. Built are: {names}")
    return RECIPES[recipe_arn]


def list_recipes(_room: Learn, _caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    size = request.get("maxResults") or PAGE_SIZE
    rows = [] if request.get("domain") else list(RECIPES.values())
    start = _start(request.get("nextToken"), len(rows))
    answer: dict[str, Any] = {"recipes": [_summary(one) for one in rows[start : start + size]]}
    if start + size < len(rows):
        answer["nextToken"] = str(start + size)
    return answer


def describe_recipe(_room: Learn, _caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    recipe = find(request["recipeArn"])
    return {
        "recipe": {
            "name": recipe.name,
            "recipeArn": recipe.arn,
            "algorithmArn": recipe.algorithm_arn,
            "featureTransformationArn": recipe.feature_transformation_arn,
            "status": ACTIVE,
            "description": recipe.description,
            "creationDateTime": CREATED,
            "recipeType": recipe.type,
            "lastUpdatedDateTime": CREATED,
        }
    }


def _summary(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "recipeArn": recipe.arn,
        "status": ACTIVE,
        "creationDateTime": CREATED,
        "lastUpdatedDateTime": CREATED,
    }


def _start(token: str | None, count: int) -> int:
    if token is None:
        return 0
    if not token.isdigit() or not 0 < int(token) < max(count, 1):
        raise Invalid(
            "nextToken is not one that an earlier answer gave", code="InvalidNextTokenException"
        )
    return int(token)
