"""The transformer in a training: who gets one, for how long, and the checkpoints of a killed one.

By itself it joins the recipes that ask for it when torch is installed and there is enough to learn
from; the hyperparameter `transformer_seconds` says so for any user recipe, or says no.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import artifacts
from tailorbird.learn.models import checkpoints
from tailorbird.learn.models.engine import TRANSFORMER
from tailorbird.learn.models.ids import unpacked
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.network import HEADS
from tailorbird.learn.models.transformer import Transformer
from tailorbird.learn.models.transformer_training import Budget
from tailorbird.learn.recipes.personal import BY_SETTING, TRANSFORMER_SECONDS
from tailorbird.learn.recipes.recipe import Recipe
from tailorbird.learn.room import Learn

PHASES = ("choose", "refit")
EPOCHS = "epochs"  # what a stored one has learned, beside its weights
LINE = "transformer: "  # what its progress lines begin with
REMEDY = "pip install 'tailorbird[torch]' where trainings run"


def spec(room: Learn, job_id: int, folder: Path) -> dict[str, Any]:
    """What a child needs: the settings, and the checkpoints an earlier attempt left."""
    here = folder / "checkpoints"
    here.mkdir()
    for phase in PHASES:
        try:
            (here / f"{phase}.npz").write_bytes(room.objects.get(f"{_kept(room, job_id)}/{phase}"))
        except NotFound:
            continue
    settings = room.settings
    return {
        "seconds": settings.learn_transformer_seconds,
        "rows": settings.learn_transformer_rows,
        "device": settings.learn_transformer_device,
        "checkpoints": str(here),
    }


def before(room: Learn, uri: str | None, folder: Path) -> str | None:
    """The transformer of a stored model by item ids, for an update; None where it has none."""
    if uri is None:
        return None
    trained = artifacts.load(room.objects, uri)
    model = trained.blend.scorers.get(TRANSFORMER)
    if not isinstance(model, Transformer):
        return None
    path = folder / "before.npz"
    arrays = model.weights | {EPOCHS: np.array(model.epochs)}
    checkpoints.write(path, trained.items, model.cover, arrays)
    return str(path)


def carried(path: str, data: Interactions, kinds: list[str]) -> Transformer:
    """That transformer under the numbers of these rows; `kinds` are the event types it knows."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    names = unpacked(arrays.pop("ids_text"), arrays.pop("ids_offsets"))
    epochs = float(arrays.pop(EPOCHS, 0.0))
    number = np.array([data.items.find(name) for name in names], dtype=np.int64)
    left = np.flatnonzero(number >= 0)
    rows = left[np.argsort(number[left])]
    places = [0, *(kinds.index(one) + 1 if one in kinds else 0 for one in data.kinds)]
    arrays |= {"item": arrays["item"][rows], "kind": arrays["kind"][places]}
    return Transformer(data.item_count, number[rows], HEADS, arrays, epochs)


def budget(
    spec: dict[str, Any],
    recipe: Recipe,
    hyperparameters: Mapping[str, str],
    data: Interactions,
    say: Callable[[str], None],
) -> Budget | None:
    """How long the transformer of this training may learn; None for a training without one."""
    if TRANSFORMER_SECONDS not in recipe.hyperparameters:
        return None
    given = recipe.hyperparameters[TRANSFORMER_SECONDS].default
    seconds = float(hyperparameters.get(TRANSFORMER_SECONDS, given))
    wished, bounds = seconds > 0, spec["transformer"]
    if seconds == BY_SETTING:
        enough = len(data) >= bounds["rows"] and installed()
        seconds = bounds["seconds"] if enough else 0.0
    if seconds <= 0:
        return None
    if wished and not installed():
        raise Invalid(f"{TRANSFORMER_SECONDS} is {seconds:g}, but torch is missing: {REMEDY}")
    return Budget(
        seconds,
        threads=spec["threads"],
        seed=spec["seed"],
        device=bounds["device"],
        checkpoint=Path(bounds["checkpoints"]),
        progress=say,
    )


def installed() -> bool:
    return find_spec("torch") is not None


def heard(room: Learn, job_id: int, spec: dict[str, Any], text: str) -> str:
    """Keep a checkpoint that the child has written; what a person may read of the line."""
    if text.startswith(checkpoints.SAID):
        file = Path(spec["transformer"]["checkpoints"]) / text.removeprefix(checkpoints.SAID)
        room.objects.put(f"{_kept(room, job_id)}/{file.stem}", file)
        return ""
    return text if text.startswith(LINE) else ""


def forget(room: Learn, job_id: int) -> None:
    """The checkpoints of a training that ended."""
    artifacts.drop(room.objects, _kept(room, job_id))


def _kept(room: Learn, job_id: int) -> str:
    return f"s3://{room.settings.learn_bucket}/checkpoints/{job_id}"
