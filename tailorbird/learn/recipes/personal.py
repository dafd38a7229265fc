"""What the user recipes share: the blend that suits the data."""

from tailorbird.learn.models import engine
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.recipes.recipe import Options, Parameter

RECURRENT = {
    "hidden_dimension": Parameter("integer", "149", 32, 256, tunable=True, effective=False),
    "bptt": Parameter("integer", "32", 2, 32, tunable=True, effective=False),
    "recency_mask": Parameter(
        "categorical", "true", values=("true", "false"), tunable=True, effective=False
    ),
}
RECENCY = {"apply_recency_bias": Parameter("categorical", "true", values=("true", "false"))}


def fit(data: Interactions, options: Options) -> Blend:
    return engine.choose(data, options.dense_items, options.seed, options.progress)


def refit(blend: Blend, data: Interactions, options: Options) -> Blend:
    return engine.refit(blend, data, options.dense_items, options.progress)
