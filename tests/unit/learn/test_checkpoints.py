"""Checkpoints of a transformer whose rows have changed before its training goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tailorbird.learn.models.interactions import interactions

pytest.importorskip("torch")

from tailorbird.learn.models import transformer_training
from tailorbird.learn.models.transformer_training import Budget


def test_one_of_other_event_types_or_lengths_is_begun_anew(tmp_path: Path) -> None:
    """Live events that came between two attempts do not end the training."""

    def walks(rows: int, kinds: int):
        found = [
            (f"u{n}", f"i{(n + k) % 20:02}", k, f"kind{k % kinds}")
            for n in range(30)
            for k in range(rows)
        ]
        return interactions(*zip(*found, strict=True))  # type: ignore[arg-type]

    budget = Budget(seconds=60.0, epochs=1, device="cpu", checkpoint=tmp_path / "refit.npz")
    for rows, kinds in ((6, 1), (6, 2), (12, 2)):
        fitted = transformer_training.fit(walks(rows, kinds), budget)
        assert len(fitted.weights["kind"]) == kinds + 1
        assert np.isfinite(fitted.weights["item"]).all()
