"""aws-item-affinity and aws-item-attribute-affinity: which users are likely to want an item."""

from tailorbird.learn.recipes import personal
from tailorbird.learn.recipes.recipe import USER_SEGMENTATION, Parameter, Recipe

HYPERPARAMETERS = {
    "hidden_dimension": Parameter("integer", "149", 32, 256, tunable=True, effective=False)
}

ITEM_AFFINITY = Recipe(
    name="aws-item-affinity",
    type=USER_SEGMENTATION,
    description="Finds the users who are likely to interact with an item (batch segment jobs).",
    fit=personal.fit,
    refit=personal.refit,
    hyperparameters=HYPERPARAMETERS,
)
ITEM_ATTRIBUTE_AFFINITY = Recipe(
    name="aws-item-attribute-affinity",
    type=USER_SEGMENTATION,
    description="Finds the users who are likely to interact with items that have an attribute "
    "(batch segment jobs).",
    fit=personal.fit,
    refit=personal.refit,
    hyperparameters=HYPERPARAMETERS,
)
RECIPES = (ITEM_AFFINITY, ITEM_ATTRIBUTE_AFFINITY)
