"""Personalize from outside, with boto3: import a CSV, train, compare with popularity, deploy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailorbird.errors import Invalid, Unavailable
from tailorbird.ids import arn
from tailorbird.remote import Remote

# The schema of Segment's "Amazon Personalize Destination" document.
SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
    "version": "1.0",
}
RECIPE = "aws-user-personalization"
BASELINE = "aws-popularity-count"
METRIC = "normalized_discounted_cumulative_gain_at_10"
POLL_SECONDS = 0.1
WAIT_SECONDS = 900.0
ASKERS = 2  # people asked for at the same time


@dataclass(frozen=True)
class Learned:
    dataset: str
    import_seconds: float
    training_seconds: float
    metric: float
    baseline: float
    campaign: str
    tracking_id: str


def learn(server: Remote, name: str, account: str, locations: Iterable[str]) -> Learned:
    """Everything from a schema to a deployed campaign, on the CSVs at these locations."""
    client = server.client("personalize")
    role = arn("iam", "", account, "role/personalize")
    schema = client.create_schema(name=name, schema=json.dumps(SCHEMA))["schemaArn"]
    group = client.create_dataset_group(name=name)["datasetGroupArn"]
    wait(lambda: client.describe_dataset_group(datasetGroupArn=group)["datasetGroup"])
    dataset = client.create_dataset(
        name=name, schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    wait(lambda: client.describe_dataset(datasetArn=dataset)["dataset"])
    began = time.perf_counter()
    for number, location in enumerate(locations):
        import_location(client, dataset, f"{name}-{number}", location, role)
    import_seconds = time.perf_counter() - began
    version, training_seconds = train(client, group, name, RECIPE)
    baseline, _ = train(client, group, f"{name}-popularity", BASELINE)
    campaign = client.create_campaign(name=name, solutionVersionArn=version, minProvisionedTPS=1)
    campaign = campaign["campaignArn"]
    wait(lambda: client.describe_campaign(campaignArn=campaign)["campaign"])
    tracker = client.create_event_tracker(name=name, datasetGroupArn=group)
    return Learned(
        dataset,
        import_seconds,
        training_seconds,
        metric(client, version),
        metric(client, baseline),
        campaign,
        tracker["trackingId"],
    )


def train(client: Any, group: str, name: str, recipe: str) -> tuple[str, float]:
    """A solution version of a recipe, once it is active, and the seconds that took."""
    solution = client.create_solution(
        name=name, datasetGroupArn=group, recipeArn=f"arn:aws:personalize:::recipe/{recipe}"
    )["solutionArn"]
    wait(lambda: client.describe_solution(solutionArn=solution)["solution"])
    began = time.perf_counter()
    version = str(client.create_solution_version(solutionArn=solution)["solutionVersionArn"])
    wait(lambda: client.describe_solution_version(solutionVersionArn=version)["solutionVersion"])
    return version, time.perf_counter() - began


def metric(client: Any, version: str) -> float:
    metrics = client.get_solution_metrics(solutionVersionArn=version)["metrics"]
    return float(metrics[METRIC])


def import_file(server: Remote, file: Path, dataset: str) -> dict[str, Any]:
    """Upload a CSV and import it into the dataset; what became of it, once it is done."""
    account = dataset.split(":")[4] if dataset.count(":") >= 5 else ""
    if not account:
        raise Invalid(f"{dataset!r} is no ARN of a dataset; `aws personalize list-datasets` has it")
    s3, name = server.client("s3"), f"import-{time.time_ns() // 1_000_000}"
    bucket = f"tailorbird-imports-{account}"
    s3.create_bucket(Bucket=bucket)
    s3.upload_file(str(file), bucket, f"{name}/{file.name}")
    location = f"s3://{bucket}/{name}/{file.name}"
    role = arn("iam", "", account, "role/personalize")
    job = import_location(server.client("personalize"), dataset, name, location, role)
    return {"datasetImportJobArn": job, "dataLocation": location, "status": "ACTIVE"}


def import_location(client: Any, dataset: str, name: str, location: str, role: str) -> str:
    """The import job of a CSV in the object store, once it is done."""
    job = client.create_dataset_import_job(
        jobName=name, datasetArn=dataset, dataSource={"dataLocation": location}, roleArn=role
    )["datasetImportJobArn"]
    wait(lambda: client.describe_dataset_import_job(datasetImportJobArn=job)["datasetImportJob"])
    return str(job)


def recommend(
    server: Remote, campaign: str, people: list[str], told: Callable[[int, int], None]
) -> tuple[dict[str, list[str]], list[float]]:
    """The recommendations of each person, and the seconds each answer took."""
    client = server.client("personalize-runtime")
    answers: dict[str, list[str]] = {}
    seconds: list[float] = []

    def ask(person: str) -> None:
        began = time.perf_counter()
        got = client.get_recommendations(campaignArn=campaign, userId=person, numResults=5)
        seconds.append(time.perf_counter() - began)
        answers[person] = [item["itemId"] for item in got["itemList"]]

    with ThreadPoolExecutor(ASKERS) as pool:
        for done, _ in enumerate(pool.map(ask, people), 1):
            told(done, len(people))
    return answers, seconds


def wait(describe: Callable[[], dict[str, Any]], seconds: float = WAIT_SECONDS) -> dict[str, Any]:
    """The thing once it is ACTIVE; Invalid with the service's reason when it failed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = describe()
        status = found.get("status", "ACTIVE")
        if "FAILED" in status:
            name = found.get("name") or found.get("jobName") or "the job"
            raise Invalid(f"{name}: {status}: {found.get('failureReason', 'no reason given')}")
        if status == "ACTIVE":
            return found
        time.sleep(POLL_SECONDS)
    raise Unavailable(f"Still {status} after {seconds:.0f} s: {found}")
