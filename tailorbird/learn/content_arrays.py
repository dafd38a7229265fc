"""What serving needs to place items that came after the training: words, vectors and scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from tailorbird.learn.artifacts import Trained
from tailorbird.learn.metadata import Record
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.texts import Texts
from tailorbird.learn.recipes import content, semantic_similarity, similar_items
from tailorbird.learn.recipes.recipe import Options

PREFIX = "texts."


def of(data: Interactions, blend: Blend, options: Options) -> tuple[Arrays, dict[str, Any]]:
    """Arrays of the model and an entry of its manifest; nothing without metadata."""
    wanted = options.number(similar_items.METADATA_DIMENSIONS, semantic_similarity.DIMENSIONS)
    found = content.fitted(options, int(wanted))
    if found is None:
        return {}, {}
    texts, records = found
    vectors = texts.vectors(records.get(one, {}) for one in data.items)
    uses = np.bincount(data.item, minlength=data.item_count)
    scale = similar_items.mix_of(blend).content_scale(uses).astype(np.float32)
    arrays = texts.arrays() | {"vectors": vectors, "scale": scale}
    return {f"{PREFIX}{name}": one for name, one in arrays.items()}, {"roles": texts.roles}


class Content:
    """The stored vectors of a model, and the way to those of new items."""

    def __init__(self, trained: Trained) -> None:
        arrays = {
            name.removeprefix(PREFIX): one
            for name, one in trained.extra.items()
            if name.startswith(PREFIX)
        }
        self.texts = Texts.load(arrays, trained.manifest["roles"])
        self.vectors, self.scale = arrays["vectors"], arrays["scale"]

    def alike(self, wanted: np.ndarray) -> np.ndarray:
        """Likeness of every item of the model to a vector, 0 for what is not alike."""
        return np.maximum(self.vectors @ wanted, 0.0)

    def vector(self, record: Record) -> np.ndarray:
        return self.texts.vectors([record])[0]


def content_of(trained: Trained) -> Content | None:
    """The model's content, read once; None where it has none."""
    if trained.content is None and f"{PREFIX}vectors" in trained.extra:
        trained.content = Content(trained)
    found: Content | None = trained.content
    return found
