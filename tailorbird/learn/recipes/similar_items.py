"""aws-similar-items: items that the same people use and that are described alike."""

from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.neighbours import ItemNeighbours
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.models.similar import Mix, Parts, choose
from tailorbird.learn.recipes import content
from tailorbird.learn.recipes.recipe import RELATED_ITEMS, Options, Parameter, Recipe

ID_DIMENSIONS, METADATA_DIMENSIONS = "item_id_hidden_dim", "item_metadata_hidden_dim"
ROWS = "items"


def fit(data: Interactions, options: Options) -> Blend:
    """Choose the mix on held-out rows, then the lists of all items."""
    factors = int(options.number(ID_DIMENSIONS, 100))
    vectors = content.vectors(data.items, options, int(options.number(METADATA_DIMENSIONS, 100)))
    options.progress("choose the mix")
    mix, alone = choose(data, factors, vectors, options.seed)
    return _blend(data, mix, factors, vectors, alone, options)


def refit(blend: Blend, data: Interactions, options: Options) -> Blend:
    factors = int(options.number(ID_DIMENSIONS, 100))
    vectors = content.vectors(data.items, options, int(options.number(METADATA_DIMENSIONS, 100)))
    return _blend(data, mix_of(blend), factors, vectors, blend.alone, options)


def mix_of(blend: Blend) -> Mix:
    """The mix a blend's weights say."""
    names = ("items-neighbours", "items-factors", "items-content")
    return Mix(*(blend.weights.get(name, 0.0) for name in names))


def _blend(
    data: Interactions,
    mix: Mix,
    factors: int,
    vectors: object,
    alone: dict[str, float],
    options: Options,
) -> Blend:
    options.progress("fit items")
    parts = Parts.of(data, factors, vectors)  # type: ignore[arg-type]
    items = ItemNeighbours(data.item_count, parts.rows(mix))
    weights = {
        "items-neighbours": mix.neighbours,
        "items-factors": mix.factors,
        "items-content": mix.content,
    }
    return Blend({ROWS: items, "popular": Popular.fit(data)}, weights, alone=alone)


RECIPE = Recipe(
    name="aws-similar-items",
    type=RELATED_ITEMS,
    description="Finds items like one item, by who used them and by what is known of them.",
    fit=fit,
    refit=refit,
    hyperparameters={
        ID_DIMENSIONS: Parameter("integer", "100", 30, 200, tunable=True),
        METADATA_DIMENSIONS: Parameter("integer", "100", 30, 200, tunable=True),
    },
    scored=False,
    whole_catalogue=True,
)
