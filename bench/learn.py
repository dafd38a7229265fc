"""Import and training seconds on AWS's POC set, how quickly one process answers, and with filters.

Needs the data sets beside the code (../shared/data); they are not part of the project.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird import learn, settings
from tailorbird.access import Caller
from tailorbird.clock import SystemClock
from tailorbird.learn import (
    campaigns,
    datasets,
    events,
    groups,
    imports,
    schemas,
    serving,
    solutions,
    trackers,
    training,
)
from tailorbird.learn.filters import resources
from tailorbird.store import Database, Jobs, Objects, Worker
from tailorbird.store.migrations import upgrade

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
CALLER = Caller("123456789012", "us-east-1", "arn:aws:iam::123456789012:root", "AKIA", "bench")
SCHEMA = """{"type": "record", "name": "Interactions",
 "namespace": "com.amazonaws.personalize.schema", "version": "1.0", "fields": [
 {"name": "USER_ID", "type": "string"}, {"name": "ITEM_ID", "type": "string"},
 {"name": "EVENT_TYPE", "type": "string"}, {"name": "TIMESTAMP", "type": "long"}]}"""
ITEMS = """{"type": "record", "name": "Items",
 "namespace": "com.amazonaws.personalize.schema", "version": "1.0", "fields": [
 {"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"},
 {"name": "CATEGORY", "type": "string", "categorical": true}]}"""
WIDE_ITEMS, WIDE_USERS, WIDE_ROWS = 68_000, 20_000, 400_000
FILTERS = {
    "category": "INCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY)",
    "price": "INCLUDE ItemID WHERE Items.PRICE > 20 AND Items.PRICE < 500",
    "not viewed": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view")',
}
BIG_COPIES = 10  # the set under ten times as many user ids: 1.58 million rows
REQUESTS = 2_000


def main() -> None:
    if not DATA.is_dir():
        sys.exit(f"the data sets are not on this machine ({DATA})")
    with tempfile.TemporaryDirectory() as folder:
        room, worker = open_room(Path(folder))
        try:
            run(room)
        finally:
            worker.stop()


def open_room(folder: Path) -> tuple[learn.Learn, Worker]:
    chosen = settings.load({"data": folder}, environment={}, folder=folder)
    db = Database(chosen.database())
    upgrade(db)
    jobs = Jobs(db, SystemClock())
    room = learn.Learn(db, jobs, Objects(folder / "objects", chosen), SystemClock(), chosen)
    worker = Worker(jobs, learn.job_kinds(room), threads=1)
    worker.start()
    return room, worker


def run(room: learn.Learn) -> None:
    def call(operation: Callable[..., Any], **request: Any) -> Any:
        return operation(room, CALLER, request)

    poc = (DATA / "poc-ml-latest-small" / "interactions.csv.gz").read_bytes()
    room.objects.put("s3://bench/poc.csv", poc)
    room.objects.put("s3://bench/big.csv", copies(poc))
    schema = call(schemas.create_schema, name="s", schema=SCHEMA)["schemaArn"]
    found = {}
    for name in ("poc", "big"):
        group = call(groups.create_dataset_group, name=name)["datasetGroupArn"]
        dataset = call(
            datasets.create_dataset,
            name=name,
            schemaArn=schema,
            datasetGroupArn=group,
            datasetType="Interactions",
        )["datasetArn"]
        started = time.perf_counter()
        arn = call(
            imports.create_dataset_import_job,
            jobName=name,
            datasetArn=dataset,
            dataSource={"dataLocation": f"s3://bench/{name}.csv"},
        )["datasetImportJobArn"]
        settle(lambda arn=arn: one(call, arn))
        seconds = time.perf_counter() - started
        rows = imports.report(room, arn)["rows"]
        found[name] = group
        print(f"import {name}: {rows:,} rows in {seconds:.2f} s ({rows / seconds:,.0f} rows/s)")
    answers(room, call, found["poc"])
    filters(room, call)


def answers(room: learn.Learn, call: Callable[..., Any], group: str) -> None:
    solution = call(
        solutions.create_solution,
        name="poc",
        datasetGroupArn=group,
        recipeArn="arn:aws:personalize:::recipe/aws-user-personalization",
    )["solutionArn"]
    started = time.perf_counter()
    version = call(training.create_solution_version, solutionArn=solution)["solutionVersionArn"]
    shown = settle(
        lambda: call(training.describe_solution_version, solutionVersionArn=version)[
            "solutionVersion"
        ]
    )
    seconds = time.perf_counter() - started
    report = learn.metrics.report(room, version)
    print(
        f"train poc: {shown['status']} in {seconds:.1f} s ({report['cpu_seconds']} CPU-s), "
        f"MRR@25 {report['metrics']['mean_reciprocal_rank_at_25']} "
        f"(popularity {report['popularity']['mean_reciprocal_rank_at_25']})"
    )
    campaign = call(campaigns.create_campaign, name="poc", solutionVersionArn=version)
    arn = campaign["campaignArn"]
    tracking = call(trackers.create_event_tracker, name="poc", datasetGroupArn=group)["trackingId"]
    users = [str(n % 610 + 1) for n in range(REQUESTS)]
    took = timed(
        lambda n: call(serving.get_recommendations, campaignArn=arn, userId=users[n]), REQUESTS
    )
    show("GetRecommendations in process, 9.7k items", took)
    took = timed(
        lambda n: call(
            events.put_events,
            trackingId=tracking,
            sessionId="s",
            userId=users[n],
            eventList=[{"eventType": "click", "itemId": users[n], "sentAt": 1.6e9 + n}],
        ),
        REQUESTS,
    )
    show("PutEvents of one event in process", took)
    took = timed(
        lambda n: call(serving.get_recommendations, campaignArn=arn, userId=users[n]), REQUESTS
    )
    show("GetRecommendations with live events", took)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak memory: serving process {peak:.0f} MB, largest child {child:.0f} MB")


def filters(room: learn.Learn, call: Callable[..., Any]) -> None:
    """Answers over a made-up catalogue of 68,000 items, with and without a filter."""
    random = np.random.default_rng(0)
    item = (WIDE_ITEMS * random.random(WIDE_ROWS) ** 2).astype(int)
    item[:WIDE_ITEMS] = np.arange(WIDE_ITEMS)
    user = random.integers(0, WIDE_USERS, WIDE_ROWS)
    rows = [
        f"u{u},item-{i},view,{1_600_000_000 + n}"
        for n, (u, i) in enumerate(zip(user, item, strict=True))
    ]
    things = [f"item-{n},{n % 1000},c{n % 300}|d{n % 20}" for n in range(WIDE_ITEMS)]
    group = call(groups.create_dataset_group, name="wide")["datasetGroupArn"]
    for kind, text, header, lines in (
        ("Interactions", SCHEMA, "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP", rows),
        ("Items", ITEMS, "ITEM_ID,PRICE,CATEGORY", things),
    ):
        room.objects.put(f"s3://bench/{kind}.csv", "\n".join([header, *lines]).encode())
        name = f"wide-{kind}"
        schema = call(schemas.create_schema, name=name, schema=text)["schemaArn"]
        given = {"datasetGroupArn": group, "datasetType": kind, "schemaArn": schema}
        dataset = call(datasets.create_dataset, name=name, **given)["datasetArn"]
        arn = call(
            imports.create_dataset_import_job,
            jobName=name,
            datasetArn=dataset,
            dataSource={"dataLocation": f"s3://bench/{kind}.csv"},
        )["datasetImportJobArn"]
        settle(lambda arn=arn: one(call, arn))
    recipe = "arn:aws:personalize:::recipe/aws-user-personalization"
    given = {"datasetGroupArn": group, "recipeArn": recipe}
    solution = call(solutions.create_solution, name="wide", **given)["solutionArn"]
    version = call(training.create_solution_version, solutionArn=solution)["solutionVersionArn"]
    settle(
        lambda: call(training.describe_solution_version, solutionVersionArn=version)[
            "solutionVersion"
        ]
    )
    arn = call(campaigns.create_campaign, name="wide", solutionVersionArn=version)["campaignArn"]

    def ask(number: int, **more: Any) -> None:
        user_id = f"u{number * 7 % WIDE_USERS}"
        call(serving.get_recommendations, campaignArn=arn, userId=user_id, **more)

    show(f"GetRecommendations, {WIDE_ITEMS:,} items", timed(ask, REQUESTS))
    for name, text in FILTERS.items():
        given = {"datasetGroupArn": group, "filterExpression": text}
        made = call(resources.create_filter, name=name.replace(" ", "-"), **given)
        more = {"filterArn": made["filterArn"]}
        if "$" in text:
            more["filterValues"] = {"CATEGORY": '"d3","c7"'}
        show(f"  with a filter: {name}", timed(lambda n, more=more: ask(n, **more), REQUESTS))


def copies(poc: bytes) -> bytes:
    """The set with other user ids, ten times over, as plain CSV."""
    import gzip

    header, *rows = gzip.decompress(poc).splitlines(keepends=True)
    return header + b"".join(b"%d-%s" % (n, row) for n in range(BIG_COPIES) for row in rows)


def one(call: Callable[..., Any], arn: str) -> dict[str, Any]:
    found = call(imports.describe_dataset_import_job, datasetImportJobArn=arn)
    return found["datasetImportJob"]


def settle(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    while (shown := describe())["status"] in ("CREATE PENDING", "CREATE IN_PROGRESS"):
        time.sleep(0.05)
    if shown["status"] != "ACTIVE":
        sys.exit(f"{shown['status']}: {shown.get('failureReason')}")
    return shown


def timed(deed: Callable[[int], Any], count: int) -> np.ndarray:
    """Milliseconds of each of `count` calls, after a warm one."""
    deed(0)
    took = np.empty(count)
    for n in range(count):
        started = time.perf_counter()
        deed(n)
        took[n] = 1e3 * (time.perf_counter() - started)
    return took


def show(what: str, took: np.ndarray) -> None:
    p50, p99 = np.quantile(took, [0.5, 0.99])
    print(f"{what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {1e3 * len(took) / took.sum():,.0f}/s")


if __name__ == "__main__":
    main()
