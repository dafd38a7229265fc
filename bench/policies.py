"""Microseconds to authorize one hot call of a role that has ten policies."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailorbird import settings
from tailorbird.access import Access, Caller, Request, evaluate, roles
from tailorbird.clock import SystemClock
from tailorbird.gateway.authorize import authorize
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade

ROUNDS, CALLS, POLICIES = 7, 20_000, 10
ACCOUNT, REGION = "123456789012", "us-east-1"
CAMPAIGN = f"arn:aws:personalize:{REGION}:{ACCOUNT}:campaign/shop"
TRUST = {"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
CALLS_OF = {
    "PutEvents": ("personalize-events", {"trackingId": "t", "sessionId": "s", "eventList": []}),
    "GetRecommendations": ("personalize-runtime", {"campaignArn": CAMPAIGN, "userId": "u"}),
    "UpdateEndpoint": ("pinpoint", {"ApplicationId": "a" * 32, "EndpointId": "e-1"}),
}
SCOPE = {"scheme": "http", "client": ("127.0.0.1", 1), "headers": [(b"user-agent", b"boto3")]}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        room = open_room(Path(folder))
        make_role(room, "plain", {})
        make_role(room, "conditions", {"StringEquals": {"aws:RequestedRegion": REGION}})
        root = Caller(ACCOUNT, REGION, f"arn:aws:iam::{ACCOUNT}:root", "AKIA", "r")
        for operation, (service, request) in CALLS_OF.items():
            line = [f"{operation:<20}"]
            for name, caller in {
                "account": root,
                "role": session("plain"),
                "role with conditions": session("conditions"),
            }.items():
                took = median_us(call(room, caller, service, operation, request), CALLS)
                line.append(f"{name} {took:6.2f} us")
            print("   ".join(line))
        once = [policy(n, {}) for n in range(POLICIES)]
        asked = Request(session("plain").principal, "personalize:PutEvents", "*", {})
        print(
            f"evaluate, ten policies    {median_us(lambda: evaluate(once, asked), 2_000):6.2f} us"
        )
        cold = median_us(forgetting(room), 200)
        print(f"first call of a second    {cold:6.0f} us (the policies are read from the database)")
        room.db.close()


def open_room(folder: Path) -> Access:
    db = Database(f"sqlite:///{folder / 'bench.db'}")
    upgrade(db)
    return Access(db, SystemClock(), settings.load({"data": folder}, environment={}))


def policy(number: int, condition: dict[str, Any]) -> dict[str, Any]:
    """Each policy speaks of another service; the last one allows what is asked."""
    actions = [f"service{number}:Get*", f"service{number}:Put*", f"service{number}:List*"]
    if number == POLICIES - 1:
        actions = ["personalize:*", "mobiletargeting:UpdateEndpoint"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return {
        "Version": "2012-10-17",
        "Statement": [statement | ({"Condition": condition} if condition else {})],
    }


def make_role(room: Access, name: str, condition: dict[str, Any]) -> None:
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **TRUST}]}
    roles.create_role(room, ACCOUNT, name, json.dumps(trust))
    for number in range(POLICIES):
        text = json.dumps(policy(number, condition))
        roles.put_role_policy(room, ACCOUNT, name, f"policy-{number}", text)


def session(role: str) -> Caller:
    principal = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/function"
    return Caller(ACCOUNT, REGION, principal, "ASIA", "r")


def call(
    room: Access, caller: Caller, service: str, operation: str, request: dict[str, Any]
) -> Callable[[], object]:
    return lambda: authorize(room, caller, service, operation, request, SCOPE)


def forgetting(room: Access) -> Callable[[], object]:
    ask = call(room, session("plain"), "personalize-events", "PutEvents", {"trackingId": "t"})

    def once() -> None:
        room.rights.clear()
        ask()

    return once


def median_us(act: Callable[[], object], calls: int) -> float:
    act()
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            act()
        rounds.append((time.perf_counter() - began) / calls * 1e6)
    return statistics.median(rounds)


if __name__ == "__main__":
    main()
