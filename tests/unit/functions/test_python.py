"""Python functions on the official runtime client: results, errors, and what they see."""

from __future__ import annotations

import json

import pytest

from tests.unit.functions.conftest import Workshop


def body(done: object) -> object:
    return json.loads(done.payload)  # type: ignore[attr-defined]


def test_a_handler_gets_the_event_and_its_result_comes_back(workshop: Workshop):
    done = workshop.run("def handler(event, context):\n    return event['a'] + 1", {"a": 41})
    assert (done.payload, done.function_error, done.executed_version) == (b"42", None, "$LATEST")


def test_no_result_is_null(workshop: Workshop):
    assert workshop.run("def handler(event, context): pass").payload == b"null"


def test_an_exception_is_reported_as_lambda_does(workshop: Workshop):
    done = workshop.run("def handler(event, context):\n    raise ValueError('no such user')")
    assert done.function_error == "Unhandled"
    assert body(done) == {
        "errorMessage": "no such user",
        "errorType": "ValueError",
        "requestId": done.request_id,
        "stackTrace": [
            '  File "/var/task/app.py", line 2, in handler\n'
            "    raise ValueError('no such user')\n"
        ],
    }


BROKEN = {
    "no such module": ({"Handler": "nope.handler"}, "Runtime.ImportModuleError"),
    "no such function": ({"Handler": "app.nope"}, "Runtime.HandlerNotFound"),
    "no dot": ({"Handler": "app"}, "Runtime.MalformedHandlerName"),
    "bad syntax": ({"source": "def handler(:"}, "Runtime.UserCodeSyntaxError"),
    "raises while loading": ({"source": "raise KeyError('x')"}, "KeyError"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_code_that_does_not_load_is_an_error_of_the_function(workshop: Workshop, case: str):
    members, error_type = BROKEN[case]
    source = members.get("source", "def handler(event, context): pass")
    done = workshop.run(source, **{k: v for k, v in members.items() if k != "source"})
    assert (done.function_error, body(done)["errorType"]) == ("Unhandled", error_type)


def test_code_that_failed_to_load_is_tried_again_at_the_next_invocation(workshop: Workshop):
    source = """
import os
if not os.path.exists("/tmp/second"):
    open("/tmp/second", "w").close()
    raise RuntimeError("not yet")
def handler(event, context): return "now"
"""
    name = workshop.create(source)
    assert workshop.invoke(name).function_error == "Unhandled"
    assert workshop.invoke(name).payload == b'"now"'


def test_the_log_has_lambdas_lines_and_what_was_printed(workshop: Workshop):
    source = """
import logging
def handler(event, context):
    print("printed")
    logging.getLogger().warning("warned")
"""
    done = workshop.run(source)
    lines = (done.log_tail or "").splitlines()
    assert lines[0] == f"START RequestId: {done.request_id} Version: $LATEST"
    assert lines[1] == "printed"
    assert lines[2].startswith("[WARNING]\t") and lines[2].endswith(f"\t{done.request_id}\twarned")
    assert f"END RequestId: {done.request_id}" in lines
    assert lines[-1].startswith(f"REPORT RequestId: {done.request_id}\tDuration: ")
    assert "\tMemory Size: 128 MB\t" in lines[-1] and "\tInit Duration: " in lines[-1]


def test_the_tail_is_the_last_4_kib(workshop: Workshop):
    done = workshop.run("def handler(event, context): print('x' * 100_000)")
    assert len((done.log_tail or "").encode()) == 4096
    assert "REPORT RequestId" in (done.log_tail or "")


def test_the_environment_is_the_one_lambda_gives(workshop: Workshop):
    source = """
import os, pwd
def handler(event, context):
    return {"env": dict(os.environ), "cwd": os.getcwd(), "root": sorted(os.listdir("/"))}
"""
    name = workshop.create(source, Environment={"Variables": {"stage": "test"}})
    seen = body(workshop.invoke(name))
    expected = {
        "_HANDLER": "app.handler",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_REGION": "us-east-1",
        "TZ": ":UTC",
        "stage": "test",
    }
    assert {key: seen["env"].get(key) for key in expected} == expected
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} <= set(seen["env"])


def test_the_user_the_zone_and_the_folders_are_lambdas(workshop: Workshop):
    source = """
import os, pwd, time
def handler(event, context):
    modes = [oct(os.stat(path).st_mode & 0o777) for path in ("/var/task", "/opt")]
    return [pwd.getpwuid(os.getuid()).pw_name, time.tzname[0], os.getcwd(), modes,
            os.access("/var/task", os.W_OK), os.access("/tmp", os.W_OK), os.environ["HOME"]]
"""
    if not workshop.room.supervisor.walls.private_network:
        pytest.skip("bubblewrap does not work here")
    seen = body(workshop.run(source))
    assert seen == ["sbx_user1051", "UTC", "/var/task", ["0o755", "0o755"], False, True, "/tmp"]


def test_an_error_while_loading_has_no_request(workshop: Workshop):
    failed = body(workshop.run("raise KeyError('x')"))
    assert isinstance(failed, dict) and failed["requestId"] == ""


def test_boto3_is_there_and_the_functions_own_modules_come_first(workshop: Workshop):
    source = """
import sys, boto3
def handler(event, context):
    return [boto3.__version__.split(".")[0], sys.path[0], sys.path.index("/var/runtime") > 2]
"""
    assert body(workshop.run(source)) == ["1", "/var/task", True]


def test_the_context_counts_down_and_carries_the_client_context(workshop: Workshop):
    import base64

    source = """
def handler(event, context):
    return [context.function_name, 0 < context.get_remaining_time_in_millis() <= 5000,
            context.client_context.custom, context.invoked_function_arn]
"""
    name = workshop.create(source, Timeout=5)
    sent = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    assert body(workshop.invoke(name, client_context=sent)) == [
        name,
        True,
        {"k": "v"},
        f"arn:aws:lambda:us-east-1:123456789012:function:{name}",
    ]


def test_globals_live_from_one_invocation_to_the_next(workshop: Workshop):
    name = workshop.create("n = [0]\ndef handler(event, context):\n    n[0] += 1\n    return n[0]")
    assert [workshop.invoke(name).payload for _ in range(3)] == [b"1", b"2", b"3"]
