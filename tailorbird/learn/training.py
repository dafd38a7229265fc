"""Solution versions: trained by a job in a child process, ACTIVE when the model is stored whole."""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import InUse, Invalid
from tailorbird.learn import (
    artifacts,
    automl,
    catalogue,
    child,
    contexts,
    events,
    followers,
    neural,
    pace,
    quotas,
    records,
    solutions,
    training_tables,
    update_schedule,
)
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import (
    learn_datasets,
    learn_parts,
    learn_solution_versions,
    learn_solutions,
)
from tailorbird.store import Job

KIND = "learn.train"
QUEUE = "learn"
ATTEMPTS = 3
STEPS_TYPICAL = 24  # what a blend takes; shown as the total until more are known
SECONDS_PER_HOUR = 3600.0
FULL, UPDATE, AUTOTRAIN = "FULL", "UPDATE", "AUTOTRAIN"
CAN_UPDATE = ("aws-user-personalization", "aws-hrnn-coldstart")


def create_solution_version(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Start a training; the version is PENDING until a worker takes it."""
    if request.get("trainingMode", FULL) == AUTOTRAIN:
        raise Invalid("trainingMode AUTOTRAIN is the service's own; FULL or UPDATE is right")
    solution_arn = request["solutionArn"]
    with room.db.write() as conn:
        solution = records.active(conn, learn_solutions, caller, solution_arn, "solution")
        arn = begin(room, conn, caller, solution, request)
    return {"solutionVersionArn": arn}


def begin(
    room: Learn, conn: Connection, caller: Caller, solution: records.Row, request: dict[str, Any]
) -> str:
    """Add a version in the caller's transaction and the job that trains it; its ARN."""
    name = request.get("name") or ids.hex8()
    arn = f"{solution['arn']}/{name}"
    given = solution["definition"].get("recipeArn")
    free = given is not None and catalogue.find(given).by_texts
    if not free and not _dataset(conn, solution["group_arn"], "INTERACTIONS"):
        raise Invalid(
            f"The dataset group {solution['group_arn']} has no Interactions dataset to train on"
        )
    training_tables.check(conn, solution["group_arn"], given, solution["definition"])
    if request.get("trainingMode") == UPDATE:
        _check_update(conn, solution)
    quotas.check_busy_trainings(room, conn, caller)
    records.add(
        room,
        conn,
        learn_solution_versions,
        caller,
        "solution version",
        arn=arn,
        name=f"{solution['name']}/{name}" if "name" not in request else name,
        status=records.PENDING,
        definition={**solution["definition"], **request},
        solution_arn=solution["arn"],
        group_arn=solution["group_arn"],
        recipe_arn=solution["definition"].get("recipeArn") or automl.DEFAULT[0],
    )
    due = pace.due(room, "solution version")
    room.jobs.enqueue(conn, KIND, {"arn": arn}, queue=QUEUE, max_attempts=ATTEMPTS, due=due)
    return arn


def describe_solution_version(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    row = find(room, caller, request["solutionVersionArn"])
    shown = solutions.version_summary(row) | {
        "name": row["name"],
        "solutionArn": row["solution_arn"],
        "datasetGroupArn": row["group_arn"],
        "recipeArn": row["recipe_arn"],
        "performHPO": False,
        "performAutoML": False,
        "solutionConfig": {},
    }
    tuned = (row["report"] or {}).get("tuned")
    if tuned is not None:
        shown["tunedHPOParams"] = {"algorithmHyperParameters": tuned}
    if row["training_hours"] is not None:
        shown["trainingHours"] = round(row["training_hours"], 3)
    return {"solutionVersion": shown | records.given(row, *solutions.GIVEN)}


def list_solution_versions(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All versions, or those of a solution."""
    solution = request.get("solutionArn")
    where: tuple[Any, ...] = (
        learn_solution_versions.c.solution_arn.not_like(f"%{followers.RECOMMENDER}%"),
    )
    if solution is not None:
        with room.db.read() as conn:
            records.find(conn, learn_solutions, caller, solution, "solution")
        where = (learn_solution_versions.c.solution_arn == solution,)
    return records.page(
        room,
        learn_solution_versions,
        caller,
        request,
        "solutionVersions",
        solutions.version_summary,
        *where,
    )


def get_solution_metrics(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The metrics on users kept out of the fit, under Personalize's names and definitions.

    None for a version of trainingMode UPDATE, which measures nothing: AWS's own automation asks for
    the metrics of every version.
    """
    row = find(room, caller, request["solutionVersionArn"])
    if row["status"] in records.BUSY:
        raise InUse(f"The solution version {row['arn']} is in state {row['status']}")
    if row["definition"].get("trainingMode") == UPDATE:
        return {"solutionVersionArn": row["arn"], "metrics": {}}
    if row["metrics"] is None:
        raise Invalid(
            f"The solution version {row['arn']} has no metrics: {row['failure'] or row['status']}"
        )
    return {"solutionVersionArn": row["arn"], "metrics": row["metrics"]}


def stop_solution_version_creation(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """A waiting version is STOPPED at once; a running one is STOPPING until its process is gone."""
    arn = request["solutionVersionArn"]
    table = learn_solution_versions
    with room.db.write() as conn:
        row = records.find(conn, table, caller, arn, "solution version")
        if row["status"] not in (records.PENDING, records.IN_PROGRESS):
            raise InUse(
                f"The solution version {arn} is in state {row['status']}; only one that is "
                f"{records.PENDING} or {records.IN_PROGRESS} can be stopped"
            )
        waits = row["status"] == records.PENDING
        status = records.STOPPED if waits else records.STOPPING
        records.change(room, conn, table, arn, status=status)


def find(room: Learn, caller: Caller, arn: str) -> records.Row:
    with room.db.read() as conn:
        return records.find(conn, learn_solution_versions, caller, arn, "solution version")


def run(room: Learn, job: Job) -> None:
    """The job: hand the material to a child process, store its model, then say ACTIVE."""
    arn, wall = job.payload["arn"], time.monotonic()
    row = _begin(room, arn)
    if row is None:
        return
    models = f"s3://{room.settings.learn_bucket}/models"
    for attempt in range(1, job.attempt):  # what a killed attempt may have left
        artifacts.drop(room.objects, f"{models}/{job.id}-{attempt}")
    uri = f"{models}/{job.id}-{job.attempt}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tailorbird-train-")))
        out = folder / "model"
        out.mkdir()
        spec = spec_of(room, stack, row, folder) | {"out": str(out)}
        spec["transformer"] = neural.spec(room, job.id, folder)

        def said(progress: dict[str, Any]) -> None:
            total = max(STEPS_TYPICAL, progress["step"] + 1)
            text = neural.heard(room, job.id, spec, progress["text"])
            job.progress(progress["step"], total, f"steps, {text}" if text else "steps")

        try:
            result = child.run(
                "train", spec, said, threads=spec["threads"], unwanted=lambda: _unwanted(room, arn)
            )
        except child.Ended:
            _stop(room, arn)
            neural.forget(room, job.id)
            return
        artifacts.store(room.objects, out, uri)
    _commit(room, job, arn, uri, result, (time.monotonic() - wall) / SECONDS_PER_HOUR)
    neural.forget(room, job.id)


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    records.change(
        room,
        conn,
        learn_solution_versions,
        job.payload["arn"],
        status=records.FAILED,
        failure=reason,
    )
    followers.failed(room, conn, job.payload["arn"], reason)
    neural.forget(room, job.id)


def _begin(room: Learn, arn: str) -> records.Row | None:
    """The version, IN_PROGRESS from now on; None when it was stopped before it began."""
    table = learn_solution_versions
    with room.db.write() as conn:
        row = conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()
        if row is None:
            raise Invalid(f"{arn} was deleted")
        if row["status"] in (records.STOPPING, records.STOPPED):
            records.change(room, conn, table, arn, status=records.STOPPED)
            return None
        records.change(room, conn, table, arn, status=records.IN_PROGRESS)
        followers.begun(room, conn, arn)
    return row


def _check_update(conn: Connection, solution: records.Row) -> None:
    recipe = catalogue.find(solution["definition"].get("recipeArn") or automl.DEFAULT[0])
    if recipe.name not in CAN_UPDATE:
        raise Invalid(f"trainingMode UPDATE is for {' and '.join(CAN_UPDATE)}, not {recipe.name}")
    if _full_version(conn, solution["arn"]) is None:
        raise Invalid(
            f"The solution {solution['arn']} has no ACTIVE version with trainingMode FULL to update"
        )


def _full_version(conn: Connection, solution_arn: str) -> str | None:
    """The model of the newest version that chose its weights; an update keeps them."""
    c = learn_solution_versions.c
    query = sa.select(c.artifact, c.definition).where(
        c.solution_arn == solution_arn, c.status == records.ACTIVE
    )
    for artifact, definition in conn.execute(query.order_by(c.created.desc())):
        if definition.get("trainingMode", FULL) != UPDATE:
            return artifact
    return None


def _unwanted(room: Learn, arn: str) -> bool:
    table = learn_solution_versions
    with room.db.read() as conn:
        status = conn.execute(sa.select(table.c.status).where(table.c.arn == arn)).scalar()
    return status in (None, records.STOPPING, records.STOPPED)


def _stop(room: Learn, arn: str) -> None:
    with room.db.write() as conn:
        records.change(room, conn, learn_solution_versions, arn, status=records.STOPPED)


def spec_of(
    room: Learn, stack: ExitStack, row: records.Row, folder: Path, before: str | None = None
) -> dict[str, Any]:
    """What the child needs to know: files of the material, the recipe and the bounds.

    `before` is the model whose choices are kept, in place of what trainingMode UPDATE would take.
    """
    definition, settings = row["definition"], room.settings
    with room.db.read() as conn:
        interactions = _uris(conn, row["group_arn"], "INTERACTIONS")
        context = solutions.columns_wanted(definition, contexts.columns_of(conn, row["group_arn"]))
        update = definition.get("trainingMode") == UPDATE
        full = before or (_full_version(conn, row["solution_arn"]) if update else None)
    live = folder / "events.npz"
    last_event = events.export(room, row["group_arn"], live, context)
    config = definition.get("solutionConfig") or {}
    recipes = recipes_of(row)
    recipe = catalogue.find(recipes[0])
    fetch = [str(stack.enter_context(room.objects.fetch(uri))) for uri in interactions]
    return {
        "parts": [*fetch, str(live)],
        **training_tables.of(room, stack, row, recipe, folder),
        "last_event": last_event,
        "context": context,
        "update": None if full is None else _manifest(room, full),
        "before": neural.before(room, full, folder),
        "recipes": recipes,
        "recipe_folder": settings.learn_recipe_folder,
        "hyperparameters": {
            **(config.get("algorithmHyperParameters") or {}),
            **(config.get("featureTransformationParameters") or {}),
        },
        "features": config.get("featureTransformationParameters") or {},
        "objective": config.get("optimizationObjective"),
        "hpo": (config.get("hpoConfig") or {}) if definition.get("performHPO") else None,
        "choice": solutions.choice_of(definition) or solutions.choice_of_recipe(recipe),
        "minimum": {
            "interactions": settings.learn_min_interactions,
            "users": settings.learn_min_users,
            "share": settings.learn_min_returning_share,
        },
        "dense_items": settings.learn_dense_items,
        "threads": settings.learn_training_threads,
        "seed": settings.learn_seed,
    }


def _commit(
    room: Learn, job: Job, arn: str, uri: str, result: dict[str, Any], hours: float
) -> None:
    table = learn_solution_versions
    with room.db.write() as conn:
        before = conn.execute(sa.select(table.c.status).where(table.c.arn == arn)).scalar()
        there = records.change(
            room,
            conn,
            table,
            arn,
            status=records.ACTIVE,
            failure=None,
            metrics=result["metrics"],
            report=result,
            artifact=uri,
            recipe_arn=result["recipe"],
            training_hours=hours,
        )
        if not there:
            raise Invalid(f"{arn} was deleted while it was trained")
        if before == records.STOPPING:  # asked for in the last half second
            records.change(room, conn, table, arn, status=records.STOPPED)
            job.finish(conn)
            return
        followers.active(room, conn, arn)
        definition = sa.select(table.c.definition).where(table.c.arn == arn)
        found = conn.execute(definition).scalar_one()
        update_schedule.begin(room, conn, arn, result["recipe"], found)
        job.finish(conn, {"interactions": result["interactions"]})


def recipes_of(version: records.Row) -> list[str]:
    """The recipe to train, or those AutoML chooses from."""
    if version["definition"].get("performAutoML"):
        return automl.candidates(version["definition"])
    return [version["recipe_arn"]]


def _manifest(room: Learn, uri: str) -> dict[str, Any]:
    return json.loads(room.objects.get(f"{uri}/{artifacts.MANIFEST}"))


def _dataset(conn: Connection, group_arn: str, kind: str) -> str | None:
    query = sa.select(learn_datasets.c.arn).where(
        learn_datasets.c.group_arn == group_arn, learn_datasets.c.type == kind
    )
    return conn.execute(query).scalar()


def _uris(conn: Connection, group_arn: str, kind: str) -> list[str]:
    query = (
        sa.select(learn_parts.c.uri)
        .where(learn_parts.c.dataset_arn == _dataset(conn, group_arn, kind))
        .order_by(learn_parts.c.id)
    )
    return list(conn.execute(query).scalars())
