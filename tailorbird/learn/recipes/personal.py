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
BY_SETTING = -1  # of transformer_seconds: as the setting learn_transformer_seconds says
TRANSFORMER_SECONDS = "transformer_seconds"
MOST_TRANSFORMER_SECONDS = 86_400


def seconds(default: int) -> dict[str, Parameter]:
    """Our own hyperparameter: how long a transformer learns; 0 is none, -1 goes by the setting."""
    most = MOST_TRANSFORMER_SECONDS
    return {TRANSFORMER_SECONDS: Parameter("integer", str(default), BY_SETTING, most)}


RECURRENT |= seconds(0)
RECENCY = seconds(BY_SETTING) | {
    "apply_recency_bias": Parameter("categorical", "true", values=("true", "false"))
}


def fit(data: Interactions, options: Options) -> Blend:
    return engine.choose(data, options.dense_items, options.seed, options.progress, options.budget)


def refit(blend: Blend, data: Interactions, options: Options) -> Blend:
    return engine.refit(blend, data, options.dense_items, options.progress, options.budget)
