"""Recommendations for the fifty people of a campaign's batch: asked one by one and together, in the
same run, in processor time of this process.

python -m bench.crowd [postgresql://...]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench.learn import CALLER, SCHEMA, one, settle
from tailorbird import learn, settings
from tailorbird.clock import SystemClock
from tailorbird.learn import (
    campaigns,
    crowd,
    datasets,
    groups,
    imports,
    schemas,
    serving,
    solutions,
    training,
)
from tailorbird.store import Database, Jobs, Objects, Worker
from tailorbird.store.migrations import upgrade

USERS, ITEMS, ROWS = 2_000, 3_000, 60_000
BATCH, BATCHES, ROUNDS = 50, 10, 7


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = {"data": folder} | ({"database_url": sys.argv[1]} if sys.argv[1:] else {})
        chosen = settings.load(given, environment={}, folder=folder)
        db = Database(chosen.database())
        upgrade(db)
        jobs = Jobs(db, SystemClock())
        objects = Objects(folder / "objects", chosen)
        room = learn.Learn(db, jobs, objects, SystemClock(), chosen)
        worker = Worker(jobs, learn.job_kinds(room), threads=1)
        worker.start()
        try:
            measure(room, deployed(room))
        finally:
            worker.stop()


def deployed(room: learn.Learn) -> str:
    """A campaign over made-up views."""
    randomly = random.Random(3)
    rows = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"] + [
        f"u{randomly.randrange(USERS)},i{int(ITEMS * randomly.random() ** 2)},view,{1.7e9 + n:.0f}"
        for n in range(ROWS)
    ]
    room.objects.put("s3://bench/crowd.csv", "\n".join(rows).encode())

    def call(operation: Callable[..., Any], **request: Any) -> Any:
        return operation(room, CALLER, request)

    schema = call(schemas.create_schema, name="crowd", schema=SCHEMA)["schemaArn"]
    group = call(groups.create_dataset_group, name="crowd")["datasetGroupArn"]
    dataset = call(
        datasets.create_dataset, name="crowd", schemaArn=schema, datasetGroupArn=group,
        datasetType="Interactions",
    )["datasetArn"]  # fmt: skip
    source = {"dataLocation": "s3://bench/crowd.csv"}
    job = call(
        imports.create_dataset_import_job, jobName="crowd", datasetArn=dataset, dataSource=source
    )["datasetImportJobArn"]
    settle(lambda: one(call, job))
    recipe = "arn:aws:personalize:::recipe/aws-user-personalization"
    solution = call(
        solutions.create_solution, name="crowd", datasetGroupArn=group, recipeArn=recipe
    )["solutionArn"]
    version = call(training.create_solution_version, solutionArn=solution)["solutionVersionArn"]
    describe = training.describe_solution_version
    settle(lambda: call(describe, solutionVersionArn=version)["solutionVersion"])
    made = call(campaigns.create_campaign, name="crowd", solutionVersionArn=version)
    return str(made["campaignArn"])


def measure(room: learn.Learn, arn: str) -> None:
    request = {"campaignArn": arn, "numResults": 5}
    for kind in ("u", "new"):
        people = [[f"{kind}{n * BATCH + m}" for m in range(BATCH)] for n in range(BATCHES)]
        alone, together = [], []
        for _ in range(ROUNDS):
            begun = time.process_time()
            for person in (person for batch in people for person in batch):
                serving.get_recommendations(room, CALLER, request | {"userId": person})
            alone.append(time.process_time() - begun)
            begun = time.process_time()
            for batch in people:
                crowd.get_recommendations(room, CALLER, request, batch)
            together.append(time.process_time() - begun)
        each = 1e6 / (BATCH * BATCHES)
        print(
            f"{room.db.dialect}, {'known' if kind == 'u' else 'new'} people: one by one"
            f" {median(alone) * each:.0f} us each, together {median(together) * each:.0f} us"
        )


if __name__ == "__main__":
    main()
