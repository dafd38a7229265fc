"""aws-sims: items used by the same people, popular ones damped."""

from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.neighbours import ItemNeighbours
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.recipes.recipe import RELATED_ITEMS, Options, Parameter, Recipe

KEEP = 500  # a request may ask for 500 items


def fit(data: Interactions, options: Options) -> Blend:
    options.progress("fit items")
    items = ItemNeighbours.in_sequence(
        data,
        discount=options.number("popularity_discount_factor", 0.5),
        min_pairs=int(options.number("min_cointeraction_count", 3)),
        keep=KEEP,
    )
    return Blend({"items": items, "popular": Popular.fit(data)}, {"items": 1.0})


def refit(_blend: Blend, data: Interactions, options: Options) -> Blend:
    return fit(data, options)


RECIPE = Recipe(
    name="aws-sims",
    type=RELATED_ITEMS,
    description="Finds items that the same users interact with (item-to-item filtering).",
    fit=fit,
    refit=refit,
    feature_transformation="sims",
    hyperparameters={
        "popularity_discount_factor": Parameter("continuous", "0.5", 0.0, 1.0, tunable=True),
        "min_cointeraction_count": Parameter("integer", "3", 0, 10, tunable=True),
    },
    scored=False,
)
