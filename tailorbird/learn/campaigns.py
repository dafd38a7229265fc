"""Campaigns: a deployed solution version. An update switches versions without a gap.

A campaign on `<solution>/$LATEST` follows the newest version that became ACTIVE.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import InUse, Invalid, NotFound
from tailorbird.learn import catalogue, exploration, influence, quotas, records
from tailorbird.learn.recipes.recipe import USER_PERSONALIZATION, USER_SEGMENTATION, Recipe
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_campaigns, learn_solution_versions, learn_solutions

LATEST = "/$LATEST"
GIVEN = ("minProvisionedTPS", "campaignConfig")
UPDATED = ("solutionVersionArn", "minProvisionedTPS", "campaignConfig")


def create_campaign(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Deploy a version; the campaign answers at once."""
    arn = records.arn_of(caller, f"campaign/{request['name']}")
    with room.db.write() as conn:
        version = _version(conn, caller, request["solutionVersionArn"], request)
        recipe = catalogue.find(version["recipe_arn"])
        _check_config(room, conn, version["group_arn"], request, recipe)
        of_group = sa.select(learn_solutions.c.arn).where(
            learn_solutions.c.group_arn == version["group_arn"]
        )
        quotas.check_count(
            room,
            conn,
            caller,
            learn_campaigns,
            "learn_max_campaigns",
            learn_campaigns.c.solution_arn.in_(of_group),
        )
        records.add(
            room,
            conn,
            learn_campaigns,
            caller,
            "campaign",
            arn=arn,
            name=request["name"],
            status=records.ACTIVE,
            definition=request,
            solution_arn=version["solution_arn"],
            version_arn=version["arn"],
        )
    return {"campaignArn": arn}


def describe_campaign(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The campaign; `solutionVersionArn` is as given, so that clients can compare."""
    with room.db.read() as conn:
        row = records.find(conn, learn_campaigns, caller, request["campaignArn"], "campaign")
    shown = _summary(row) | records.given(row, "solutionVersionArn", *GIVEN)
    if row["change"] is not None:
        shown["latestCampaignUpdate"] = row["change"]
    return {"campaign": shown}


def list_campaigns(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All campaigns, or those of a solution."""
    solution = request.get("solutionArn")
    where = () if solution is None else (learn_campaigns.c.solution_arn == solution,)
    return records.page(room, learn_campaigns, caller, request, "campaigns", _summary, *where)


def update_campaign(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Change version, capacity or configuration; answers go over to the new version in one step."""
    arn = request["campaignArn"]
    with room.db.write() as conn:
        row = records.find(conn, learn_campaigns, caller, arn, "campaign")
        if row["status"] not in (records.ACTIVE, records.FAILED):
            raise InUse(f"The campaign {arn} is in state {row['status']}")
        given = {name: request[name] for name in UPDATED if name in request}
        definition = {**row["definition"], **given}
        version = _version(conn, caller, definition["solutionVersionArn"], definition)
        recipe = catalogue.find(version["recipe_arn"])
        _check_config(room, conn, version["group_arn"], definition, recipe)
        if version["solution_arn"] != row["solution_arn"]:
            raise Invalid(
                f"The campaign {arn} is of the solution {row['solution_arn']}; "
                f"{version['arn']} is a version of another"
            )
        now = room.clock.now()
        moments = {"creationDateTime": now, "lastUpdatedDateTime": now}
        shown = {name: definition[name] for name in UPDATED if name in definition}
        records.change(
            room,
            conn,
            learn_campaigns,
            arn,
            status=records.ACTIVE,
            failure=None,
            definition=definition,
            version_arn=version["arn"],
            change={**shown, "status": records.ACTIVE, **moments},
        )
    return {"campaignArn": arn}


def delete_campaign(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Gone; the solution stays."""
    arn = request["campaignArn"]
    with room.db.write() as conn:
        row = records.find(conn, learn_campaigns, caller, arn, "campaign")
        if row["status"] not in (records.ACTIVE, records.FAILED):
            raise InUse(f"The campaign {arn} is in state {row['status']}")
        records.remove(conn, learn_campaigns, arn)


def follow_latest(room: Learn, conn: Connection, solution_arn: str, version_arn: str) -> None:
    """Campaigns on $LATEST serve this version from now on."""
    rows = conn.execute(
        sa.select(learn_campaigns.c.arn, learn_campaigns.c.definition).where(
            learn_campaigns.c.solution_arn == solution_arn
        )
    ).fetchall()
    for arn, definition in rows:
        if definition["solutionVersionArn"].endswith(LATEST):
            records.change(room, conn, learn_campaigns, arn, version_arn=version_arn)


def _version(
    conn: Connection, caller: Caller, version_arn: str, request: dict[str, Any]
) -> records.Row:
    """The version to serve; the newest ACTIVE one for `<solution>/$LATEST`."""
    latest = version_arn.endswith(LATEST)
    config = request.get("campaignConfig") or {}
    if config.get("syncWithLatestSolutionVersion") and not latest:
        raise Invalid(
            "syncWithLatestSolutionVersion needs solutionVersionArn <solution ARN>/$LATEST"
        )
    if not latest:
        what = "solution version"
        return records.active(conn, learn_solution_versions, caller, version_arn, what)
    solution_arn = version_arn.removesuffix(LATEST)
    records.find(conn, learn_solutions, caller, solution_arn, "solution")
    newest = (
        sa.select(learn_solution_versions)
        .where(
            learn_solution_versions.c.solution_arn == solution_arn,
            learn_solution_versions.c.status == records.ACTIVE,
        )
        .order_by(learn_solution_versions.c.created.desc())
        .limit(1)
    )
    row = conn.execute(newest).mappings().first()
    if row is None:
        raise NotFound(f"The solution {solution_arn} has no ACTIVE version")
    return row


def _check_config(
    room: Learn, conn: Connection, group: str, request: dict[str, Any], recipe: Recipe
) -> None:
    """Invalid names what a campaign of this recipe cannot do."""
    if recipe.type == USER_SEGMENTATION:
        raise Invalid(f"{recipe.name} has no campaigns; CreateBatchSegmentJob asks its versions")
    config = request.get("campaignConfig") or {}
    weight, _ = exploration.read(room, config)
    given = config.get("itemExplorationConfig") or {}
    if given and weight > 0 and recipe.type != USER_PERSONALIZATION:
        raise Invalid(
            f"{recipe.name} does not explore; itemExplorationConfig is for user personalization"
        )
    influence.check(conn, group, recipe, config)


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "campaignArn": row["arn"]}
    return shown | records.state(row) | records.times(row)
