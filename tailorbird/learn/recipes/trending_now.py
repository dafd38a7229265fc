"""aws-trending-now: the items whose interactions grow fastest from one interval to the next."""

import re

import numpy as np

from tailorbird.errors import Invalid
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.recipes.recipe import POPULAR_ITEMS, Options, Recipe

FREQUENCY = "trend_discovery_frequency"
DEFAULT_FREQUENCY = "2 hours"
UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
ALLOWED_SECONDS = (1_800, 3_600, 7_200, 10_800, 86_400)
TIE = 1e-3  # popularity orders items that grow alike


def seconds(text: str) -> int:
    """The interval of a frequency, `30 minutes` to `1 day`; Invalid for one that is not known."""
    match = re.fullmatch(r"(\d+)\s*(minute|hour|day)s?", text.strip().lower())
    found = int(match[1]) * UNIT_SECONDS[match[2]] if match else 0
    if found not in ALLOWED_SECONDS:
        raise Invalid(
            f"{FREQUENCY} is {text!r}; 30 minutes, 1 hour, 2 hours, 3 hours or 1 day is right"
        )
    return found


def growth(item: np.ndarray, time: np.ndarray, count: int, interval: float) -> np.ndarray:
    """Each item's rate: interactions of the last interval over those of the one before.

    Both are shrunk by the mean count, so that one interaction more is no trend. Nothing happened
    in either interval: zeros.
    """
    age = time.max() - time if len(time) else time
    last = np.bincount(item[age < interval], minlength=count).astype(float)
    before = np.bincount(item[(age >= interval) & (age < 2 * interval)], minlength=count).astype(
        float
    )
    seen = (last + before) > 0
    if not seen.any():
        return np.zeros(count)
    shrink = float((last + before)[seen].mean()) / 2
    return np.log((last + shrink) / (before + shrink))


def interval(options: Options) -> int:
    """The seconds a training compares with those before."""
    return seconds(options.hyperparameters.get(FREQUENCY, DEFAULT_FREQUENCY))


def scores(data: Interactions, options: Options) -> np.ndarray:
    """Growth of every item; popularity orders those that grow alike."""
    rates = growth(data.item, data.time, data.item_count, interval(options))
    usual = Popular.by_users(data).scores
    return (rates + TIE * usual / max(float(usual.max(initial=0.0)), 1.0)).astype(np.float32)


def fit(data: Interactions, options: Options) -> Blend:
    options.progress("fit trend")
    return Blend({"popular": Popular(scores(data, options))}, {"popular": 1.0})


def refit(_blend: Blend, data: Interactions, options: Options) -> Blend:
    return fit(data, options)


RECIPE = Recipe(
    name="aws-trending-now",
    type=POPULAR_ITEMS,
    description="Finds the items whose interactions grow fastest.",
    fit=fit,
    refit=refit,
    algorithm="aws-trending-now-custom",
    feature_transformation="trending-now",
    scored=False,
)
