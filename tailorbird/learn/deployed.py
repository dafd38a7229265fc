"""What a request asks: a campaign or a recommender, its model, recipe and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import artifacts
from tailorbird.learn.artifacts import Trained
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.recipe import Recipe
from tailorbird.learn.room import Learn

MAX_MODELS_OPEN = 16
FIND = (
    "SELECT c.account, c.region, c.status, c.definition, v.artifact, v.recipe_arn, v.group_arn"
    " FROM {table} c JOIN learn_solution_versions v ON v.arn = c.version_arn WHERE c.arn = ?"
)
TABLES = {"campaign": "learn_campaigns", "recommender": "learn_recommenders"}
CONFIG = {"campaign": "campaignConfig", "recommender": "recommenderConfig"}


@dataclass(frozen=True)
class Deployed:
    """A trained version at work."""

    arn: str
    group: str
    recipe: Recipe
    trained: Trained
    artifact: str  # address of the model's folder
    config: dict[str, Any]  # campaignConfig or recommenderConfig as it was given


def asked(room: Learn, caller: Caller, request: dict[str, Any]) -> Deployed:
    """The campaign or recommender a request names; Invalid when it names none or both."""
    campaign, recommender = request.get("campaignArn"), request.get("recommenderArn")
    if campaign and recommender:
        raise Invalid("campaignArn and recommenderArn are given; one of them is right")
    if not campaign and not recommender:
        raise Invalid("campaignArn is missing (or recommenderArn, for a domain recommender)")
    return find(room, campaign or recommender or "", caller)


def find(room: Learn, arn: str, caller: Caller | None = None) -> Deployed:
    """What answers under this ARN; NotFound when it is not there, not ACTIVE or not theirs."""
    what, row = _what(arn), row_of(room, arn)
    if row is None or (caller is not None and row[:2] != (caller.account, caller.region)):
        raise NotFound(f"The given {what} does not exist: {arn}")
    if row[2] != "ACTIVE":
        raise NotFound(f"The {what} {arn} is in state {row[2]}; it has to be ACTIVE")
    return Deployed(arn, row[6], RECIPES[row[5]], model(room, row[4]), row[4], row[3])


def row_of(room: Learn, arn: str) -> tuple[Any, ...] | None:
    """Account, region, status, configuration, model, recipe and dataset group of what is there."""
    return room.known.get(("deployed", arn), lambda: _row(room, _what(arn), arn))


def _what(arn: str) -> str:
    return "recommender" if ":recommender/" in arn else "campaign"


def _row(room: Learn, what: str, arn: str) -> tuple[Any, ...] | None:
    """The row of FIND, its definition read down to the configuration."""
    found = room.db.look(room.db.sql(FIND.format(table=TABLES[what])), (arn,))
    if not found:
        return None
    row = tuple(found[0])
    return *row[:3], room.db.load(row[3]).get(CONFIG[what]) or {}, *row[4:]


def model(room: Learn, uri: str) -> Trained:
    """The model in this folder, opened once in this process."""
    trained = room.models.get(uri)
    if trained is None:
        with room.opening:
            trained = room.models.get(uri)
            if trained is None:
                trained = artifacts.load(room.objects, uri, room.native)
                while len(room.models) >= MAX_MODELS_OPEN:
                    room.models.pop(next(iter(room.models)))
                room.models[uri] = trained
    return trained
