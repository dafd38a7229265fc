"""Hyperparameter optimisation: trials over the asked ranges, the best by NDCG on users held out.

Only hyperparameters that change the engine's model are tried; the others keep their value.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.learn import evaluation
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.recipes.recipe import Options, Parameter, Recipe

MOST_TRIALS = 40
DEFAULT_TRIALS = 10
RANGES = ("integer", "continuous", "categorical")
PREFIXES = ("training.", "data.")  # of names as the service's Describe shows them

Draw = Callable[[random.Random], str]


def check(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Invalid when a range is not the recipe's to tune or the number of trials is out of bounds."""
    trials(config)
    draws(recipe, config)


def trials(config: Mapping[str, Any]) -> int:
    text = (config.get("hpoResourceConfig") or {}).get("maxNumberOfTrainingJobs")
    if text is None:
        return DEFAULT_TRIALS
    if not str(text).isdigit() or not 1 <= int(text) <= MOST_TRIALS:
        raise Invalid(f"maxNumberOfTrainingJobs is {text!r}; 1 to {MOST_TRIALS} is right")
    return int(text)


def draws(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Draw]:
    """How to draw each hyperparameter: in the ranges asked for, else in the recipe's own."""
    asked = config.get("algorithmHyperParameterRanges") or {}
    found = {
        name: _whole_range(one)
        for name, one in recipe.hyperparameters.items()
        if one.tunable and one.effective and not any(asked.values())
    }
    for kind in RANGES:
        for given in asked.get(f"{kind}HyperParameterRanges") or []:
            name = given.get("name", "")
            for prefix in PREFIXES:
                name = name.removeprefix(prefix)
            parameter = recipe.hyperparameters.get(name)
            if parameter is None or not parameter.tunable or parameter.kind != kind:
                able = [n for n, one in recipe.hyperparameters.items() if one.tunable]
                raise Invalid(
                    f"{recipe.name} has no tunable {kind} hyperparameter {name!r}; "
                    f"it has {', '.join(able) or 'none'}"
                )
            drawn = _range(name, parameter, given)
            if parameter.effective:
                found[name] = drawn
    return found


def search(
    recipe: Recipe, config: Mapping[str, Any], data: Interactions, options: Options
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The best hyperparameters, and every trial; the first trial is what is set."""
    drawn = draws(recipe, config)
    start = {name: one.default for name, one in recipe.hyperparameters.items()}
    start |= dict(options.hyperparameters)
    if not drawn:
        return start, []
    rows, cases = evaluation.split(data, options.seed + 1)
    train = data.keep(rows)
    options = replace(options, budget=None)  # one transformer is enough
    randomly = random.Random(options.seed)
    tried: list[dict[str, Any]] = []
    for n in range(trials(config)):
        chosen = start if n == 0 else start | {k: draw(randomly) for k, draw in drawn.items()}
        options.progress(f"trial {n + 1}")
        quiet = replace(options, hyperparameters=chosen, progress=lambda _text: None)
        blend = recipe.fit(train, quiet)
        quality = evaluation.measure(recipe, blend, train, cases, data.item_count)
        ndcg = quality["honest"]["ndcg_at_10"]
        tried.append({"hyperparameters": chosen, "ndcg_at_10": ndcg})
    return max(tried, key=lambda one: one["ndcg_at_10"])["hyperparameters"], tried


def _whole_range(one: Parameter) -> Draw:
    if one.kind == "categorical":
        return lambda randomly: randomly.choice(one.values)
    assert one.low is not None and one.high is not None
    return _between(one.kind, one.low, one.high)


def _range(name: str, one: Parameter, given: Mapping[str, Any]) -> Draw:
    if one.kind == "categorical":
        values = [str(value).lower() for value in given.get("values") or ()]
        if not values or any(value not in one.values for value in values):
            raise Invalid(f"{name}: values are {values}; some of {', '.join(one.values)} are right")
        return lambda randomly: randomly.choice(values)
    assert one.low is not None and one.high is not None
    low, high = given.get("minValue", one.low), given.get("maxValue", one.high)
    if not one.low <= low <= high <= one.high:
        raise Invalid(f"{name}: {low} to {high}; a range in {one.low} to {one.high} is right")
    return _between(one.kind, low, high)


def _between(kind: str, low: float, high: float) -> Draw:
    if kind == "integer":
        return lambda randomly: str(randomly.randint(int(low), int(high)))
    return lambda randomly: f"{randomly.uniform(low, high):.4f}"
