"""GetRecommendations over HTTP against a started server: signed requests on kept-alive connections.

A made-up catalogue of 13,000 items with categories; with and without a filter that has a
parameter. Paced: 500 a second, each timed from the moment it was due, so that waiting behind a slow
answer counts. The client takes its share of the same processors; `bench.learn` has the figures of
the same operation in process.
"""

from __future__ import annotations

import http.client
import itertools
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.learn import ITEMS, SCHEMA, show
from tests.conftest import Server, start_server, wait_for

SECONDS = 5.0
USERS = 600
CLIENTS = (1, 4)
PACE = 500  # requests a second
CATALOGUE, PEOPLE, ROWS = 13_000, 8_000, 200_000
FILTER = "INCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY)"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder))
        try:
            run(server)
        finally:
            server.stop()


def run(server: Server) -> None:
    campaign, chosen = deploy(server)
    plain = [signed(server, campaign, f"u{n}") for n in range(USERS)]
    filtered = [signed(server, campaign, f"u{n}", chosen) for n in range(USERS)]
    for requests in (plain, filtered):
        measure(server, requests, 1, 0.5)
    for name, requests in (("", plain), (" with a filter", filtered)):
        for clients in CLIENTS:
            began = time.perf_counter()
            took = measure(server, requests, clients, SECONDS)
            rate = len(took) / (time.perf_counter() - began)
            words = (
                f"GetRecommendations over HTTP{name}, {clients} at a time ({rate:,.0f}/s in all)"
            )
            show(words, took)
    took = paced(server, filtered, PACE, SECONDS)
    show(f"  paced at {PACE}/s with a filter, from the moment each was due", took)


def deploy(server: Server) -> tuple[str, str]:
    """The made-up catalogue imported, trained and deployed; the campaign's and the filter's ARN."""
    p = server.client("personalize")
    group = p.create_dataset_group(name="wide")["datasetGroupArn"]
    for kind, schema, text in (
        ("Interactions", SCHEMA, interactions()),
        ("Items", ITEMS, items()),
    ):
        rows = server.data / "objects" / "bench" / kind
        rows.parent.mkdir(parents=True, exist_ok=True)
        rows.write_text(text)
        schema_arn = p.create_schema(name=kind, schema=schema)["schemaArn"]
        dataset = p.create_dataset(
            name=kind, schemaArn=schema_arn, datasetGroupArn=group, datasetType=kind
        )["datasetArn"]
        job = p.create_dataset_import_job(
            jobName=kind, datasetArn=dataset, dataSource={"dataLocation": f"s3://bench/{kind}"}
        )["datasetImportJobArn"]
        active(
            lambda job=job: p.describe_dataset_import_job(datasetImportJobArn=job)[
                "datasetImportJob"
            ]
        )
    solution = p.create_solution(
        name="wide",
        datasetGroupArn=group,
        recipeArn="arn:aws:personalize:::recipe/aws-user-personalization",
    )["solutionArn"]
    version = p.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    active(lambda: p.describe_solution_version(solutionVersionArn=version)["solutionVersion"])
    campaign = p.create_campaign(name="wide", solutionVersionArn=version)["campaignArn"]
    made = p.create_filter(name="wide", datasetGroupArn=group, filterExpression=FILTER)
    return campaign, made["filterArn"]


def interactions() -> str:
    random = np.random.default_rng(0)
    item = (CATALOGUE * random.random(ROWS) ** 2).astype(int)
    item[:CATALOGUE] = np.arange(CATALOGUE)
    user = random.integers(0, PEOPLE, ROWS)
    rows = (
        f"u{u},item-{i},view,{1_600_000_000 + n}"
        for n, (u, i) in enumerate(zip(user.tolist(), item.tolist(), strict=True))
    )
    return "\n".join(["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP", *rows])


def items() -> str:
    rows = (f"item-{n},{n % 1000},c{n % 300}|d{n % 20}" for n in range(CATALOGUE))
    return "\n".join(["ITEM_ID,PRICE,CATEGORY", *rows])


def active(describe: Any) -> None:
    wait_for(lambda: describe()["status"] == "ACTIVE", timeout_seconds=400, every_seconds=0.2)


def signed(
    server: Server, campaign: str, user: str, chosen: str = ""
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of one request; the signature is good for the minutes a bench takes."""
    asked: dict[str, Any] = {"campaignArn": campaign, "userId": user}
    if chosen:
        asked |= {"filterArn": chosen, "filterValues": {"CATEGORY": '"d3","c7"'}}
    body = json.dumps(asked).encode()
    request = AWSRequest("POST", f"{server.url}/recommendations", data=body)
    request.headers["Content-Type"] = "application/json"
    keys = Credentials(server.access_key, server.secret_key)
    SigV4Auth(keys, "personalize", "us-east-1").add_auth(request)
    return body, dict(request.headers)


def measure(
    server: Server, requests: list[tuple[bytes, dict[str, str]]], clients: int, seconds: float
) -> np.ndarray:
    """Milliseconds of every answer that `clients` connections got in that time."""
    took: list[list[float]] = [[] for _ in range(clients)]
    until = time.perf_counter() + seconds

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
        turn = number * 37
        while time.perf_counter() < until:
            body, headers = requests[turn % len(requests)]
            began = time.perf_counter()
            connection.request("POST", "/recommendations", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"HTTP {answer.status}")
            took[number].append(1e3 * (time.perf_counter() - began))
            turn += 1

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.concatenate([np.array(one) for one in took])


def paced(
    server: Server, requests: list[tuple[bytes, dict[str, str]]], rate: int, seconds: float
) -> np.ndarray:
    """Milliseconds from the moment each request was due to its answer."""
    took: list[float] = []
    turns = itertools.count()
    began = time.perf_counter() + 0.1

    def ask() -> None:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
        while (turn := next(turns)) < rate * seconds:
            due = began + turn / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            body, headers = requests[turn % len(requests)]
            connection.request("POST", "/recommendations", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"HTTP {answer.status}")
            took.append(1e3 * (time.perf_counter() - due))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.array(took)


if __name__ == "__main__":
    main()
