"""aws-user-personalization: what this user is likely to want next."""

from tailorbird.learn.recipes import personal
from tailorbird.learn.recipes.recipe import USER_PERSONALIZATION, Recipe

RECIPE = Recipe(
    name="aws-user-personalization",
    type=USER_PERSONALIZATION,
    description="Predicts the items a user will interact with next, from all users' histories.",
    fit=personal.fit,
    refit=personal.refit,
    hyperparameters=personal.RECURRENT,
)
