"""aws-hrnn-coldstart: a legacy name of user personalization that older code still uses."""

from tailorbird.learn.recipes import personal
from tailorbird.learn.recipes.recipe import USER_PERSONALIZATION, Recipe

RECIPE = Recipe(
    name="aws-hrnn-coldstart",
    type=USER_PERSONALIZATION,
    description="Legacy name; trained as aws-user-personalization is.",
    fit=personal.fit,
    refit=personal.refit,
    hyperparameters=personal.RECURRENT,
)
