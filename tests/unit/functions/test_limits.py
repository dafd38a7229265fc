"""Deadlines, sizes and ends: every invocation ends in one of Lambda's recorded ways."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tailorbird.errors import Denied, Invalid, NotFound, Throttled, TooLarge
from tailorbird.functions import ServiceCaller
from tests.unit.functions.conftest import Workshop


def error(done: object) -> dict[str, str]:
    found: dict[str, str] = json.loads(done.payload)  # type: ignore[attr-defined]
    return found


def test_a_function_that_takes_too_long_is_killed_and_its_tmp_survives(workshop: Workshop):
    source = """
import os, time
runs = []
def handler(event, context):
    runs.append(1)
    with open("/tmp/runs", "a") as file: file.write("x")
    if event.get("sleep"): time.sleep(60)
    return [len(runs), os.path.getsize("/tmp/runs")]
"""
    name = workshop.create(source, Timeout=1)
    begun = time.monotonic()
    done = workshop.invoke(name, {"sleep": True})
    assert time.monotonic() - begun < 3
    assert error(done) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {done.request_id} Error: Task timed out after 1.00 seconds",
    }
    assert "Task timed out after 1.00 seconds" in (done.log_tail or "")
    assert json.loads(workshop.invoke(name).payload) == [1, 2]


def test_a_caller_with_less_patience_is_told_so_and_the_function_goes_on(workshop: Workshop):
    source = """
import time
def handler(event, context):
    if event.get("slow"):
        time.sleep(1.0)
        open("/tmp/finished", "w").close()
    import os
    return os.path.exists("/tmp/finished")
"""
    name = workshop.create(source, Timeout=5)
    done = workshop.invoke(name, {"slow": True}, timeout=0.2)
    assert error(done)["errorType"] == "Caller.TimedOut"
    time.sleep(1.3)
    assert workshop.invoke(name).payload == b"true"


EXITS = {
    "os._exit(0)": "Error: Runtime exited without providing a reason",
    "os._exit(127)": "Error: Runtime exited with error: exit status 127",
    "exit(7)": "Error: Runtime exited with error: exit status 7",
    "os.kill(os.getpid(), 9)": "Error: Runtime exited with error: signal: killed",
    "os.kill(os.getpid(), 11)": "Error: Runtime exited with error: signal: segmentation fault",
    "os.abort()": "Error: Runtime exited with error: signal: aborted",
}


@pytest.mark.parametrize("way", EXITS)
def test_a_function_that_exits_is_reported_and_the_next_invocation_is_served(
    workshop: Workshop, way: str
):
    source = f"import os\ndef handler(event, context):\n    if event: {way}\n    return 'alive'"
    name = workshop.create(source)
    done = workshop.invoke(name, {"go": True})
    assert error(done) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {done.request_id} {EXITS[way]}",
    }
    assert workshop.invoke(name).payload == b'"alive"'


def test_a_result_of_exactly_the_limit_passes_and_one_byte_more_does_not(workshop: Workshop):
    name = workshop.create(
        "def handler(event, context): return 'x' * (event['size'] - 2)", Timeout=10
    )
    assert len(workshop.invoke(name, {"size": 6_291_556}).payload) == 6_291_556
    done = workshop.invoke(name, {"size": 6_291_557})
    said = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    assert error(done) == {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": said}
    assert workshop.invoke(name, {"size": 10}).payload == b'"xxxxxxxx"'


def test_an_event_over_6_mb_is_refused(workshop: Workshop):
    name = workshop.create("def handler(event, context): return len(event['x'])", Timeout=10)
    fits = 6_291_456 - len('{"x": ""}')
    assert workshop.invoke(name, {"x": "x" * fits}).payload == str(fits).encode()
    with pytest.raises(TooLarge, match="limit 6291456 bytes"):
        workshop.invoke(name, {"x": "x" * (fits + 1)})


def test_garbage_on_stdout_is_log_and_nothing_else(workshop: Workshop):
    source = """
import os
def handler(event, context):
    os.write(1, bytes(range(256)) * 2000 + b"HTTP/1.1 200 OK\\r\\n\\r\\n{}")
    return "ok"
"""
    assert workshop.run(source).payload == b'"ok"'


def test_printing_more_than_a_pipe_holds_does_not_block(workshop: Workshop):
    source = (
        "def handler(event, context):\n    for _ in range(200): print('x' * 50_000)\n    return 1"
    )
    assert workshop.run(source, Timeout=20).payload == b"1"


def test_processes_left_behind_end_with_their_environment(workshop: Workshop):
    source = """
import subprocess, os
def handler(event, context):
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    os._exit(1)
"""
    done = workshop.run(source)
    assert error(done)["errorType"] == "Runtime.ExitError"


def test_concurrent_invocations_get_an_environment_each(workshop: Workshop):
    source = """
import time, uuid
me = str(uuid.uuid4())
def handler(event, context):
    time.sleep(0.4)
    return me
"""
    name = workshop.create(source)
    seen: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: seen.append(workshop.invoke(name).payload))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 4


def test_new_code_is_what_runs_after_an_update(workshop: Workshop):
    from tailorbird.functions import catalog
    from tests.unit.functions.conftest import OWNER, zipped

    name = workshop.create("def handler(event, context): return 'old'")
    assert workshop.invoke(name).payload == b'"old"'
    code = zipped({"app.py": "def handler(event, context): return 'new'"})
    catalog.update_function_code(workshop.room, OWNER, {"FunctionName": name, "ZipFile": code})
    assert workshop.invoke(name).payload == b'"new"'


def test_a_service_needs_a_statement_and_is_told_the_command(workshop: Workshop):
    name = workshop.create("def handler(event, context): return 1")
    pinpoint = ServiceCaller(
        "pinpoint.us-east-1.amazonaws.com",
        "arn:aws:mobiletargeting:us-east-1:123456789012:apps/a1/campaigns/c1",
        "123456789012",
    )
    with pytest.raises(Denied) as refused:
        workshop.invoke(name, caller=pinpoint)
    assert refused.value.message.endswith(
        f"aws lambda add-permission --function-name {name}"
        " --statement-id pinpoint-apps-a1-campaigns-c1 --action lambda:InvokeFunction"
        " --principal pinpoint.us-east-1.amazonaws.com"
        " --source-arn arn:aws:mobiletargeting:us-east-1:123456789012:apps/a1/campaigns/c1"
        " --source-account 123456789012"
    )


def test_an_unknown_function_is_named(workshop: Workshop):
    with pytest.raises(NotFound, match=r"function:nobody:\$LATEST"):
        workshop.invoke("nobody")


def test_a_client_context_that_is_no_json_object_is_refused(workshop: Workshop):
    name = workshop.create("def handler(event, context): return 1")
    with pytest.raises(Invalid) as refused:
        workshop.invoke(name, client_context="bm90IGpzb24=")
    assert refused.value.code == "InvalidRequestContentException"


def test_more_than_the_room_holds_is_429_with_the_reason(workshop: Workshop):
    supervisor = workshop.room.supervisor
    name = workshop.create("import time\ndef handler(event, context): time.sleep(1)", Timeout=3)
    before = (supervisor._most_per_function, supervisor._wait_seconds)
    supervisor._most_per_function, supervisor._wait_seconds = 1, 0.1
    try:
        busy = threading.Thread(target=workshop.invoke, args=(name,))
        busy.start()
        time.sleep(0.3)
        with pytest.raises(Throttled, match="Rate Exceeded"):
            workshop.invoke(name)
        busy.join()
    finally:
        supervisor._most_per_function, supervisor._wait_seconds = before
