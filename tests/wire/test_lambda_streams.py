"""InvokeWithResponseStream over the wire: pieces as they come, errors amid them, by two SDKs."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests import aws
from tests.conftest import Server

NODE = Path(__file__).parent / "node"
STREAMS = """
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
    stream.setContentType('text/plain');
    for (let n = 0; n < event.pieces; n++) {
        stream.write(`piece ${n};`);
        await new Promise((go) => setTimeout(go, event.ms));
    }
    if (event.fails) throw new TypeError('amid');
    stream.end();
});
"""
# As the developer guide describes a custom runtime's streamed response, trailers and all.
BOOTSTRAP = """#!/usr/bin/python3
import base64, json, os, socket
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
while True:
    asked = socket.create_connection((host, int(port)))
    asked.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    answer = asked.makefile("rb")
    answer.readline()
    headers = {}
    while (line := answer.readline().strip()):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    event = json.loads(answer.read(int(headers["content-length"])))
    asked.close()
    told = socket.create_connection((host, int(port)))
    path = f"/2018-06-01/runtime/invocation/{headers['lambda-runtime-aws-request-id']}/response"
    told.sendall((f"POST {path} HTTP/1.1\\r\\nHost: x\\r\\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\\r\\nTransfer-Encoding: chunked\\r\\n"
        "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\\r\\n"
        "\\r\\n").encode())
    size = event.get("bytes", 5)
    for _ in range(event.get("times", 2)):
        told.sendall(b"%x\\r\\n" % size + b"x" * size + b"\\r\\n")
    body = base64.b64encode(json.dumps({"errorMessage": "broke"}).encode()).decode()
    error = ("Lambda-Runtime-Function-Error-Type: Runtime.Broke\\r\\n"
        f"Lambda-Runtime-Function-Error-Body: {body}\\r\\n")
    told.sendall(f"0\\r\\n{error if event.get('fails') else ''}\\r\\n".encode())
    told.recv(1000)
    told.close()
"""


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client("lambda")


def executable(file: str, source: str) -> bytes:
    buffer = io.BytesIO()
    entry = zipfile.ZipInfo(file)
    entry.external_attr = 0o100755 << 16
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, source)
    return buffer.getvalue()


def create(client: Any, name: str, runtime: str, file: str, source: str, timeout: int = 20) -> str:
    client.create_function(
        FunctionName=name,
        Runtime=runtime,
        Role=aws.LAMBDA_ROLE,
        Handler="app.handler",
        Code={"ZipFile": executable(file, source)},
        Timeout=timeout,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    return name


@pytest.fixture(scope="module")
def streaming(client: Any) -> str:
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js")
    return create(client, "streaming", "nodejs20.x", "app.js", STREAMS)


def events(client: Any, name: str, event: object, **more: Any) -> list[dict[str, Any]]:
    payload = json.dumps(event).encode()
    answer = client.invoke_with_response_stream(FunctionName=name, Payload=payload, **more)
    assert answer["StatusCode"] == 200
    return list(answer["EventStream"])


def text(found: list[dict[str, Any]]) -> bytes:
    return b"".join(e["PayloadChunk"]["Payload"] for e in found if "PayloadChunk" in e)


def test_the_first_piece_comes_before_the_function_ends(client: Any, streaming: str) -> None:
    payload = json.dumps({"pieces": 4, "ms": 300}).encode()
    events(client, streaming, {"pieces": 1, "ms": 0})
    begun = time.monotonic()
    answer = client.invoke_with_response_stream(FunctionName=streaming, Payload=payload)
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    assert answer["ExecutedVersion"] == "$LATEST"
    moments, found = [], []
    for event in answer["EventStream"]:
        moments.append(time.monotonic() - begun)
        found.append(event)
    assert text(found) == b"piece 0;piece 1;piece 2;piece 3;"
    assert found[-1] == {"InvokeComplete": {}}
    assert moments[-1] - moments[0] > 0.8


def test_an_error_amid_the_pieces_is_told_at_the_end(client: Any, streaming: str) -> None:
    found = events(client, streaming, {"pieces": 2, "ms": 1, "fails": True}, LogType="Tail")
    assert text(found) == b"piece 0;piece 1;"
    end = found[-1]["InvokeComplete"]
    assert end["ErrorCode"] == "TypeError"
    assert json.loads(end["ErrorDetails"])["errorMessage"] == "amid"
    assert "REPORT RequestId" in base64.b64decode(end["LogResult"]).decode()


def test_a_timeout_amid_the_pieces_is_told_at_the_end(client: Any, streaming: str) -> None:
    slow = create(client, "streaming-slow", "nodejs20.x", "app.js", STREAMS, timeout=1)
    found = events(client, slow, {"pieces": 9, "ms": 400})
    assert text(found).startswith(b"piece 0;")
    assert found[-1]["InvokeComplete"]["ErrorCode"] == "Sandbox.Timedout"


def test_a_result_that_is_not_streamed_is_one_piece(client: Any) -> None:
    name = create(client, "whole", "python3.12", "app.py", "def handler(e, c): return 1 / e['n']")
    assert events(client, name, {"n": 2}) == [
        {"PayloadChunk": {"Payload": b"0.5"}},
        {"InvokeComplete": {}},
    ]
    (end,) = events(client, name, {"n": 0})
    assert end["InvokeComplete"]["ErrorCode"] == "ZeroDivisionError"
    assert json.loads(end["InvokeComplete"]["ErrorDetails"])["errorMessage"] == "division by zero"


def test_a_custom_runtime_streams_with_trailers_up_to_20_mib(client: Any) -> None:
    name = create(client, "custom", "provided.al2023", "bootstrap", BOOTSTRAP)
    assert text(events(client, name, {})) == b"x" * 10
    broken = events(client, name, {"fails": True})
    assert text(broken) == b"x" * 10
    end = broken[-1]["InvokeComplete"]
    assert (end["ErrorCode"], json.loads(end["ErrorDetails"])) == (
        "Runtime.Broke",
        {"errorMessage": "broke"},
    )
    most = events(client, name, {"bytes": 1 << 20, "times": 20})
    assert (len(text(most)), most[-1]) == (20 << 20, {"InvokeComplete": {}})
    over = events(client, name, {"bytes": 1 << 20, "times": 21})
    assert len(text(over)) == 20 << 20
    assert over[-1]["InvokeComplete"]["ErrorCode"] == "Function.ResponseSizeTooLarge"


def test_a_dry_run_runs_nothing_and_a_missing_function_is_refused(client: Any) -> None:
    name = create(client, "dry-stream", "python3.12", "app.py", "def handler(e, c): return 1")
    dry = client.invoke_with_response_stream(FunctionName=name, InvocationType="DryRun")
    assert dry["StatusCode"] == 204
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke_with_response_stream(FunctionName="nowhere")
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke_with_response_stream(FunctionName=name, Payload=b"{")


def test_the_sdk_for_javascript_reads_the_same_stream(server: Server, streaming: str) -> None:
    if not (NODE / "node_modules" / "@aws-sdk" / "client-lambda").is_dir():
        pytest.skip("the SDK for JavaScript is not installed")
    said = subprocess.run(
        ["node", NODE / "lambda_stream.mjs", streaming],
        env=server.cli_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == {"text": "piece 0;piece 1;", "kinds": ["PayloadChunk",
        "PayloadChunk", "InvokeComplete"], "error": "TypeError"}  # fmt: skip
