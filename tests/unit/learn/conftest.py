"""The room on a real database with a running worker, and interactions worth learning."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tailorbird import learn
from tailorbird.access import Caller
from tailorbird.clock import SystemClock
from tailorbird.learn import (
    campaigns,
    datasets,
    groups,
    imports,
    schemas,
    solutions,
    trackers,
    training,
)
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects, Worker

SETTLED_SECONDS = 60.0  # until a job has ended
ACCOUNT, REGION = "123456789012", "us-east-1"
CALLER = Caller(ACCOUNT, REGION, f"arn:aws:iam::{ACCOUNT}:root", "AKIATEST", "request-1")
FIELDS = [
    {"name": "USER_ID", "type": "string"},
    {"name": "ITEM_ID", "type": "string"},
    {"name": "EVENT_TYPE", "type": "string"},
    {"name": "TIMESTAMP", "type": "long"},
]


def schema_text(fields: list[dict[str, Any]] | None = None, name: str = "Interactions") -> str:
    return json.dumps(
        {
            "type": "record",
            "name": name,
            "namespace": "com.amazonaws.personalize.schema",
            "fields": FIELDS if fields is None else fields,
            "version": "1.0",
        }
    )


def chains(users: int = 60, rows: int = 30, items: int = 40, seed: int = 1) -> list[tuple]:
    """Users who walk through the items in order (i0, i1, ...), from a place of their own."""
    randomly = random.Random(seed)
    found = []
    for user in range(users):
        place = randomly.randrange(items)
        for step in range(rows):
            when = 1_700_000_000 + step * 60 + user
            found.append((f"u{user}", f"i{(place + step) % items}", "view", when))
    return found


def as_csv(rows: list[tuple], header: str = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP") -> bytes:
    text = io.StringIO()
    text.write(header + "\n")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


@dataclass
class Study:
    """The room and short ways to fill it."""

    room: learn.Learn
    worker: Worker
    group: str = ""
    dataset: str = ""
    made: dict[str, int] = field(default_factory=dict)

    def __call__(self, operation: Callable[..., Any], **request: Any) -> Any:
        return operation(self.room, CALLER, request)

    def name(self, kind: str) -> str:
        self.made[kind] = self.made.get(kind, 0) + 1
        return f"{kind}-{self.made[kind]}"

    def interactions(self, fields: list[dict[str, Any]] | None = None) -> str:
        """A dataset group with an empty Interactions dataset; its ARN."""
        name = self.name("shop")
        schema = self(schemas.create_schema, name=name, schema=schema_text(fields))["schemaArn"]
        self.group = self(groups.create_dataset_group, name=name)["datasetGroupArn"]
        self.dataset = self(
            datasets.create_dataset,
            name=name,
            schemaArn=schema,
            datasetGroupArn=self.group,
            datasetType="Interactions",
        )["datasetArn"]
        return self.dataset

    def items(self, fields: list[dict[str, Any]]) -> str:
        """The group's Items dataset, empty; what is brought next goes into it."""
        name = self.name("items")
        schema = self(schemas.create_schema, name=name, schema=schema_text(fields, "Items"))
        self.dataset = self(
            datasets.create_dataset,
            name=name,
            schemaArn=schema["schemaArn"],
            datasetGroupArn=self.group,
            datasetType="Items",
        )["datasetArn"]
        return self.dataset

    def bring(self, data: bytes, key: str = "in.csv", **more: Any) -> dict[str, Any]:
        """Import one object; the finished import job."""
        self.room.objects.put(f"s3://data/{key}", data)
        return self.bring_from(f"s3://data/{key}", **more)

    def bring_from(self, where: str, **more: Any) -> dict[str, Any]:
        request = {"jobName": self.name("job"), "datasetArn": self.dataset} | more
        request["dataSource"] = {"dataLocation": where}
        arn = self(imports.create_dataset_import_job, **request)["datasetImportJobArn"]
        return self.settled(
            lambda: self(imports.describe_dataset_import_job, datasetImportJobArn=arn)[
                "datasetImportJob"
            ]
        )

    def train(self, recipe: str = "aws-user-personalization", **more: Any) -> dict[str, Any]:
        """A new solution with one version; the finished version."""
        solution = self(
            solutions.create_solution,
            name=self.name("solution"),
            datasetGroupArn=self.group,
            recipeArn=f"arn:aws:personalize:::recipe/{recipe}",
            **more,
        )["solutionArn"]
        return self.train_again(solution)

    def train_again(self, solution: str) -> dict[str, Any]:
        arn = self(training.create_solution_version, solutionArn=solution)["solutionVersionArn"]
        return self.settled(
            lambda: self(training.describe_solution_version, solutionVersionArn=arn)[
                "solutionVersion"
            ]
        )

    def deploy(self, version_arn: str) -> str:
        name = self.name("campaign")
        request = {"name": name, "solutionVersionArn": version_arn}
        return self(campaigns.create_campaign, **request)["campaignArn"]

    def tracker(self) -> str:
        request = {"name": self.name("tracker"), "datasetGroupArn": self.group}
        return self(trackers.create_event_tracker, **request)["trackingId"]

    @staticmethod
    def settled(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        from tests.conftest import wait_for

        wait_for(
            lambda: not describe()["status"].startswith("CREATE ") or failed(describe()),
            SETTLED_SECONDS,
        )
        return describe()


def failed(shown: dict[str, Any]) -> bool:
    return shown["status"] == "CREATE FAILED"


@pytest.fixture
def study(db: Database, jobs: Jobs, objects: Objects, settings: Settings) -> Iterator[Study]:
    quick = settings.replace(learn_min_interactions=100, learn_training_threads=1)
    room = learn.Learn(db, jobs, objects, SystemClock(), quick)
    worker = Worker(jobs, learn.job_kinds(room), threads=1)
    worker.start()
    yield Study(room, worker)
    worker.stop()
