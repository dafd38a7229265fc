"""Solutions: a recipe and its configuration for a dataset group."""

from __future__ import annotations

from math import isfinite, nan
from typing import Any

import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import (
    artifacts,
    automl,
    catalogue,
    datasets,
    hpo,
    percentiles,
    quotas,
    records,
    schedules,
    tags,
)
from tailorbird.learn.action_training import PERIOD
from tailorbird.learn.recipes import hrnn_coldstart, trending_now
from tailorbird.learn.recipes.recipe import (
    PERSONALIZED_RANKING,
    USER_PERSONALIZATION,
    Recipe,
)
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_campaigns,
    learn_dataset_groups,
    learn_solution_versions,
    learn_solutions,
)

GIVEN = ("performHPO", "performAutoML", "recipeArn", "eventType", "solutionConfig")
INCREMENTAL = "aws-semantic-similarity"
COLUMN_MEMBERS = ("excludedDatasetColumns", "includedDatasetColumns")
MOST_DATASETS, MOST_COLUMNS = 3, 50


def create_solution(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """A new solution, ACTIVE at once; what cannot be trained is refused here."""
    arn = records.arn_of(caller, f"solution/{request['name']}")
    group_arn = request["datasetGroupArn"]
    check_definition(request)
    with room.db.write() as conn:
        records.active(conn, learn_dataset_groups, caller, group_arn, "dataset group")
        request = schedules.begin(room, conn, request, arn)
        quotas.check_count(
            room,
            conn,
            caller,
            learn_solutions,
            "learn_max_solutions",
            learn_solutions.c.group_arn == group_arn,
        )
        records.add(
            room,
            conn,
            learn_solutions,
            caller,
            "solution",
            arn=arn,
            name=request["name"],
            status=records.ACTIVE,
            definition=request,
            group_arn=group_arn,
        )
    return {"solutionArn": arn}


def describe_solution(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    arn = request["solutionArn"]
    with room.db.read() as conn:
        row = records.find(conn, learn_solutions, caller, arn, "solution")
        newest = (
            sa.select(learn_solution_versions)
            .where(learn_solution_versions.c.solution_arn == arn)
            .order_by(learn_solution_versions.c.created.desc())
            .limit(1)
        )
        version = conn.execute(newest).mappings().first()
    shown = {"performHPO": False, "performAutoML": False} | _summary(row)
    shown |= {"datasetGroupArn": row["group_arn"]}
    shown |= records.given(row, *GIVEN, "performAutoTraining", "performIncrementalUpdate")
    if version is not None and row["definition"].get("performAutoML"):
        shown["autoMLResult"] = {"bestRecipeArn": version["recipe_arn"]}
    if row["change"] is not None:
        shown["latestSolutionUpdate"] = row["change"]
    if version is not None:
        shown["latestSolutionVersion"] = version_summary(version)
    return {"solution": shown}


def list_solutions(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All solutions, or those of a dataset group."""
    group = request.get("datasetGroupArn")
    where = () if group is None else (learn_solutions.c.group_arn == group,)
    return records.page(room, learn_solutions, caller, request, "solutions", _summary, *where)


def delete_solution(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Gone with all its versions, unless a campaign uses it or a training is under way."""
    arn = request["solutionArn"]
    versions = learn_solution_versions
    with room.db.write() as conn:
        records.deletable(conn, learn_solutions, caller, arn, "solution")
        campaigns = sa.select(learn_campaigns.c.arn).where(learn_campaigns.c.solution_arn == arn)
        records.refuse_while(conn, campaigns, f"The solution {arn} has a campaign; delete it first")
        busy = sa.select(versions.c.arn).where(
            versions.c.solution_arn == arn, versions.c.status.in_(records.BUSY)
        )
        records.refuse_while(conn, busy, f"A version of the solution {arn} is being trained")
        gone = sa.delete(versions).where(versions.c.solution_arn == arn)
        stored = conn.execute(
            gone.returning(versions.c.arn, versions.c.artifact, versions.c.report)
        ).fetchall()
        for version, _, _ in stored:
            tags.drop(conn, version)
        records.remove(conn, learn_solutions, arn)
    replaced = ((one[2] or {}).get("replaced") for one in stored)
    for uri in filter(None, (*(one[1] for one in stored), *replaced)):
        artifacts.drop(room.objects, uri)


def check_definition(request: dict[str, Any]) -> Recipe:
    """The solution's recipe; Invalid or NotBuilt names the member that cannot be honoured."""
    recipe = catalogue.find(_recipe_arn(request))
    if request.get("performIncrementalUpdate") and not recipe.incremental:
        raise Invalid(
            f"performIncrementalUpdate is for {INCREMENTAL}, not {recipe.name}; use trainingMode "
            "UPDATE"
        )
    if recipe.domain:
        raise Invalid(f"{recipe.name} is a use case of {recipe.domain}; use CreateRecommender")
    config = request.get("solutionConfig") or {}
    _check_feature_parameters(recipe, config.get("featureTransformationParameters") or {})
    _check_hyperparameters(recipe, config.get("algorithmHyperParameters") or {})
    check_columns(config.get("trainingDataConfig") or {})
    _check_objective(recipe, config.get("optimizationObjective") or {})
    hpo.check(recipe, config.get("hpoConfig") or {})
    choice_of(request)
    schedules.days(request)
    return recipe


def choice_of(definition: dict[str, Any]) -> dict[str, Any]:
    """Which interactions a solution trains on: event types, their thresholds and weights."""
    config = definition.get("solutionConfig") or {}
    choice: dict[str, Any] = {}
    if definition.get("eventType"):
        choice["event_type"] = definition["eventType"]
    if config.get("eventValueThreshold"):
        choice["threshold"] = _number(
            config["eventValueThreshold"], "solutionConfig.eventValueThreshold"
        )
    rules = (config.get("eventsConfig") or {}).get("eventParametersList") or []
    if rules and choice:
        raise Invalid("eventsConfig cannot stand beside eventType or eventValueThreshold")
    if rules:
        choice["event_weights"] = {_event_type(rule): _event_rule(rule) for rule in rules}
    return choice


def choice_of_recipe(recipe: Recipe) -> dict[str, Any]:
    """Which interactions a domain's use case trains on."""
    return {"event_type": recipe.events[0]} if recipe.events else {}


def version_summary(row: records.Row) -> dict[str, Any]:
    """A solution version as lists show it."""
    shown = {"solutionVersionArn": row["arn"]} | records.state(row) | records.times(row)
    mode = row["definition"].get("trainingMode", "FULL")
    return shown | {
        "trainingMode": mode,
        "trainingType": row["definition"].get("trainingType", "MANUAL"),
    }


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "solutionArn": row["arn"]} | records.state(row)
    return shown | records.times(row) | records.given(row, "recipeArn")


def check_columns(config: dict[str, Any]) -> None:
    """Invalid when trainingDataConfig names too much, or a dataset both ways."""
    for member in COLUMN_MEMBERS:
        given = config.get(member) or {}
        if len(given) > MOST_DATASETS:
            raise Invalid(f"trainingDataConfig.{member} names {len(given)} datasets; 3 at most")
        for kind, names in given.items():
            datasets.dataset_type(kind)
            if len(names) > MOST_COLUMNS:
                raise Invalid(f"trainingDataConfig.{member}.{kind} names {len(names)} columns; 50")
    both = {kind.upper() for kind in config.get(COLUMN_MEMBERS[0]) or {}} & {
        kind.upper() for kind in config.get(COLUMN_MEMBERS[1]) or {}
    }
    if both:
        raise Invalid(
            f"trainingDataConfig includes and excludes columns of {', '.join(sorted(both))}; "
            "one of both is right"
        )


def columns_wanted(
    definition: dict[str, Any], columns: list[str], dataset: str = "INTERACTIONS"
) -> list[str]:
    """Those of a dataset's columns that a solution (or recommender) lets into its training."""
    config = definition.get("solutionConfig") or definition.get("recommenderConfig") or {}
    config = config.get("trainingDataConfig") or {}
    out = _columns(config.get("excludedDatasetColumns"), dataset)
    only = _columns(config.get("includedDatasetColumns"), dataset)
    return [one for one in columns if one not in (out or ()) and (only is None or one in only)]


def _columns(given: dict[str, list[str]] | None, dataset: str) -> set[str] | None:
    for kind, names in (given or {}).items():
        if datasets.dataset_type(kind) == dataset:
            return {name.upper() for name in names}
    return None


def _recipe_arn(request: dict[str, Any]) -> str:
    """The recipe, or the first of those AutoML chooses from."""
    if request.get("performAutoML"):
        if request.get("recipeArn"):
            raise Invalid("performAutoML chooses the recipe; leave recipeArn out")
        return automl.candidates(request)[0]
    if (request.get("solutionConfig") or {}).get("autoMLConfig"):
        raise Invalid("solutionConfig.autoMLConfig needs performAutoML")
    if not request.get("recipeArn"):
        raise Invalid("recipeArn is missing; ListRecipes names what can be trained")
    return str(request["recipeArn"])


def _check_objective(recipe: Recipe, given: dict[str, Any]) -> None:
    if not given:
        return
    if recipe.type not in (USER_PERSONALIZATION, PERSONALIZED_RANKING):
        raise Invalid(
            f"optimizationObjective is for user personalization and ranking, not {recipe.name}"
        )
    if not given.get("itemAttribute"):
        raise Invalid("optimizationObjective.itemAttribute is missing")
    if not given.get("objectiveSensitivity"):
        raise Invalid("optimizationObjective.objectiveSensitivity: LOW, MEDIUM, HIGH or OFF")


def _check_feature_parameters(recipe: Recipe, given: dict[str, str]) -> None:
    known = catalogue.feature_parameters(recipe)
    for name in given:
        if name not in known:
            raise Invalid(f"{recipe.name} has no {name!r}; it has {', '.join(known) or 'none'}")
    if trending_now.FREQUENCY in given:
        trending_now.seconds(given[trending_now.FREQUENCY])
    if PERIOD in given:
        days = _number(given[PERIOD], PERIOD)
        if not 7 <= days <= 28 or days != int(days):
            raise Invalid(f"{PERIOD} is {given[PERIOD]}; a whole number from 7 to 28 is right")
    hrnn_coldstart.check(given)
    percentiles.check(given)


def _check_hyperparameters(recipe: Recipe, given: dict[str, str]) -> None:
    for name, text in given.items():
        parameter = recipe.hyperparameters.get(name)
        if parameter is None:
            known = ", ".join(recipe.hyperparameters) or "none"
            raise Invalid(f"{recipe.name} has no hyperparameter {name!r}; it has {known}")
        if parameter.kind == "categorical":
            if text.lower() not in parameter.values:
                raise Invalid(f"{name} is {text!r}; one of {', '.join(parameter.values)} is right")
            continue
        value = _number(text, name)
        if parameter.kind == "integer" and value != int(value):
            raise Invalid(f"{name} is {text}; a whole number is right")
        assert parameter.low is not None and parameter.high is not None
        if not parameter.low <= value <= parameter.high:
            raise Invalid(f"{name} is {text}; {parameter.low} to {parameter.high} is right")


def _event_type(rule: dict[str, Any]) -> str:
    if not rule.get("eventType"):
        raise Invalid("eventsConfig.eventParametersList: an entry has no eventType")
    return rule["eventType"]


def _event_rule(rule: dict[str, Any]) -> dict[str, Any]:
    threshold, weight = rule.get("eventValueThreshold"), rule.get("weight")
    if weight is not None and not 0 <= weight <= 1:
        raise Invalid(
            f"eventsConfig: the weight of {rule['eventType']} is {weight}; 0 to 1 is right"
        )
    return {
        "weight": weight,
        "threshold": threshold if threshold is None else _number(threshold, "eventValueThreshold"),
    }


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise Invalid(f"{what} is {text!r}; a number is right")
    return number
