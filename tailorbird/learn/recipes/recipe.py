"""What a recipe is: its entry in Personalize's catalogue, and how it is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.transformer_training import Budget

if TYPE_CHECKING:
    from tailorbird.learn.parts import Part

USER_PERSONALIZATION = "USER_PERSONALIZATION"
PERSONALIZED_RANKING = "PERSONALIZED_RANKING"
RELATED_ITEMS = "RELATED_ITEMS"
POPULAR_ITEMS = "POPULAR_ITEMS"
USER_SEGMENTATION = "USER_SEGMENTATION"
PERSONALIZED_ACTIONS = "PERSONALIZED_ACTIONS"

# The moment the public catalogue's recipes were made; only for display.
CREATED = 1_559_890_800.0


@dataclass(frozen=True)
class Options:
    """What a solution asks of its recipe, and the bounds of this machine."""

    hyperparameters: Mapping[str, str]
    dense_items: int  # catalogue size up to which the dense models cover every item
    seed: int
    progress: Callable[[str], None]
    items: Part | None = None  # the Items dataset's columns that may be trained on
    metadata: Mapping[str, str] = field(
        default_factory=dict
    )  # column -> categorical, textual, name
    budget: Budget | None = None  # of a transformer

    def number(self, name: str, default: float) -> float:
        """A hyperparameter (they travel as strings)."""
        return float(self.hyperparameters.get(name, default))


Fit = Callable[[Interactions, Options], Blend]
Refit = Callable[[Blend, Interactions, Options], Blend]


@dataclass(frozen=True)
class Parameter:
    """A hyperparameter; its kind is integer, continuous or categorical."""

    kind: str
    default: str
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    tunable: bool = False
    effective: bool = True  # whether it changes the engine's model


@dataclass(frozen=True)
class Recipe:
    """One recipe; adding a recipe is adding a file with one of these."""

    name: str
    type: str
    description: str
    fit: Fit  # chooses what is to be chosen, on the rows given
    refit: Refit  # the same choices on more rows
    algorithm: str = ""
    feature_transformation: str = ""
    hyperparameters: Mapping[str, Parameter] = field(default_factory=dict)
    scored: bool = True  # whether answers carry scores
    domain: str = ""  # of a domain dataset group's use case: ECOMMERCE or VIDEO_ON_DEMAND
    events: tuple[str, ...] = ()  # event types it is fitted on; empty for all
    hides: tuple[str, ...] = ()  # event types whose items are not shown to the same user again
    needs_user: bool = False  # a use case that asks for userId where the engine needs none
    needs: tuple[str, ...] = ()  # datasets beside Interactions that it cannot do without
    whole_catalogue: bool = False  # whether items without interactions are in its model
    by_texts: bool = False  # whether it goes by names and texts, and needs no interactions
    incremental: bool = False  # whether performIncrementalUpdate is for it
    origin: str = ""  # the file of a recipe of one's own

    @property
    def arn(self) -> str:
        return f"arn:aws:personalize:::recipe/{self.name}"

    @property
    def algorithm_arn(self) -> str:
        return f"arn:aws:personalize:::algorithm/{self.algorithm or self.name}"

    @property
    def feature_transformation_arn(self) -> str:
        name = self.feature_transformation or "JSON-percentile-filtering"
        return f"arn:aws:personalize:::feature-transformation/{name}"
