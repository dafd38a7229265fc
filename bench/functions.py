"""Functions: cold starts, warm invocations and invocations a second, in the best sandbox here.

Cold starts with boto3 are measured in turns: forked of a loaded interpreter and started anew.
The handler is the example of Pinpoint's developer guide ("Customizing segments with AWS Lambda"),
and its like in Python, on 50 endpoints.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from tailorbird import settings
from tailorbird.access import Access, Caller
from tailorbird.clock import SystemClock
from tailorbird.errors import Unavailable
from tailorbird.functions import Functions, catalog, invoke, runtimes
from tailorbird.store import Database, Jobs, Objects
from tailorbird.store.migrations import upgrade

ACCOUNT, REGION = "123456789012", "us-east-1"
OWNER = Caller(ACCOUNT, REGION, f"arn:aws:iam::{ACCOUNT}:root", "AKIA", "")
WARM = 2000
COLD = 7
CLIENTS = 8
EACH = 400
NODE = """'use strict';
exports.handler = (event, context, callback) => {
    for (var key in event.Endpoints) {
        if (event.Endpoints.hasOwnProperty(key)) {
            var endpoint = event.Endpoints[key];
            var attr = endpoint.Attributes;
            if (!attr) {
                attr = {};
                endpoint.Attributes = attr;
            }
            attr["CreditScore"] = [ Math.floor(Math.random() * 200) + 650];
        }
    }
    console.log("Received event:", JSON.stringify(event, null, 2));
    callback(null, event.Endpoints);
};
"""
PYTHON = """
import json, random
def handler(event, context):
    for endpoint in event["Endpoints"].values():
        endpoint.setdefault("Attributes", {})["CreditScore"] = [random.randrange(650, 850)]
    print("Received event:", json.dumps(event))
    return event["Endpoints"]
"""
FUNCTIONS = {
    "python": ("python3.12", "app.py", PYTHON),
    "node": ("nodejs20.x", "app.js", NODE),
    "python, silent": ("python3.12", "app.py", PYTHON.replace("    print(", "    0 and print(")),
    "node, silent": ("nodejs20.x", "app.js", NODE.replace("    console.log(", "    0 && (")),
}


def event() -> bytes:
    endpoints = {
        f"endpoint-{n}": {
            "ChannelType": "EMAIL",
            "Address": f"person{n}@example.com",
            "EndpointStatus": "ACTIVE",
            "OptOut": "NONE",
            "Attributes": {"interests": ["shoes", "tents"]},
            "Demographic": {"Make": "apple", "Platform": "ios"},
            "EffectiveDate": "2026-11-21T18:00:00.000Z",
            "User": {"UserId": f"user-{n}", "UserAttributes": {"tier": ["gold"]}},
        }
        for n in range(50)
    }
    return json.dumps({"ApplicationId": "a", "CampaignId": "c", "Endpoints": endpoints}).encode()


def zipped(file: str, source: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(file, source)
    return packed.getvalue()


BOTO3 = """
import boto3
client = boto3.client("personalize-events")
def handler(event, context): return 1
"""
ANEW = {"Variables": {"PYTHONUNBUFFERED": "1"}}  # Python reads it as it starts: never a fork
TURNS = 9
AT_ONCE = 8
LOAD_SECONDS = 30.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        room = _open(Path(folder))
        room.start()
        print(
            f"sandbox {room.level}; {len(event())} bytes of 50 endpoints; Python {sys.version[:6]}"
        )
        try:
            for label, (runtime, file, source) in FUNCTIONS.items():
                _measure(room, label, runtime, file, source)
            _measure_boto3(room)
        finally:
            room.stop()


def _measure(room: Functions, label: str, runtime: str, file: str, source: str) -> None:
    try:
        runtimes.find(runtime)
    except Unavailable as missing:
        print(f"{label}: {missing.message}")
        return
    name = label.replace(", ", "-")
    catalog.create_function(
        room,
        OWNER,
        {
            "FunctionName": name,
            "Runtime": runtime,
            "Role": f"arn:aws:iam::{ACCOUNT}:role/bench",
            "Handler": "app.handler",
            "Code": {"ZipFile": zipped(file, source)},
            "Timeout": 15,
        },
    )
    payload = event()

    def once() -> float:
        begun = time.perf_counter()
        done = invoke(room, name, payload, caller=OWNER, account=ACCOUNT, region=REGION)
        took = time.perf_counter() - begun
        assert done.function_error is None, done.payload
        return took * 1000

    cold = []
    for number in range(COLD):
        change = {"FunctionName": name, "Description": f"round {number}"}
        catalog.update_function_configuration(room, OWNER, change)
        cold.append(once())
    warm = sorted(once() for _ in range(WARM))
    rate = _together(once)
    print(
        f"{label}: cold {statistics.median(cold):.0f} ms (worst {max(cold):.0f}), warm p50"
        f" {warm[WARM // 2]:.2f} ms p99 {warm[WARM * 99 // 100]:.2f} ms,"
        f" {CLIENTS} clients {rate:.0f} invocations/s"
    )


def _measure_boto3(room: Functions) -> None:
    """The first invocation of a function that makes a boto3 client, and of several at once."""
    runtime = FUNCTIONS["python"][0]
    room.expect(runtime)
    until = time.monotonic() + LOAD_SECONDS
    while not room.supervisor.is_prepared(runtime) and time.monotonic() < until:
        time.sleep(0.1)
    took: dict[str, list[float]] = {"forked": [], "anew": []}
    burst: dict[str, list[float]] = {"forked": [], "anew": []}
    for turn in range(TURNS):
        for kind, variables in (("forked", {}), ("anew", ANEW)):
            names = [f"boto3-{kind}-{turn}-{number}" for number in range(AT_ONCE + 1)]
            for name in names:
                _create(room, name, runtime, variables)
            took[kind].append(_first(room, names[0]))
            if turn < TURNS // 3:
                burst[kind].append(_all_at_once(room, names[1:]))
    for kind in took:
        print(
            f"python with a boto3 client, {kind}: cold {statistics.median(took[kind]):.0f} ms"
            f" (best {min(took[kind]):.0f}), {AT_ONCE} functions at once"
            f" {statistics.median(burst[kind]):.0f} ms"
        )


def _create(room: Functions, name: str, runtime: str, variables: dict[str, object]) -> None:
    request = {
        "FunctionName": name,
        "Runtime": runtime,
        "Role": f"arn:aws:iam::{ACCOUNT}:role/bench",
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped("app.py", BOTO3)},
        "Timeout": 15,
        "Environment": variables,
    }
    catalog.create_function(room, OWNER, request)


def _first(room: Functions, name: str) -> float:
    begun = time.perf_counter()
    done = invoke(room, name, b"{}", caller=OWNER, account=ACCOUNT, region=REGION)
    assert done.function_error is None, done.payload
    return (time.perf_counter() - begun) * 1000


def _all_at_once(room: Functions, names: list[str]) -> float:
    threads = [threading.Thread(target=_first, args=(room, name)) for name in names]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - begun) * 1000


def _together(once: object) -> float:
    """Invocations a second from several threads, all environments warm."""

    def work() -> None:
        for _ in range(EACH):
            once()  # type: ignore[operator]

    for _ in range(2):  # the first round warms an environment for each client
        threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return CLIENTS * EACH / (time.perf_counter() - begun)


def _open(folder: Path) -> Functions:
    chosen = settings.load({"data": folder / "data"}, environment={}, folder=folder)
    db = Database(chosen.database())
    upgrade(db)
    clock = SystemClock()
    objects = Objects(chosen.data / "objects", chosen)
    return Functions(db, Jobs(db, clock), objects, clock, chosen, Access(db, clock, chosen))


if __name__ == "__main__":
    main()
