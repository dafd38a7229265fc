"""aws-personalized-ranking: the caller's own list in the order this user would like it."""

from tailorbird.learn.recipes import personal
from tailorbird.learn.recipes.recipe import PERSONALIZED_RANKING, Recipe

RECIPE = Recipe(
    name="aws-personalized-ranking",
    type=PERSONALIZED_RANKING,
    description="Puts a list of items into the order in which this user is likely to want them.",
    fit=personal.fit,
    refit=personal.refit,
    hyperparameters=personal.RECURRENT,
)
