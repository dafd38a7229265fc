"""A function that sends itself events without end, with the real boto3 inside: stopped at 16."""

from __future__ import annotations

import json
from typing import Any

from tests import aws
from tests.conftest import Server, wait_for

LOOP = """
import boto3, json
client = boto3.client("lambda")
def handler(event, context):
    print("round", event["n"])
    payload = json.dumps({"n": event["n"] + 1})
    client.invoke(FunctionName=context.function_name, InvocationType="Event", Payload=payload)
"""


def rounds(server: Server) -> list[str]:
    found = server.client("logs").filter_log_events(logGroupName="/aws/lambda/loop")["events"]
    return [e["message"] for e in found if e["message"].startswith("round")]


def test_a_loop_of_events_ends_after_16_rounds(server: Server) -> None:
    client = server.client("lambda")
    client.create_function(
        FunctionName="loop",
        Runtime="python3.12",
        Role=aws.LAMBDA_ROLE,
        Handler="main.handler",
        Code={"ZipFile": aws.zipped({"main.py": LOOP})},
        Timeout=20,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="loop")
    ended = destination(client)
    client.put_function_event_invoke_config(
        FunctionName="loop", DestinationConfig={"OnFailure": {"Destination": ended}}
    )
    client.invoke(FunctionName="loop", InvocationType="Event", Payload=json.dumps({"n": 1}))
    group = "/aws/lambda/loop-ended"
    wait_for(lambda: "RecursiveInvocation" in log_of(server, group), timeout_seconds=120)
    assert len(rounds(server)) == 16
    client.put_function_recursion_config(FunctionName="loop", RecursiveLoop="Allow")
    said = client.get_function_recursion_config(FunctionName="loop")
    assert said["RecursiveLoop"] == "Allow"


def destination(client: Any) -> str:
    code = "def handler(e, c): print(e['requestContext']['condition'], e['requestPayload'])"
    made = client.create_function(
        FunctionName="loop-ended",
        Runtime="python3.12",
        Role=aws.LAMBDA_ROLE,
        Handler="main.handler",
        Code={"ZipFile": aws.zipped({"main.py": code})},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="loop-ended")
    return str(made["FunctionArn"])


def log_of(server: Server, group: str) -> str:
    client = server.client("logs")
    try:
        found = client.filter_log_events(logGroupName=group)["events"]
    except client.exceptions.ResourceNotFoundException:
        return ""
    return "\n".join(event["message"] for event in found)
