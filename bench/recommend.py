"""GetRecommendations over HTTP against a started server: signed requests on kept-alive connections.

Needs the data sets beside the code (../shared/data); they are not part of the project.
"""

from __future__ import annotations

import http.client
import json
import sys
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

from bench.learn import DATA, SCHEMA, show
from tests.conftest import Server, start_server, wait_for

SECONDS = 5.0
USERS = 600
CLIENTS = (1, 4)


def main() -> None:
    if not DATA.is_dir():
        sys.exit(f"the data sets are not on this machine ({DATA})")
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder))
        try:
            run(server)
        finally:
            server.stop()


def run(server: Server) -> None:
    campaign = deploy(server)
    requests = [signed(server, campaign, str(n + 1)) for n in range(USERS)]
    measure(server, requests, 1, 0.5)
    for clients in CLIENTS:
        began = time.perf_counter()
        took = measure(server, requests, clients, SECONDS)
        rate = len(took) / (time.perf_counter() - began)
        show(f"GetRecommendations over HTTP, {clients} at a time ({rate:,.0f}/s in all)", took)


def deploy(server: Server) -> str:
    """The POC set imported, trained and deployed; the campaign's ARN."""
    p = server.client("personalize")
    rows = server.data / "objects" / "bench" / "poc"
    rows.parent.mkdir(parents=True, exist_ok=True)
    rows.write_bytes((DATA / "poc-ml-latest-small" / "interactions.csv.gz").read_bytes())
    schema = p.create_schema(name="poc", schema=SCHEMA)["schemaArn"]
    group = p.create_dataset_group(name="poc")["datasetGroupArn"]
    dataset = p.create_dataset(
        name="poc", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    job = p.create_dataset_import_job(
        jobName="poc", datasetArn=dataset, dataSource={"dataLocation": "s3://bench/poc"}
    )["datasetImportJobArn"]
    active(lambda: p.describe_dataset_import_job(datasetImportJobArn=job)["datasetImportJob"])
    solution = p.create_solution(
        name="poc",
        datasetGroupArn=group,
        recipeArn="arn:aws:personalize:::recipe/aws-user-personalization",
    )["solutionArn"]
    version = p.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    active(lambda: p.describe_solution_version(solutionVersionArn=version)["solutionVersion"])
    return p.create_campaign(name="poc", solutionVersionArn=version)["campaignArn"]


def active(describe: Any) -> None:
    wait_for(lambda: describe()["status"] == "ACTIVE", timeout_seconds=400, every_seconds=0.2)


def signed(server: Server, campaign: str, user: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of one request; the signature is good for the minutes a bench takes."""
    body = json.dumps({"campaignArn": campaign, "userId": user}).encode()
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


if __name__ == "__main__":
    main()
