"""Recommenders of domain dataset groups: a use case, trained and deployed as one.

Source: Personalize developer guide, "Domain recommenders".
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import InUse, Invalid
from tailorbird.learn import artifacts, catalogue, quotas, records, retraining, solutions, training
from tailorbird.learn.recipes.recipe import Recipe
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_dataset_groups,
    learn_datasets,
    learn_recommenders,
    learn_solution_versions,
)

INACTIVE = "INACTIVE"
WHAT = "recommender"
TRAINED_ON = "trainingDataConfig"
NEEDS_ITEMS = ("aws-vod-more-like-x",)
TABLE = learn_recommenders


def create_recommender(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """A new recommender; it is PENDING until it is trained, then it answers."""
    arn = records.arn_of(caller, f"recommender/{request['name']}")
    recipe = catalogue.find(request["recipeArn"])
    if not recipe.domain:
        raise Invalid(f"{recipe.name} is no use case of a domain; CreateSolution trains it")
    _check_config(request.get("recommenderConfig") or {})
    with room.db.write() as conn:
        group_arn = request["datasetGroupArn"]
        group = records.active(conn, learn_dataset_groups, caller, group_arn, "dataset group")
        _check_group(conn, group, recipe)
        of_group = TABLE.c.group_arn == group_arn
        quotas.check_count(room, conn, caller, TABLE, "learn_max_recommenders", of_group)
        records.add(
            room,
            conn,
            TABLE,
            caller,
            WHAT,
            arn=arn,
            name=request["name"],
            status=records.PENDING,
            definition=request,
            group_arn=group_arn,
        )
        training.begin(room, conn, caller, records.find(conn, TABLE, caller, arn, WHAT), {})
        retraining.begin(room, conn, arn)
    return {"recommenderArn": arn}


def describe_recommender(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The recommender, with the metrics of its model under Personalize's names."""
    with room.db.read() as conn:
        row = records.find(conn, TABLE, caller, request["recommenderArn"], WHAT)
        versions = learn_solution_versions.c
        query = sa.select(versions.metrics).where(versions.arn == row["version_arn"])
        metrics = conn.execute(query).scalar()
    shown = _summary(row)
    if metrics:
        shown["modelMetrics"] = metrics
    if row["change"] is not None:
        shown["latestRecommenderUpdate"] = row["change"]
    return {"recommender": shown}


def list_recommenders(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All recommenders, or those of a dataset group."""
    group = request.get("datasetGroupArn")
    where = () if group is None else (TABLE.c.group_arn == group,)
    return records.page(room, TABLE, caller, request, "recommenders", _summary, *where)


def update_recommender(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Change the configuration; answers follow it at once, other columns after a training."""
    arn, config = request["recommenderArn"], request["recommenderConfig"]
    _check_config(config)
    with room.db.write() as conn:
        row = _in_state(conn, caller, arn, records.ACTIVE, INACTIVE)
        now = room.clock.now()
        before = (row["definition"].get("recommenderConfig") or {}).get(TRAINED_ON)
        anew = config.get(TRAINED_ON) is not None and config[TRAINED_ON] != before
        change = {
            "recommenderConfig": config,
            "status": records.PENDING if anew else records.ACTIVE,
            "creationDateTime": now,
            "lastUpdatedDateTime": now,
        }
        definition = {**row["definition"], "recommenderConfig": config}
        records.change(room, conn, TABLE, arn, definition=definition, change=change)
        if anew:
            training.begin(room, conn, caller, records.find(conn, TABLE, caller, arn, WHAT), {})
    return {"recommenderArn": arn}


def stop_recommender(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """No answers until it is started again; the model stays."""
    return _switch(room, caller, request["recommenderArn"], records.ACTIVE, INACTIVE)


def start_recommender(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Answers again, with the model it had."""
    return _switch(room, caller, request["recommenderArn"], INACTIVE, records.ACTIVE)


def delete_recommender(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Gone with its model."""
    arn = request["recommenderArn"]
    with room.db.write() as conn:
        _in_state(conn, caller, arn, records.ACTIVE, INACTIVE, records.FAILED)
        versions = learn_solution_versions
        gone = sa.delete(versions).where(versions.c.solution_arn == arn)
        stored = conn.execute(gone.returning(versions.c.artifact)).scalars().all()
        records.remove(conn, TABLE, arn)
    for uri in filter(None, stored):
        artifacts.drop(room.objects, uri)


def _switch(room: Learn, caller: Caller, arn: str, before: str, after: str) -> dict[str, Any]:
    with room.db.write() as conn:
        _in_state(conn, caller, arn, before)
        records.change(room, conn, TABLE, arn, status=after)
    return {"recommenderArn": arn}


def _in_state(conn: Connection, caller: Caller, arn: str, *states: str) -> records.Row:
    row = records.find(conn, TABLE, caller, arn, WHAT)
    if row["status"] not in states:
        raise InUse(
            f"The recommender {arn} is in state {row['status']}; it has to be {' or '.join(states)}"
        )
    return row


def _check_group(conn: Connection, group: records.Row, recipe: Recipe) -> None:
    domain = group["definition"].get("domain")
    if domain != recipe.domain:
        raise Invalid(
            f"{recipe.name} is a use case of the domain {recipe.domain}; the dataset group "
            f"{group['arn']} has {domain or 'no domain'}"
        )
    items = sa.select(learn_datasets.c.arn).where(
        learn_datasets.c.group_arn == group["arn"], learn_datasets.c.type == "ITEMS"
    )
    if recipe.name in NEEDS_ITEMS and conn.execute(items).scalar() is None:
        raise Invalid(f"{recipe.name} needs an Items dataset in the dataset group")


def _check_config(config: dict[str, Any]) -> None:
    solutions.check_columns(config.get("trainingDataConfig") or {})


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "recommenderArn": row["arn"], "datasetGroupArn": row["group_arn"]}
    shown |= records.given(row, "recipeArn", "recommenderConfig")
    return shown | records.state(row) | records.times(row)
