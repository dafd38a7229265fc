"""aws-user-personalization-v2: the same engine under the newer name."""

from tailorbird.learn.recipes import personal
from tailorbird.learn.recipes.recipe import USER_PERSONALIZATION, Recipe

RECIPE = Recipe(
    name="aws-user-personalization-v2",
    type=USER_PERSONALIZATION,
    description="Predicts the items a user will interact with next, from all users' histories.",
    fit=personal.fit,
    refit=personal.refit,
    hyperparameters=personal.RECENCY,
)
