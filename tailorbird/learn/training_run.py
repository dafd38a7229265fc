"""A training as its child process runs it: parts in, a model folder out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tailorbird.learn import (
    action_training,
    artifacts,
    automl,
    content_arrays,
    contexts,
    evaluation,
    event_rewards,
    hpo,
    material,
    neural,
    objectives,
    parts,
    people,
    percentiles,
    segment_quality,
    trend_quality,
)
from tailorbird.learn.child import Said
from tailorbird.learn.models.blend import Blend, Case
from tailorbird.learn.models.engine import TRANSFORMER
from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import Interactions, joined
from tailorbird.learn.recipes import RECIPES, own, trending_now
from tailorbird.learn.recipes.recipe import (
    PERSONALIZED_ACTIONS,
    USER_SEGMENTATION,
    Options,
    Recipe,
)

HISTORY_ROWS = 500  # newest rows of a user that a served model knows


@dataclass
class Fitted:
    """What a training found out, before it is written."""

    recipe: Recipe
    blend: Blend
    options: Options
    quality: dict[str, Any] = field(default_factory=lambda: {"metrics": None})
    cases: list[Case] = field(default_factory=list)


def run(spec: dict[str, Any], said: Said) -> dict[str, Any]:
    """Read the material, choose, measure on users kept out, refit on all, write the folder."""
    with threadpool_limits(spec["threads"]):
        return _run(spec, said)


def _run(spec: dict[str, Any], said: Said) -> dict[str, Any]:
    started, step = time.process_time(), 0

    def progress(text: str) -> None:
        nonlocal step
        step += 1
        say(text)

    def say(text: str) -> None:
        said({"step": step, "text": text})

    own.register(spec["recipe_folder"])
    options = options_of(spec, progress)
    progress("read interactions")
    choice = spec["choice"]
    data = material.read([Path(path) for path in spec["parts"]], choice)
    recipe = RECIPES[spec["recipes"][0]]
    if not recipe.by_texts:
        material.check(data, material.Minimum(**spec["minimum"]), choice)
    if recipe.whole_catalogue and options.items is not None:
        data = material.widened(data, options.items.strings["ITEM_ID"][1])
    data = joined(data)
    budget = neural.budget(spec, recipe, options.hyperparameters, data, say)
    options = replace(options, budget=budget)
    kept = percentiles.keep(data, spec["features"])
    worth = _worth(spec, options, data)
    found = _chosen(spec, data, kept, worth, options)
    final = found.recipe.refit(objectives.without(found.blend), data.keep(kept), found.options)
    final = _towards(spec, final, worth)
    arrays, about = _more(spec, data, found)
    progress("write the model")
    kinds = material.event_types(choice)
    about |= {
        "recipe": found.recipe.arn,
        "last_event": spec["last_event"],
        "event_types": sorted(kinds) if kinds else None,
    }
    paths = [Path(path) for path in spec["parts"]]
    arrays |= contexts.fit(paths, spec["context"], data.items)
    known, newcomers = people.fit(spec, found.recipe, final, data)
    arrays |= known
    about |= newcomers
    artifacts.save(Path(spec["out"]), data, final, about, HISTORY_ROWS, arrays)
    return found.quality | {
        **newcomers,
        "recipe": found.recipe.arn,
        "warnings": material.warnings(data),
        "interactions": len(data),
        "users": len(data.users),
        "items": data.item_count,
        "test_users": found.quality.get("test_users", len(found.cases)),
        "weights": found.blend.weights,
        "seen_penalty": found.blend.seen_penalty,
        "alone": found.blend.alone,
        "cpu_seconds": round(time.process_time() - started, 2),
    }


def _chosen(
    spec: dict[str, Any],
    data: Interactions,
    kept: np.ndarray,
    worth: np.ndarray | None,
    options: Options,
) -> Fitted:
    """The recipe and its blend, chosen without the users they are measured on."""
    recipe = RECIPES[spec["recipes"][0]]
    if spec.get("update"):
        return Fitted(recipe, _as_before(spec, data), options)
    segments = recipe.type == USER_SEGMENTATION
    rows, cases = (segment_quality if segments else evaluation).split(data, spec["seed"])
    train = data.keep(rows & kept)
    more: dict[str, Any] = {}
    if len(spec["recipes"]) > 1:
        recipe, tried = automl.choose(spec["recipes"], train, options)
        more["automl"] = tried
    if spec.get("hpo") is not None:
        tuned, trials = hpo.search(recipe, spec["hpo"], train, options)
        options = replace(options, hyperparameters=tuned)
        more |= {"tuned": tuned, "trials": trials}
    blend = _towards(spec, recipe.fit(train, options), worth)
    options.progress("measure")
    if segments:
        quality = segment_quality.measure(blend, train, cases, spec["seed"])
    else:
        quality = evaluation.measure(recipe, blend, train, cases, _catalogue(data.items, options))
    metrics = quality["metrics"]
    if worth is not None:
        metrics |= objectives.reward(blend, cases, worth)
    if spec["choice"].get("event_weights"):
        metrics |= event_rewards.measure(blend, data, cases)
    if recipe.feature_transformation == trending_now.RECIPE.feature_transformation:
        metrics |= trend_quality.measure(data, options)
    return Fitted(recipe, blend, options, quality | more, cases)


def _more(spec: dict[str, Any], data: Interactions, found: Fitted) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and entries of the manifest that one recipe needs beside its blend."""
    if found.recipe.whole_catalogue:
        return content_arrays.of(data, found.blend, found.options)
    if found.recipe.type != PERSONALIZED_ACTIONS:
        return {}, {}
    days = float(spec["features"].get(action_training.PERIOD, action_training.DEFAULT_DAYS))
    found.options.progress("fit actions")
    arrays, about, quality = action_training.fit(data, spec, days)
    if not spec.get("update"):
        found.quality = quality
    return arrays, about


def _worth(spec: Mapping[str, Any], options: Options, data: Interactions) -> np.ndarray | None:
    """What each item brings to the optimization objective; None without one."""
    objective = spec.get("objective")
    if not objective or options.items is None:
        return None
    return objectives.values(options.items, objective["itemAttribute"].upper(), data.items)


def _towards(spec: Mapping[str, Any], blend: Blend, worth: np.ndarray | None) -> Blend:
    if worth is None:
        return blend
    return objectives.joined(blend, worth, spec["objective"]["objectiveSensitivity"])


def options_of(spec: Mapping[str, Any], progress: Callable[[str], None]) -> Options:
    """What the solution and this machine ask of the recipe."""
    return Options(
        spec["hyperparameters"],
        spec["dense_items"],
        spec["seed"],
        progress,
        _items(spec),
        spec["metadata"],
    )


def _items(spec: Mapping[str, Any]) -> parts.Part | None:
    return None if spec.get("items") is None else parts.read(Path(spec["items"]))


def _as_before(spec: dict[str, Any], data: Interactions) -> Blend:
    """What an earlier version chose, for an update that only fits it to all rows of today."""
    manifest = spec["update"]
    scorers: dict[str, Any] = dict.fromkeys(manifest["scorers"])
    if spec.get("before"):
        scorers[TRANSFORMER] = neural.carried(spec["before"], data, manifest["kinds"])
    chosen = [manifest[name] for name in ("weights", "seen_penalty", "fallback", "alone")]
    return Blend(scorers, *chosen)


def _catalogue(items: Any, options: Options) -> int:
    """Distinct items of Interactions and Items."""
    if options.items is None:
        return len(items)
    return len({*items, *options.items.strings["ITEM_ID"][1]})
