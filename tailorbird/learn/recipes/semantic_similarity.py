"""aws-semantic-similarity: items whose names, texts and categories say something alike.

The vectors are ours (models/texts.py): TF-IDF and latent semantic analysis of the catalogue's own
words, not a language model's. Interactions only tell popularity.
"""

from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.neighbours import ItemNeighbours
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.models.similar import Mix, Parts
from tailorbird.learn.recipes import content
from tailorbird.learn.recipes.recipe import RELATED_ITEMS, Options, Recipe

DIMENSIONS = 128
MIX = Mix(0.0, 0.0, 1.0)


def fit(data: Interactions, options: Options) -> Blend:
    options.progress("fit texts")
    vectors = content.vectors(data.items, options, DIMENSIONS)
    none = data.keep(data.time < -1.0)
    items = ItemNeighbours(data.item_count, Parts.of(none, 0, vectors).rows(MIX))
    return Blend({"items": items, "popular": Popular.fit(data)}, {"items-content": 1.0})


def refit(_blend: Blend, data: Interactions, options: Options) -> Blend:
    return fit(data, options)


RECIPE = Recipe(
    name="aws-semantic-similarity",
    type=RELATED_ITEMS,
    description="Finds items whose names and texts mean something alike (words of the catalogue, "
    "latent semantic analysis).",
    fit=fit,
    refit=refit,
    feature_transformation="aws-semantic-similarity",
    scored=False,
    whole_catalogue=True,
    by_texts=True,
    incremental=True,
    needs=("ITEMS",),
)
