"""Solutions: a recipe and its configuration for a dataset group."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotBuilt
from tailorbird.learn import artifacts, catalogue, datasets, hpo, quotas, records, schedules, tags
from tailorbird.learn.recipes import trending_now
from tailorbird.learn.recipes.recipe import Recipe
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_campaigns,
    learn_dataset_groups,
    learn_solution_versions,
    learn_solutions,
)

GIVEN = ("performHPO", "performAutoML", "recipeArn", "eventType", "solutionConfig")
NOT_BUILT_CONFIG = (
    "autoMLConfig",
    "optimizationObjective",
)


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
        records.find(conn, learn_solutions, caller, arn, "solution")
        campaigns = sa.select(learn_campaigns.c.arn).where(learn_campaigns.c.solution_arn == arn)
        records.refuse_while(conn, campaigns, f"The solution {arn} has a campaign; delete it first")
        busy = sa.select(versions.c.arn).where(
            versions.c.solution_arn == arn, versions.c.status.in_(records.BUSY)
        )
        records.refuse_while(conn, busy, f"A version of the solution {arn} is being trained")
        gone = sa.delete(versions).where(versions.c.solution_arn == arn)
        stored = conn.execute(gone.returning(versions.c.arn, versions.c.artifact)).fetchall()
        for version, _ in stored:
            tags.drop(conn, version)
        records.remove(conn, learn_solutions, arn)
    for uri in filter(None, (one[1] for one in stored)):
        artifacts.drop(room.objects, uri)


def check_definition(request: dict[str, Any]) -> Recipe:
    """The solution's recipe; Invalid or NotBuilt names the member that cannot be honoured."""
    if request.get("performAutoML"):
        raise NotBuilt("performAutoML is not built; name a recipeArn")
    if request.get("performIncrementalUpdate"):
        raise NotBuilt("performIncrementalUpdate is not built; use trainingMode UPDATE")
    if not request.get("recipeArn"):
        raise Invalid("recipeArn is missing; ListRecipes names what can be trained")
    recipe = catalogue.find(request["recipeArn"])
    if recipe.domain:
        raise Invalid(f"{recipe.name} is a use case of {recipe.domain}; use CreateRecommender")
    config = request.get("solutionConfig") or {}
    for member in NOT_BUILT_CONFIG:
        if config.get(member):
            raise NotBuilt(f"solutionConfig.{member} is not built")
    _check_feature_parameters(recipe, config.get("featureTransformationParameters") or {})
    _check_hyperparameters(recipe, config.get("algorithmHyperParameters") or {})
    _check_columns(config.get("trainingDataConfig") or {})
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


def _check_columns(config: dict[str, Any]) -> None:
    for member in ("excludedDatasetColumns", "includedDatasetColumns"):
        for kind in config.get(member) or {}:
            if datasets.dataset_type(kind) not in ("INTERACTIONS", "USERS"):
                raise NotBuilt(f"trainingDataConfig.{member} is built for INTERACTIONS and USERS")


def columns_wanted(definition: dict[str, Any], columns: list[str]) -> list[str]:
    """Those of the Interactions columns that a solution lets into its training."""
    config = (definition.get("solutionConfig") or {}).get("trainingDataConfig") or {}
    out = _columns(config.get("excludedDatasetColumns"))
    only = _columns(config.get("includedDatasetColumns"))
    return [one for one in columns if one not in (out or ()) and (only is None or one in only)]


def _columns(given: dict[str, list[str]] | None) -> set[str] | None:
    for kind, names in (given or {}).items():
        if datasets.dataset_type(kind) == "INTERACTIONS":
            return {name.upper() for name in names}
    return None


def _check_feature_parameters(recipe: Recipe, given: dict[str, str]) -> None:
    for name, text in given.items():
        if recipe.feature_transformation != "trending-now":
            raise NotBuilt(f"solutionConfig.featureTransformationParameters.{name} is not built")
        if name != trending_now.FREQUENCY:
            raise Invalid(f"{recipe.name} has no {name!r}; it has {trending_now.FREQUENCY}")
        trending_now.seconds(text)


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
        return float(text)
    except ValueError:
        raise Invalid(f"{what} is {text!r}; a number is right") from None
