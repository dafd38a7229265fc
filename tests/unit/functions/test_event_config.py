"""Rules for events: how often, how long, and who is told of their end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailorbird.access import roles
from tailorbird.errors import Invalid, NotBuilt, NotFound
from tailorbird.functions import (
    Functions,
    aliases,
    catalog,
    concurrency,
    event_config,
    invocations,
    log_reads,
)
from tests.unit.functions.conftest import ACCOUNT, OWNER, Workshop
from tests.unit.functions.test_catalog import ARN, create
from tests.unit.functions.test_events import accept, deliver

OTHER = ARN.replace("hook", "other")
NO_DESTINATIONS: dict[str, Any] = {"OnSuccess": {}, "OnFailure": {}}


def put(room: Functions, **members: Any) -> dict[str, Any]:
    request = {"FunctionName": "hook", **members}
    return event_config.put_function_event_invoke_config(room, OWNER, request)


def read(room: Functions, name: str = "hook") -> dict[str, Any]:
    return event_config.get_function_event_invoke_config(room, OWNER, {"FunctionName": name})


def without_time(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "LastModified"}


def to(which: str, arn: str) -> dict[str, Any]:
    return {"DestinationConfig": {which: {"Destination": arn}}}


def test_rules_are_put_whole_updated_in_part_and_deleted(room: Functions):
    create(room)
    made = put(room, MaximumRetryAttempts=1)
    assert without_time(made) == {
        "FunctionArn": f"{ARN}:$LATEST",
        "MaximumRetryAttempts": 1,
        "DestinationConfig": NO_DESTINATIONS,
    }
    assert without_time(read(room)) == without_time(made)
    change = {"FunctionName": "hook", "MaximumEventAgeInSeconds": 60}
    both = event_config.update_function_event_invoke_config(room, OWNER, change)
    assert (both["MaximumRetryAttempts"], both["MaximumEventAgeInSeconds"]) == (1, 60)
    anew = put(room, MaximumEventAgeInSeconds=90)
    assert "MaximumRetryAttempts" not in anew
    event_config.delete_function_event_invoke_config(room, OWNER, {"FunctionName": "hook"})
    with pytest.raises(NotFound, match="doesn't have an EventInvokeConfig"):
        read(room)


def test_every_qualifier_has_rules_of_its_own(room: Functions):
    create(room, Publish=True)
    alias = {"FunctionName": "hook", "Name": "live", "FunctionVersion": "1"}
    aliases.create_alias(room, OWNER, alias)
    for retries, name in enumerate(("hook", "hook:1", "hook:live")):
        put(room, FunctionName=name, MaximumRetryAttempts=retries)
    assert read(room, "hook:live")["FunctionArn"] == f"{ARN}:live"
    assert read(room, "hook:live")["MaximumRetryAttempts"] == 2
    first = event_config.list_function_event_invoke_configs(
        room, OWNER, {"FunctionName": "hook", "MaxItems": 2}
    )
    rest = event_config.list_function_event_invoke_configs(
        room, OWNER, {"FunctionName": "hook", "Marker": first["NextMarker"]}
    )
    found = [*first["FunctionEventInvokeConfigs"], *rest["FunctionEventInvokeConfigs"]]
    assert [each["FunctionArn"] for each in found] == [
        f"{ARN}:{q}" for q in ("$LATEST", "1", "live")
    ]


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "nothing": ({}, Invalid, "You must specify at least one of error handling or destination"),
    "itself": (to("OnFailure", ARN), Invalid, "can't specify the function as a destination"),
    "a function that is not there": (
        to("OnFailure", OTHER),
        Invalid,
        f"The destination ARN {OTHER} is invalid",
    ),
    "a bucket for successes": (to("OnSuccess", "arn:aws:s3:::b"), Invalid, "is invalid"),
    "a bucket that is not there": (
        to("OnFailure", "arn:aws:s3:::nobodys"),
        Invalid,
        "there is no such bucket",
    ),
    "a queue": (to("OnFailure", f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"), NotBuilt, "sqs"),
    "a topic": (to("OnFailure", f"arn:aws:sns:us-east-1:{ACCOUNT}:t"), NotBuilt, "sns"),
    "a bus": (to("OnSuccess", f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/b"), NotBuilt, "ev"),
    "an unknown function": ({"FunctionName": "nope", "MaximumRetryAttempts": 1}, NotFound, "nope"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_a_rule(room: Functions, case: str):
    create(room)
    members, kind, text = REFUSED[case]
    with pytest.raises(kind, match=text):
        put(room, **members)
    with pytest.raises(NotFound):
        read(room)


def test_the_functions_role_must_allow_the_destination(room: Functions):
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    roles.create_role(
        room.access, ACCOUNT, "functions", policy({**trust, "Action": "sts:AssumeRole"})
    )
    create(room)
    create(room, FunctionName="other")
    with pytest.raises(Invalid, match="doesn't have permissions to call lambda:InvokeFunction"):
        put(room, **to("OnFailure", OTHER))
    own = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": OTHER}
    roles.put_role_policy(room.access, ACCOUNT, "functions", "tell", policy(own))
    put(room, **to("OnFailure", OTHER))


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# what the rules do

FAILING = "def handler(event, context): raise ValueError('no')"
WORKING = "def handler(event, context): return {'seen': event['n']}"


def rush(room: Functions) -> None:
    """Make every waiting job due."""
    with room.db.write() as conn:
        conn.exec_driver_sql("UPDATE store_jobs SET due = 0 WHERE state = 0")


def stored(room: Functions) -> list[dict[str, Any]]:
    found = room.objects.list("s3://failures/")
    return [json.loads(room.objects.get(each.uri)) for each in found]


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_function_error_is_tried_as_often_again_as_was_set(room: Functions, retries: int):
    workshop = Workshop(room)
    name = workshop.create(FAILING)
    put(room, FunctionName=name, MaximumRetryAttempts=retries)
    accept(room, name, {})
    attempts = 0
    while deliver(room):
        attempts += 1
        rush(room)
    assert attempts == 1 + retries


def test_what_failed_is_written_into_a_bucket_under_awss_name(room: Functions):
    workshop = Workshop(room)
    name = workshop.create(FAILING)
    room.objects.create_bucket("failures")
    put(
        room,
        FunctionName=name,
        MaximumRetryAttempts=0,
        **to("OnFailure", "arn:aws:s3:::failures"),
    )
    accept(room, name, {"n": 7})
    deliver(room)
    [info] = room.objects.list("s3://failures/")
    assert f"/aws/lambda/async/{name}/20" in info.uri
    [record] = stored(room)
    assert record["version"] == "1.0"
    assert record["requestContext"] == {
        "requestId": OWNER.request_id,
        "functionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 1,
    }
    assert record["requestPayload"] == {"n": 7}
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"]["errorType"] == "ValueError"


def test_another_function_hears_of_success_and_of_failure(room: Functions):
    workshop = Workshop(room)
    told = workshop.create(
        "def handler(event, context): return event['requestContext']['condition']"
    )
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{told}"
    for source, which, condition in (
        (WORKING, "OnSuccess", "Success"),
        (FAILING, "OnFailure", "RetriesExhausted"),
    ):
        name = workshop.create(source)
        put(room, FunctionName=name, MaximumRetryAttempts=0, **to(which, arn))
        accept(room, name, {"n": 7})
        deliver(room)
        [job] = deliver(room)
        assert job.payload["name"] == told
        assert room.jobs.get(job.id)["result"]["payload"] == json.dumps(condition)


def test_an_event_that_would_be_too_old_for_its_retry_is_given_up(room: Functions):
    workshop = Workshop(room)
    name = workshop.create(FAILING)
    room.objects.create_bucket("failures")
    put(
        room,
        FunctionName=name,
        MaximumEventAgeInSeconds=60,
        **to("OnFailure", "arn:aws:s3:::failures"),
    )
    accept(room, name, {})
    deliver(room)
    rush(room)
    assert deliver(room) == []
    [record] = stored(room)
    assert record["requestContext"]["condition"] == "EventAgeExceeded"


def test_events_of_a_function_that_is_off_go_straight_to_the_failures(room: Functions):
    workshop = Workshop(room)
    name = workshop.create(WORKING)
    room.objects.create_bucket("failures")
    put(room, FunctionName=name, **to("OnFailure", "arn:aws:s3:::failures"))
    off = {"FunctionName": name, "ReservedConcurrentExecutions": 0}
    concurrency.put_function_concurrency(room, OWNER, off)
    accept(room, name, {"n": 1})
    deliver(room)
    [record] = stored(room)
    assert record["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responsePayload" not in record


def test_the_older_operation_accepts_an_event_too(room: Functions):
    name = Workshop(room).create(WORKING)
    asked = {"FunctionName": name, "InvokeArgs": b'{"n": 3}'}
    assert invocations.invoke_async(room, OWNER, asked) == {"Status": 202}
    [job] = deliver(room)
    assert room.jobs.get(job.id)["result"]["payload"] == '{"seen": 3}'


def test_an_event_for_a_function_that_is_gone_fails_by_name(room: Functions):
    name = Workshop(room).create(WORKING)
    accept(room, name, {"n": 3})
    catalog.delete_function(room, OWNER, {"FunctionName": name})
    with pytest.raises(NotFound, match=f"function:{name}"):
        deliver(room)


def test_a_bucket_that_cannot_be_written_is_said_in_the_events_result(room: Functions):
    workshop = Workshop(room)
    name = workshop.create(FAILING)
    room.objects.create_bucket("failures")
    failures = to("OnFailure", "arn:aws:s3:::failures")
    put(room, FunctionName=name, MaximumRetryAttempts=0, **failures)
    room.objects.put("s3://failures/aws", b"stands where a folder must be")
    accept(room, name, {})
    [job] = deliver(room)
    result = room.jobs.get(job.id)["result"]
    assert result["error"] == "Unhandled"
    assert result["untold"].startswith("arn:aws:s3:::failures: ")


def test_a_role_that_may_no_longer_tell_a_destination_tells_it_nothing(room: Functions):
    workshop = Workshop(room)
    name = workshop.create(FAILING)
    room.objects.create_bucket("failures")
    failures = to("OnFailure", "arn:aws:s3:::failures")
    put(room, FunctionName=name, MaximumRetryAttempts=0, **failures)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    roles.create_role(  # the role that was never made, and allowed everything, now is
        room.access, ACCOUNT, "functions", policy({**trust, "Action": "sts:AssumeRole"})
    )
    accept(room, name, {})
    [job] = deliver(room)
    untold = room.jobs.get(job.id)["result"]["untold"]
    assert untold.endswith("does not allow s3:PutObject on arn:aws:s3:::failures/*")
    assert stored(room) == []
    words = '"could not tell the end of event"'
    asked = {"logGroupName": f"/aws/lambda/{name}", "filterPattern": words}
    [said] = log_reads.filter_log_events(room, OWNER, asked)["events"]
    assert said["message"].endswith(untold) and OWNER.request_id in said["message"]
