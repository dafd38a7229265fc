"""A training as its child process runs it: parts in, a model folder out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tailorbird.learn import artifacts, contexts, evaluation, hpo, material, segment_quality
from tailorbird.learn.child import Said
from tailorbird.learn.models.blend import Blend, Case
from tailorbird.learn.recipes import RECIPES, own
from tailorbird.learn.recipes.recipe import USER_SEGMENTATION, Options

HISTORY_ROWS = 500  # newest rows of a user that a served model knows


def run(spec: dict[str, Any], said: Said) -> dict[str, Any]:
    """Read the material, choose, measure on users kept out, refit on all, write the folder."""
    with threadpool_limits(spec["threads"]):
        return _run(spec, said)


def _run(spec: dict[str, Any], said: Said) -> dict[str, Any]:
    started, step = time.process_time(), 0

    def progress(text: str) -> None:
        nonlocal step
        step += 1
        said({"step": step, "text": text})

    own.register(spec["recipe_folder"])
    recipe = RECIPES[spec["recipe"]]
    options = Options(spec["hyperparameters"], spec["dense_items"], spec["seed"], progress)
    progress("read interactions")
    choice = spec["choice"]
    data = material.read([Path(path) for path in spec["parts"]], choice)
    material.check(data, material.Minimum(**spec["minimum"]), choice)
    quality: dict[str, Any] = {"metrics": None}
    cases: list[Case] = []
    more: dict[str, Any] = {}
    if spec.get("update"):
        blend = _as_before(spec["update"])
    else:
        segments = recipe.type == USER_SEGMENTATION
        rows, cases = (segment_quality if segments else evaluation).split(data, spec["seed"])
        train = data.keep(rows)
        if spec.get("hpo") is not None:
            tuned, trials = hpo.search(recipe, spec["hpo"], train, options)
            options = replace(options, hyperparameters=tuned)
            more = {"tuned": tuned, "trials": trials}
        blend = recipe.fit(train, options)
        progress("measure")
        if segments:
            quality = segment_quality.measure(blend, train, cases, spec["seed"])
        else:
            quality = evaluation.measure(recipe, blend, train, cases, _catalogue(data.items, spec))
    final = recipe.refit(blend, data, options)
    progress("write the model")
    kinds = material.event_types(choice)
    about = {
        "recipe": recipe.arn,
        "last_event": spec["last_event"],
        "event_types": sorted(kinds) if kinds else None,
    }
    context = contexts.fit([Path(path) for path in spec["parts"]], spec["context"], data.items)
    artifacts.save(Path(spec["out"]), data, final, about, HISTORY_ROWS, context)
    return (
        quality
        | more
        | {
            "interactions": len(data),
            "users": len(data.users),
            "items": data.item_count,
            "test_users": len(cases),
            "weights": blend.weights,
            "seen_penalty": blend.seen_penalty,
            "alone": blend.alone,
            "cpu_seconds": round(time.process_time() - started, 2),
        }
    )


def _as_before(manifest: dict[str, Any]) -> Blend:
    """What an earlier version chose, for an update that only fits it to all rows of today."""
    scorers: dict[str, Any] = dict.fromkeys(manifest["scorers"])
    chosen = [manifest[name] for name in ("weights", "seen_penalty", "fallback", "alone")]
    return Blend(scorers, *chosen)


def _catalogue(items: Any, spec: dict[str, Any]) -> int:
    """Distinct items of Interactions and Items."""
    known = set(items)
    for path in spec["item_parts"]:
        with np.load(path, allow_pickle=False) as arrays:
            known.update(material.parts.unpacked(arrays["ITEM_ID/text"], arrays["ITEM_ID/offsets"]))
    return len(known)
