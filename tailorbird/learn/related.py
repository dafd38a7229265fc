"""Scores beside an item, for items of the model and for those that came since."""

from __future__ import annotations

import numpy as np

from tailorbird.learn import shelf as shelves
from tailorbird.learn.artifacts import Trained
from tailorbird.learn.content_arrays import Content, content_of
from tailorbird.learn.shelf import Shelf


def beside(trained: Trained, shelf: Shelf, item: str) -> np.ndarray:
    """A score for everything on the shelf, 0 for what is not related.

    An item the model lacks goes by its metadata, else by popularity.
    """
    number, content = trained.items.find(item), content_of(trained)
    if number >= 0:
        scores = trained.blend.scorers["items"].similar(number)  # type: ignore[attr-defined]
        if content is None:
            cold = np.zeros(len(shelf.cold), dtype=scores.dtype)
        else:
            cold = content.scale[number] * _cold(shelf, content, content.vectors[number])
        return np.concatenate([scores, cold])
    if content is not None:
        wanted = content.vector(shelf.record(item))
        if wanted.any():
            return np.concatenate([content.alike(wanted), _cold(shelf, content, wanted)])
    alike = shelf.beside(item)
    return shelves.popular(shelf) if alike is None else alike


def cold_vectors(trained: Trained, shelf: Shelf) -> np.ndarray | None:
    """What the items that came since say of themselves; None where the model knows no words."""
    content = content_of(trained)
    return None if content is None else _vectors(shelf, content)


def _cold(shelf: Shelf, content: Content, wanted: np.ndarray) -> np.ndarray:
    """Likeness of the items that came since."""
    return np.maximum(_vectors(shelf, content) @ wanted, 0.0)


def _vectors(shelf: Shelf, content: Content) -> np.ndarray:
    """They are kept with the shelf."""
    if shelf.cold_vectors is None:
        shelf.cold_vectors = content.texts.vectors(shelf.record(one) for one in shelf.cold)
    return shelf.cold_vectors
