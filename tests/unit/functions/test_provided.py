"""`provided.*`: a bootstrap of the function's own, in any language, over the HTTP Runtime API."""

from __future__ import annotations

import json

import pytest

from tests.unit.functions.conftest import Workshop, zipped

PYTHON = """#!/usr/bin/python3
import json, os, urllib.request

base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"
while True:
    asked = urllib.request.urlopen(base + "invocation/next")
    event, request_id = json.load(asked), asked.headers["Lambda-Runtime-Aws-Request-Id"]
    print("got", event, flush=True)
    result = json.dumps({"event": event, "handler": os.environ["_HANDLER"],
                         "environment": os.environ.get("AWS_EXECUTION_ENV"),
                         "cwd": os.getcwd(), "root": os.environ["LAMBDA_TASK_ROOT"]}).encode()
    where = f"{base}invocation/{request_id}/response"
    urllib.request.urlopen(urllib.request.Request(where, result, method="POST")).read()
"""
# bash speaks HTTP by itself: its /dev/tcp needs no curl in the sandbox.
SHELL = r"""#!/bin/bash
set -u
api=${AWS_LAMBDA_RUNTIME_API}
while true; do
  exec 3<>"/dev/tcp/${api%:*}/${api#*:}"
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n' >&3
  length=0 id=
  while IFS= read -r line <&3; do
    line=${line%$'\r'}
    [ -z "$line" ] && break
    case $line in
      Lambda-Runtime-Aws-Request-Id:*) id=${line#*: } ;;
      Content-Length:*) length=${line#*: } ;;
    esac
  done
  IFS= read -r -N "$length" event <&3
  . "$LAMBDA_TASK_ROOT/function.sh"
  answer=$(handler "$event")
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\n' "$id" >&3
  printf 'Content-Length: %d\r\n\r\n%s' "${#answer}" "$answer" >&3
  exec 3>&-
done
"""
ERRORS = """#!/usr/bin/python3
import json, os, sys, urllib.request

base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"

def post(path, error, kind):
    fields = {"Lambda-Runtime-Function-Error-Type": kind}
    asked = urllib.request.Request(base + path, json.dumps(error).encode(), fields, method="POST")
    return urllib.request.urlopen(asked).status

if os.environ.get("fail") == "init":
    post("init/error", {"errorType": "Own.Broken", "errorMessage": "no key"}, "Own.Broken")
    sys.exit(1)
while True:
    asked = urllib.request.urlopen(base + "invocation/next")
    request_id = asked.headers["Lambda-Runtime-Aws-Request-Id"]
    error = {"errorType": "Own.Failed", "errorMessage": "no such user"}
    post(f"invocation/{request_id}/error", error, "Own.Failed")
"""
STREAM = """#!/usr/bin/python3
import base64, os, socket

host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
api = socket.create_connection((host, int(port)))
said = api.makefile("rb")

def head():
    fields = {}
    said.readline()
    while (line := said.readline().strip()):
        name, _, value = line.decode().partition(": ")
        fields[name] = value
    return fields, said.read(int(fields.get("Content-Length", 0)))

while True:
    api.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    fields, event = head()
    path = f"/2018-06-01/runtime/invocation/{fields['Lambda-Runtime-Aws-Request-Id']}/response"
    api.sendall(f"POST {path} HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n"
                "Lambda-Runtime-Function-Response-Mode: streaming\\r\\n"
                "Trailer: Lambda-Runtime-Function-Error-Type\\r\\n\\r\\n".encode())
    for piece in (b'["one",', b'"two"]'):
        api.sendall(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
    if b"fail" in event:
        body = base64.b64encode(b'{"errorType":"Own.Broke","errorMessage":"half way"}')
        api.sendall(b"0\\r\\nLambda-Runtime-Function-Error-Type: Own.Broke\\r\\n"
                    b"Lambda-Runtime-Function-Error-Body: " + body + b"\\r\\n\\r\\n")
    else:
        api.sendall(b"0\\r\\n\\r\\n")
    head()
"""


@pytest.mark.parametrize("name", ["provided", "provided.al2", "provided.al2023"])
def test_a_bootstrap_is_the_runtime(workshop: Workshop, name: str):
    function = workshop.create(PYTHON, runtime=name, Handler="anything.goes")
    for number in (1, 2):
        done = workshop.invoke(function, {"n": number})
        assert json.loads(done.payload) == {
            "event": {"n": number},
            "handler": "anything.goes",
            "environment": None,
            "cwd": "/var/task",
            "root": "/var/task",
        }
        assert f"got {{'n': {number}}}" in (done.log_tail or "")


def test_a_bootstrap_may_be_a_shell_script(workshop: Workshop):
    function = 'handler() { printf \'{"echo":%s}\' "$1"; }\n'
    name = workshop.create(SHELL, runtime="provided.al2023", files={"function.sh": function})
    assert [json.loads(workshop.invoke(name, n).payload) for n in (1, 2)] == [
        {"echo": 1},
        {"echo": 2},
    ]


def test_its_errors_have_the_type_it_gives_them(workshop: Workshop):
    done = workshop.run(ERRORS, runtime="provided.al2023")
    assert (done.function_error, json.loads(done.payload)) == (
        "Unhandled",
        {"errorType": "Own.Failed", "errorMessage": "no such user"},
    )


def test_it_may_say_that_it_cannot_start(workshop: Workshop):
    fails = {"Variables": {"fail": "init"}}
    done = workshop.run(ERRORS, runtime="provided.al2023", Environment=fails)
    assert json.loads(done.payload) == {"errorType": "Own.Broken", "errorMessage": "no key"}


def test_a_streamed_result_is_gathered(workshop: Workshop):
    name = workshop.create(STREAM, runtime="provided.al2023")
    assert json.loads(workshop.invoke(name).payload) == ["one", "two"]
    failed = workshop.invoke(name, {"fail": True})
    assert (failed.function_error, json.loads(failed.payload)) == (
        "Unhandled",
        {"errorType": "Own.Broke", "errorMessage": "half way"},
    )


@pytest.mark.parametrize("file", ["boot", "bootstrap.sh"])
def test_without_a_bootstrap_it_says_where_it_looked(workshop: Workshop, file: str):
    done = workshop.run("#!/bin/sh\n", runtime="provided.al2", file=file)
    said = "Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    assert json.loads(done.payload) == {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": f"RequestId: {done.request_id} {said}",
    }


def test_a_bootstrap_that_cannot_be_executed_is_none(workshop: Workshop):
    code = {"ZipFile": zipped({"bootstrap": "#!/bin/sh\n"}, executable=())}
    done = workshop.run("", runtime="provided.al2023", Code=code)
    assert json.loads(done.payload)["errorType"] == "Runtime.InvalidEntrypoint"


def test_a_bootstrap_that_ends_is_an_exit(workshop: Workshop):
    done = workshop.run("#!/bin/sh\nexit 5\n", runtime="provided.al2023")
    assert json.loads(done.payload) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": (
            f"RequestId: {done.request_id} Error: Runtime exited with error: exit status 5"
        ),
    }
