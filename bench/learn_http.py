"""GetRecommendations over HTTP, signed, with a filter over 13,000 items: how many a second, and how
long each takes at 500 a second. Beside it in the same run: the cheapest signed request of the same
server, and uvicorn with an application that answers the same bytes without looking.

python -m bench.learn_http [--data FOLDER] [--seconds 10] [--processes 1]

A FOLDER given is kept, so that the next run finds it trained. The dense models are fitted on the
4,000 most frequent items only: that is minutes of training and changes little of what an answer
costs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from botocore.credentials import Credentials

from bench import _pressure as pressure
from bench.learn import CALLER, ITEMS, SCHEMA
from tailorbird import learn, settings
from tailorbird.clock import SystemClock
from tailorbird.durations import BOUNDS_MS, QUANTILES, Durations
from tailorbird.learn import serving
from tailorbird.remote import Remote
from tailorbird.store import Database, Jobs, Objects
from tests.conftest import Server, free_port, start_server, wait_for

CATALOGUE, USERS, ROWS = 13_000, 8_000, 250_000
GROUPS = 60  # tastes: a user has three of them
DENSE_ITEMS = 4_000
NAME = "shop"
FILTER = (
    'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")'
    " | INCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY)"
)
RATE = 500.0  # requests a second
PREPARED = 2_000  # requests, of different users
CONNECTIONS = {"closed": 8, "open": 32}
IN_PROCESS = 1_000
ACCOUNT = f"arn:aws:personalize:us-east-1:{CALLER.account}"
RUNTIME = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
WHO = b"Action=GetCallerIdentity&Version=2011-06-15"
HELLO = """
async def app(scope, receive, send):
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
BODY = b"x" * 1600
import uvicorn
uvicorn.run(app, port=PORT, http="httptools", lifespan="off", log_level="error", access_log=False)
"""


def main() -> None:
    given = argparse.ArgumentParser()
    given.add_argument("--data", type=Path)
    given.add_argument("--seconds", type=float, default=10.0)
    given.add_argument("--processes", type=int, default=1)
    chosen = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = chosen.data or Path(folder) / "data"
        server = start_server(data, learn_dense_items=DENSE_ITEMS, processes=chosen.processes)
        try:
            set_up(server)
            measure(server, chosen.seconds)
            in_process(data)
        finally:
            server.stop()


def measure(server: Server, seconds: float) -> None:
    assert server.process is not None
    pid, keys = server.process.pid, Credentials(server.access_key, server.secret_key)
    print(f"{CATALOGUE:,} items, {ROWS:,} rows, filter: {FILTER}")
    with hello() as (url, peer):
        asked = [pressure.signed(url, keys, "personalize", "/recommendations", b"{}", RUNTIME)]
        run = pressure.closed(url, asked, 5_000, CONNECTIONS["closed"], peer)
        print(run.says("  bare uvicorn, closed loop"))
    asked = [pressure.signed(server.url, keys, "sts", "/", WHO, FORM)]
    run = pressure.closed(server.url, asked, 3_000, CONNECTIONS["closed"], pid)
    print(run.says("  GetCallerIdentity, closed loop"))
    asked = [
        pressure.signed(server.url, keys, "personalize", "/recommendations", body, RUNTIME)
        for body in map(orjson.dumps, requests())
    ]
    pressure.closed(server.url, asked, PREPARED, CONNECTIONS["closed"], pid)  # what is read once
    plain = [
        pressure.signed(server.url, keys, "personalize", "/recommendations", body, RUNTIME)
        for body in map(orjson.dumps, requests(filtered=False))
    ]
    run = pressure.closed(server.url, plain, 4_000, CONNECTIONS["closed"], pid)
    print(run.says("  GetRecommendations without a filter, closed loop"))
    run = pressure.closed(server.url, asked, 4_000, CONNECTIONS["closed"], pid)
    print(run.says("  GetRecommendations with the filter, closed loop"))
    count = int(RATE * seconds)
    before = counted(server)
    run = pressure.opened(server.url, asked, count, CONNECTIONS["open"], pid, RATE)
    print(run.says(f"  GetRecommendations with the filter, {RATE:.0f} a second"))
    inside = Durations()
    for n, (now, then) in enumerate(zip(counted(server), before, strict=True)):
        inside.counts[n] = max(now - then, 0)
    inside.total, inside.longest_ms = sum(inside.counts), BOUNDS_MS[-1]
    spots = ", ".join(f"{name.removesuffix('_ms')} {inside.quantile(part):.2f}"
                      for name, part in QUANTILES.items())  # fmt: skip
    print(f"  inside the server, {inside.total:,} answers of that round: at most {spots} ms")


def counted(server: Server) -> list[int]:
    """Answers that one process has given, by the bucket of what they took."""
    arn = f"{ACCOUNT}:campaign/{NAME}"
    found = Remote(server.url, server.data).call("GET", f"/_/latency?of={arn}")["buckets"]
    counts = {one["up_to_ms"]: one["count"] for one in found}
    return [counts.get(bound, 0) for bound in (*BOUNDS_MS, None)]


def in_process(data: Path) -> None:
    """The same requests put to the room itself, with the library in C and without: CPU of one
    thread."""
    for native in (True, False):
        _in_process(data, native)


def _in_process(data: Path, native: bool) -> None:
    chosen = settings.load({"data": data, "learn_native": native}, environment={}, folder=data)
    db, clock = Database(chosen.database()), SystemClock()
    room = learn.Learn(db, Jobs(db, clock), Objects(data / "objects", chosen), clock, chosen)
    for filtered in (False, True):
        asked = requests(filtered=filtered)
        for one in asked[:IN_PROCESS]:
            serving.get_recommendations(room, CALLER, one)
        begun = time.thread_time()
        for one in asked[:IN_PROCESS]:
            serving.get_recommendations(room, CALLER, one)
        each = 1000 * (time.thread_time() - begun) / IN_PROCESS
        by = "in C" if room.native else "by numpy"
        how = f"{by}, {'with' if filtered else 'without'} the filter"
        print(f"  in process, {how}: {each:.3f} ms CPU")
    db.close()


def requests(*, filtered: bool = True) -> list[dict[str, Any]]:
    """A request for each of many users, two categories each."""
    found = []
    for n in range(PREPARED):
        one: dict[str, Any] = {
            "campaignArn": f"{ACCOUNT}:campaign/{NAME}",
            "userId": f"u{n * 7 % USERS}",
            "numResults": 25,
        }
        if filtered:
            one["filterArn"] = f"{ACCOUNT}:filter/{NAME}"
            one["filterValues"] = {"CATEGORY": f'"d{n % 20}","c{n * 13 % 300}"'}
        found.append(one)
    return found


def set_up(server: Server) -> None:
    """Import, train, deploy, unless the folder has it."""
    client = server.client("personalize")
    if client.list_campaigns()["campaigns"]:
        return
    begun = time.perf_counter()
    group = client.create_dataset_group(name=NAME)["datasetGroupArn"]
    for kind, schema, text in (
        ("Interactions", SCHEMA, interactions()),
        ("Items", ITEMS, catalogue()),
    ):
        bucket = server.data / "objects" / "bench"
        bucket.mkdir(parents=True, exist_ok=True)
        (bucket / f"{kind}.csv").write_text(text)
        made = client.create_schema(name=kind, schema=schema)["schemaArn"]
        dataset = client.create_dataset(
            name=kind, datasetGroupArn=group, datasetType=kind, schemaArn=made
        )["datasetArn"]
        job = client.create_dataset_import_job(
            jobName=kind,
            datasetArn=dataset,
            dataSource={"dataLocation": f"s3://bench/{kind}.csv"},
            roleArn="arn:aws:iam::123456789012:role/bench",
        )["datasetImportJobArn"]
        _settled(
            lambda job=job: client.describe_dataset_import_job(datasetImportJobArn=job)[
                "datasetImportJob"
            ]
        )
    solution = client.create_solution(
        name=NAME,
        datasetGroupArn=group,
        recipeArn="arn:aws:personalize:::recipe/aws-user-personalization",
    )["solutionArn"]
    version = client.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    _settled(
        lambda: client.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    )
    client.create_campaign(name=NAME, solutionVersionArn=version)
    client.create_filter(name=NAME, datasetGroupArn=group, filterExpression=FILTER)
    print(f"imported and trained in {time.perf_counter() - begun:.0f} s")


def interactions() -> str:
    """Users of a few tastes each, who go through items of a taste one after another."""
    random = np.random.default_rng(0)
    group_of = random.integers(0, GROUPS, CATALOGUE)
    members = [np.flatnonzero(group_of == one) for one in range(GROUPS)]
    lines = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
    lengths = np.minimum(random.geometric(USERS / ROWS, USERS) + 2, 400)
    for user, length in enumerate(lengths.tolist()):
        tastes = random.integers(0, GROUPS, 3)
        when = 1_700_000_000 + int(random.integers(0, 90 * 86_400))
        place = 0
        for n in range(length):
            items = members[tastes[int(random.integers(0, 3))]]
            jump = int(len(items) * random.random() ** 3)
            place = (place + 1) % len(items) if random.random() < 0.4 else jump
            kind = "purchase" if random.random() < 0.15 else "view"
            when += int(random.integers(10, 7_200))
            lines.append(f"u{user},item-{items[place]},{kind},{when + n}")
    lines += [f"u{n % USERS},item-{n},view,1700000000" for n in range(CATALOGUE)]
    return "\n".join(lines)


def catalogue() -> str:
    lines = [f"item-{n},{n % 1000},c{n % 300}|d{n % 20}" for n in range(CATALOGUE)]
    return "\n".join(["ITEM_ID,PRICE,CATEGORY", *lines])


@contextmanager
def hello() -> Iterator[tuple[str, int]]:
    """uvicorn with nothing behind it: address and process id."""
    port = free_port()
    text = HELLO.replace("PORT", str(port))
    process = subprocess.Popen([sys.executable, "-c", text], env=os.environ)
    try:
        wait_for(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _settled(describe: Any) -> None:
    shown = wait_for(
        lambda: (found := describe())["status"] in ("ACTIVE", "CREATE FAILED") and found,
        timeout_seconds=1_800,
        every_seconds=0.2,
    )
    if shown["status"] != "ACTIVE":
        sys.exit(f"{shown['status']}: {shown.get('failureReason')}")


if __name__ == "__main__":
    main()
