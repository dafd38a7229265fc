"""ListRecipes, DescribeRecipe, DescribeAlgorithm, DescribeFeatureTransformation: read only."""

from __future__ import annotations

from typing import Any

from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotFound
from tailorbird.learn.recipes import RECIPES, hrnn_coldstart
from tailorbird.learn.recipes.recipe import (
    CREATED,
    POPULAR_ITEMS,
    USER_SEGMENTATION,
    Parameter,
    Recipe,
)
from tailorbird.learn.records import ACTIVE, page_of, scope, token
from tailorbird.learn.room import Learn

SERVICE = "SERVICE"
MOMENTS = {"creationDateTime": CREATED, "lastUpdatedDateTime": CREATED}
FEATURE_TRANSFORMATIONS: dict[str, dict[str, str]] = {
    "JSON-percentile-filtering": {
        "min_user_history_length_percentile": "0.0",
        "max_user_history_length_percentile": "0.99",
    },
    "featurize_coldstart": {
        "min_user_history_length_percentile": "0.0",
        "max_user_history_length_percentile": "0.99",
        **hrnn_coldstart.COLD_START,
    },
    "next-best-action": {"action_optimization_period": "14"},
    "trending-now": {"trend_discovery_frequency": "2 hours"},
    "sims": {
        "min_user_history_length_percentile": "0.005",
        "max_user_history_length_percentile": "0.995",
        "min_item_interaction_count_percentile": "0.01",
        "max_item_interaction_count_percentile": "0.9",
    },
}


def find(recipe_arn: str) -> Recipe:
    """The recipe; NotFound lists what there is."""
    if recipe_arn in RECIPES:
        return RECIPES[recipe_arn]
    names = ", ".join(recipe.name for recipe in RECIPES.values())
    raise NotFound(f"The given recipe does not exist: {recipe_arn}. Built are: {names}")


def feature_parameters(recipe: Recipe) -> list[str]:
    """The featurization parameters a solution of this recipe may set."""
    if recipe.type in (POPULAR_ITEMS, USER_SEGMENTATION) and not recipe.feature_transformation:
        return []
    return list(FEATURE_TRANSFORMATIONS.get(recipe.feature_transformation_arn.split("/")[-1], {}))


def list_recipes(_room: Learn, _caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The whole catalogue, or a domain's part of it.

    A first page without maxResults holds everything and names an empty page to follow: AWS's
    workshop (immersion day, Retail 02) takes the service's token for granted.
    """
    domain = request.get("domain")
    if request.get("recipeProvider", SERVICE) != SERVICE:
        raise Invalid(f"recipeProvider is {request['recipeProvider']!r}; SERVICE is right")
    rows = [one for one in RECIPES.values() if domain is None or one.domain == domain]
    shown, more = page_of(rows, "recipes", request)
    if more is None and not request.get("nextToken") and not request.get("maxResults"):
        more = token(scope("recipes", request), len(rows))
    answer: dict[str, Any] = {"recipes": [_summary(one) for one in shown]}
    return answer | ({"nextToken": more} if more else {})


def describe_recipe(_room: Learn, _caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    recipe = RECIPES.get(request["recipeArn"])
    if recipe is None:
        raise NotFound(f"The given recipe does not exist: {request['recipeArn']}")
    return {
        "recipe": {
            "name": recipe.name,
            "recipeArn": recipe.arn,
            "algorithmArn": recipe.algorithm_arn,
            "featureTransformationArn": recipe.feature_transformation_arn,
            "status": ACTIVE,
            "description": recipe.description,
            "recipeType": recipe.type,
            **MOMENTS,
        }
    }


def describe_algorithm(_room: Learn, _caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """An algorithm's hyperparameters: defaults, ranges, and whether HPO may tune them."""
    arn = request["algorithmArn"]
    recipe = next((one for one in RECIPES.values() if one.algorithm_arn == arn), None)
    if recipe is None:
        raise NotFound(f"The given algorithm does not exist: {arn}")
    known = recipe.hyperparameters
    ranges: dict[str, list[dict[str, Any]]] = {
        f"{kind}HyperParameterRanges": [
            _range(name, one) for name, one in known.items() if one.kind == kind
        ]
        for kind in ("integer", "continuous", "categorical")
    }
    return {
        "algorithm": {
            "name": arn.rpartition("/")[2],
            "algorithmArn": arn,
            "defaultHyperParameters": {name: one.default for name, one in known.items()},
            "defaultHyperParameterRanges": ranges,
            **MOMENTS,
        }
    }


def describe_feature_transformation(
    _room: Learn, _caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    arn = request["featureTransformationArn"]
    name = arn.rpartition("/")[2]
    used = {one.feature_transformation_arn for one in RECIPES.values()}
    if arn not in used:
        raise NotFound(f"The given feature transformation does not exist: {arn}")
    return {
        "featureTransformation": {
            "name": name,
            "featureTransformationArn": arn,
            "defaultParameters": FEATURE_TRANSFORMATIONS.get(name, {}),
            "status": ACTIVE,
            **MOMENTS,
        }
    }


def _range(name: str, one: Parameter) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": name, "isTunable": one.tunable}
    if one.kind == "categorical":
        return shown | {"values": list(one.values)}
    assert one.low is not None and one.high is not None
    whole = int if one.kind == "integer" else float
    return shown | {"minValue": whole(one.low), "maxValue": whole(one.high)}


def _summary(recipe: Recipe) -> dict[str, Any]:
    shown = {"name": recipe.name, "recipeArn": recipe.arn, "status": ACTIVE, **MOMENTS}
    return shown | ({"domain": recipe.domain} if recipe.domain else {})
