"""Calls to customers' functions: what a function is given, and how each of its ends is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import aws
from tests.conftest import Server, wait_for
from tests.wire.segment_client import basic, new_source, public, send

SEGMENT = "arn:aws:iam::595280932656:root"

TELLS = """
import json
def handler(event, context):
    given = context.client_context
    raise ValueError(json.dumps({"event": event, "custom": given and given.custom}))
"""
SLEEPS = """
import time
def handler(event, context):
    time.sleep(8)
"""
ASKS_FOR_RETRY = """
class RetryError(Exception): pass
def handler(event, context):
    raise RetryError("later, please")
"""
PRINTS = """
def handler(event, context):
    print("saw", event["messageId"])
    raise KeyError("sku")
"""
ANSWERS_ITSELF = """
import base64, json, os, urllib.request
def handler(event, context):
    key = base64.b64encode((os.environ["connections_source_write_key"] + ":").encode()).decode()
    body = {"userId": event["userId"], "traits": {"seen": 1}}
    request = urllib.request.Request(
        os.environ["TAILORBIRD_URL"] + "/v1/identify",
        data=json.dumps(body).encode(),
        headers={"Authorization": "Basic " + key},
    )
    urllib.request.urlopen(request).read()
"""


def connected(
    server: Server, name: str, code: str, *, trusted: bool = True, **settings: Any
) -> tuple[dict[str, Any], str]:
    """A source of its own, connected to a function of its own; source and destination id."""
    source = new_source(server, name)
    variables = {"connections_source_write_key": source["writeKeys"][0]}
    function = aws.python_function(
        server, name, code, Timeout=15, Environment={"Variables": variables}
    )
    role = role_for(server, name, function, source["id"] if trusted else "somebody else")
    given = {"function": function, "roleAddress": role, "region": "us-east-1", **settings}
    body = {"sourceId": source["id"], "metadataId": "Amazon Lambda", "settings": given}
    made = public(server, "POST", "/destinations", body)
    return source, str(made["destination"]["id"])


def role_for(server: Server, name: str, function: str, external_id: str) -> str:
    iam = server.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": SEGMENT},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }
    may = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    policy = iam.create_policy(PolicyName=name, PolicyDocument=document(may))
    iam.attach_role_policy(RoleName=name, PolicyArn=policy["Policy"]["Arn"])
    return str(made["Role"]["Arn"])


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def call(server: Server, source: dict[str, Any], kind: str = "track", **fields: Any) -> None:
    body = {"userId": "ann", "event": "Product Added", "properties": {"sku": "s1"}, **fields}
    key = source["writeKeys"][0]
    send(server, "POST", f"/v1/{kind}", json.dumps(body), Authorization=basic(key))


def overview(server: Server, destination: str) -> dict[str, Any]:
    return dict(public(server, "GET", f"/destinations/{destination}/delivery-metrics")["overview"])


def sample(server: Server, destination: str, step: str) -> dict[str, Any]:
    """The sample of the first call that came to this step."""
    wait_for(lambda: overview(server, destination)["steps"][step], 20)
    return dict(overview(server, destination)["samples"][0])


def test_a_function_is_given_the_whole_call_and_the_client_context(server: Server) -> None:
    source, destination = connected(
        server, "tells", TELLS, clientContext={"custom": {"shop": "north"}}
    )
    call(server, source, messageId="m-1", anonymousId="anon")
    seen = sample(server, destination, "failed_delivery")
    assert seen["reason"] == "Execution Error"
    said = json.loads(seen["message"].removeprefix("ValueError: "))
    assert said["custom"] == {"shop": "north"}
    assert said["event"] == json.loads(seen["payload"])
    assert (said["event"]["type"], said["event"]["messageId"]) == ("track", "m-1")
    assert said["event"]["projectId"] == source["id"]


def test_the_end_of_the_log_is_kept_when_asked_for(server: Server) -> None:
    source, destination = connected(server, "prints", PRINTS, logType="Tail")
    call(server, source, messageId="m-2")
    message = sample(server, destination, "failed_delivery")["message"]
    assert message.startswith("KeyError: 'sku'")
    assert "saw m-2" in message


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [("asks", ASKS_FOR_RETRY, "Execution Error"), ("sleeps", SLEEPS, "Operation timedout")],
)
def test_what_may_pass_is_tried_again(server: Server, name: str, code: str, reason: str) -> None:
    source, destination = connected(server, name, code)
    call(server, source)
    assert sample(server, destination, "retried")["reason"] == reason
    assert overview(server, destination)["steps"]["pending"] == 1
    public(server, "DELETE", f"/destinations/{destination}")


def test_a_role_that_does_not_trust_the_source_is_told_with_the_remedy(server: Server) -> None:
    source, destination = connected(server, "untrusted", TELLS, trusted=False)
    call(server, source)
    seen = sample(server, destination, "failed_delivery")
    assert seen["reason"] == "Accessdenied"
    assert f"external id '{source['id']}'" in seen["message"]
    assert "To allow it: aws iam" in seen["message"]


def test_an_own_function_for_a_type_and_a_list_of_events(server: Server) -> None:
    source, destination = connected(
        server, "own", TELLS, events=["Order Completed"], identifyFunction=""
    )
    call(server, source, event="Product Viewed")
    call(server, source, "identify")
    call(server, source, event="Order Completed")
    sample(server, destination, "failed_delivery")
    rows = overview(server, destination)["reasons"]
    assert {(row["step"], row["reason"], row["type"]) for row in rows} == {
        ("filtered_at_destination", "event_not_selected", "track"),
        ("filtered_at_destination", "type_not_selected", "identify"),
        ("failed_delivery", "Execution Error", "track"),
    }


def test_a_function_that_answers_itself_for_ever_is_stopped(server: Server) -> None:
    source, destination = connected(server, "loops", ANSWERS_ITSELF)
    call(server, source)
    seen = sample(server, destination, "filtered_at_destination")
    assert seen["reason"] == "loop_guard"
    assert overview(server, destination)["steps"]["successful_delivery"] <= 6
