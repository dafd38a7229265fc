"""aws-popularity-count: the items with the most distinct users, the same for everybody."""

from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.recipes.recipe import POPULAR_ITEMS, Options, Recipe


def fit(data: Interactions, options: Options) -> Blend:
    options.progress("fit popular")
    return Blend({"popular": Popular.by_users(data)}, {"popular": 1.0})


def refit(_blend: Blend, data: Interactions, options: Options) -> Blend:
    return fit(data, options)


RECIPE = Recipe(
    name="aws-popularity-count",
    type=POPULAR_ITEMS,
    description="Counts the users of each item and returns the items that have the most.",
    fit=fit,
    refit=refit,
    scored=False,
)
