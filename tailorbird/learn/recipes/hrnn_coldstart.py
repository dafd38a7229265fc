"""aws-hrnn-coldstart: a legacy name of user personalization that older code still uses.

What it says of cold items is checked and kept: new items are in every answer's catalogue anyway.
"""

from collections.abc import Mapping

from tailorbird.errors import Invalid
from tailorbird.learn.recipes import personal
from tailorbird.learn.recipes.recipe import USER_PERSONALIZATION, Recipe

RELATIVE_FROM = "cold_start_relative_from"
MOMENTS = ("currentTime", "latestItem")
NUMBERS = ("cold_start_max_interactions", "cold_start_max_duration")
COLD_START = {NUMBERS[0]: "15", NUMBERS[1]: "5.0", RELATIVE_FROM: MOMENTS[0]}


def check(given: Mapping[str, str]) -> None:
    """Invalid names the parameter that is none."""
    if given.get(RELATIVE_FROM, MOMENTS[0]) not in MOMENTS:
        raise Invalid(f"{RELATIVE_FROM} is {given[RELATIVE_FROM]!r}; {' or '.join(MOMENTS)}")
    for name in NUMBERS:
        if name in given and not given[name].replace(".", "", 1).isdecimal():
            raise Invalid(f"{name} is {given[name]!r}; a number, 0 or more, is right")


RECIPE = Recipe(
    name="aws-hrnn-coldstart",
    type=USER_PERSONALIZATION,
    description="Legacy name; trained as aws-user-personalization is.",
    fit=personal.fit,
    refit=personal.refit,
    hyperparameters=personal.RECURRENT,
    feature_transformation="featurize_coldstart",
)
