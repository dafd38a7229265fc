"""Recipes of Personalize's catalogue that are named here and cannot be trained.

Their names stay known, so that a refusal can say what is missing and what comes closest.
"""

from __future__ import annotations

from dataclasses import dataclass

from tailorbird.learn.recipes.recipe import RELATED_ITEMS

TRAINED_INSTEAD = "arn:aws:personalize:::recipe/"


@dataclass(frozen=True)
class Listed:
    """A recipe's entry in the catalogue, without an engine."""

    name: str
    type: str
    description: str
    instead: str  # what to do here
    domain: str = ""

    @property
    def arn(self) -> str:
        return f"{TRAINED_INSTEAD}{self.name}"

    @property
    def algorithm_arn(self) -> str:
        return f"arn:aws:personalize:::algorithm/{self.name}"

    @property
    def feature_transformation_arn(self) -> str:
        return "arn:aws:personalize:::feature-transformation/JSON-percentile-filtering"


LISTED = {
    one.arn: one
    for one in (
        Listed(
            "aws-similar-items",
            RELATED_ITEMS,
            "Finds items like one item, by who used them and by what is known of them.",
            "aws-sims finds items that the same users interact with",
        ),
        Listed(
            "aws-semantic-similarity",
            RELATED_ITEMS,
            "Finds items whose names and texts mean something alike.",
            "aws-sims finds items that the same users interact with",
        ),
    )
}
