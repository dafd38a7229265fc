"""Handlers as people publish them, in every style the runtimes know, by the real boto3."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tailorbird.functions.runtimes import node
from tests import aws
from tests.conftest import Server

PYTHON, NODE, CUSTOM = "python3.12", "nodejs20.x", "provided.al2023"
Files = Mapping[str, str | bytes]

# name -> runtime, handler, files, event, result
SAMPLES: dict[str, tuple[str, str, Files, Any, Any]] = {
    "blank function": (
        PYTHON,
        "lambda_function.lambda_handler",
        {
            "lambda_function.py": """
import os, logging
import boto3
logger = logging.getLogger()
logger.setLevel(logging.INFO)
client = boto3.client("lambda")
client.get_account_settings()

def lambda_handler(event, context):
    logger.info("## ENVIRONMENT VARIABLES\\r%s", dict(os.environ))
    logger.info("## EVENT\\r%s", event)
    logger.info("%s %s %s", context.log_stream_name, context.identity, context.client_context)
    assert 0 < context.get_remaining_time_in_millis() <= 60000
    assert context.memory_limit_in_mb == "256"
    return client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
"""
        },
        {"Records": [{"messageId": "1", "body": "Hello"}]},
        1000,
    ),
    "an object was put into a bucket": (
        PYTHON,
        "lambda_function.lambda_handler",
        {
            "lambda_function.py": """
import urllib.parse
import boto3
s3 = boto3.client("s3")

def lambda_handler(event, context):
    bucket = event["Records"][0]["s3"]["bucket"]["name"]
    key = urllib.parse.unquote_plus(event["Records"][0]["s3"]["object"]["key"], encoding="utf-8")
    try:
        response = s3.get_object(Bucket=bucket, Key=key)
        print("CONTENT TYPE: " + response["ContentType"])
        return [response["ContentType"], response["Body"].read().decode()]
    except Exception as e:
        print(f"Error getting object {key} from bucket {bucket}.")
        raise e
"""
        },
        {"Records": [{"s3": {"bucket": {"name": "samples"}, "object": {"key": "a+b/c.txt"}}}]},
        ["text/plain", "seen"],
    ),
    "a proxy's response, Python": (
        PYTHON,
        "app.handler",
        {
            "app.py": """
import base64, json
def handler(event, context):
    body = event["body"]
    if event.get("isBase64Encoded"): body = base64.b64decode(body).decode()
    name = json.loads(body)["name"]
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"},
            "multiValueHeaders": {}, "isBase64Encoded": False, "body": json.dumps({"hi": name})}
"""
        },
        {"body": "eyJuYW1lIjogIkFubiJ9", "isBase64Encoded": True, "httpMethod": "POST"},
        {
            "statusCode": 200,
            "headers": {"Content-Type": "application/json"},
            "multiValueHeaders": {},
            "isBase64Encoded": False,
            "body": '{"hi": "Ann"}',
        },
    ),
    "asyncio and a pool of threads": (
        PYTHON,
        "src.handlers.app.handler",
        {
            "src/__init__.py": "",
            "src/handlers/__init__.py": "",
            "src/handlers/app.py": """
import asyncio
from concurrent.futures import ThreadPoolExecutor
import boto3
s3 = boto3.client("s3")

async def one(n):
    await asyncio.sleep(0.01)
    return n * n

async def main(count):
    return sum(await asyncio.gather(*(one(n) for n in range(count))))

def handler(event, context):
    with ThreadPoolExecutor(4) as pool:
        put = lambda n: s3.put_object(Bucket="samples", Key=f"out/{n}", Body=b"x")
        codes = {r["ResponseMetadata"]["HTTPStatusCode"] for r in pool.map(put, range(8))}
    return [asyncio.run(main(event["count"])), sorted(codes)]
""",
        },
        {"count": 10},
        [285, [200]],
    ),
    "processes and pipes": (
        PYTHON,
        "app.handler",
        {
            "app.py": """
from multiprocessing import Process, Pipe
def work(n, conn):
    conn.send(n * 2)
    conn.close()
def handler(event, context):
    found, running = [], []
    for n in range(3):
        parent, child = Pipe()
        process = Process(target=work, args=(n, child))
        process.start()
        running.append((process, parent))
    for process, parent in running:
        process.join()
        found.append(parent.recv())
    return found
"""
        },
        {},
        [0, 2, 4],
    ),
    "a callable object, decorators, sqlite": (
        PYTHON,
        "app.handler",
        {
            "app.py": """
import functools, json, sqlite3
from decimal import Decimal
def as_api(inner):
    @functools.wraps(inner)
    def outer(self, event, context):
        return {"statusCode": 200, "body": json.dumps(inner(self, event, context))}
    return outer
class Handler:
    def __init__(self):
        self.db = sqlite3.connect("/tmp/app.db")
        self.db.execute("create table if not exists t(x)")
    @as_api
    def __call__(self, event, context):
        self.db.execute("insert into t values (1)")
        return {"rows": self.db.execute("select count(*) from t").fetchone()[0]}
handler = Handler()
"""
        },
        {},
        {"statusCode": 200, "body": '{"rows": 1}'},
    ),
    "a module of ES with top-level await": (
        NODE,
        "index.handler",
        {
            "index.mjs": """
import { readFile } from 'node:fs/promises';
import { shout } from './lib/shout.mjs';
const greeting = await readFile(new URL('./greeting.txt', import.meta.url), 'utf8');
export const handler = async (event) => ({
  statusCode: 200,
  body: JSON.stringify(shout(`${greeting.trim()} ${event.queryStringParameters?.name ?? 'all'}`)),
});
""",
            "lib/shout.mjs": "export const shout = (text) => text.toUpperCase();",
            "greeting.txt": "hello\n",
        },
        {"queryStringParameters": {"name": "ann"}},
        {"statusCode": 200, "body": '"HELLO ANN"'},
    ),
    "type module in package.json": (
        NODE,
        "src/app.lambdaHandler",
        {
            "package.json": '{"type": "module"}',
            "src/app.js": "export const lambdaHandler = async (event, context) =>"
            " [event.n + 1, context.functionName, typeof context.getRemainingTimeInMillis()];",
        },
        {"n": 1},
        [2, "sample", "number"],
    ),
    "compiled from TypeScript": (
        NODE,
        "dist/index.handler",
        {
            "dist/index.js": """
"use strict";
var __awaiter = (this && this.__awaiter) || function (t, a, P, g) {
  return new (P || (P = Promise))(function (ok, no) {
    const step = (r) => r.done ? ok(r.value) : Promise.resolve(r.value).then((v) => next(v), no);
    const next = (v) => { try { step(g.next(v)); } catch (e) { no(e); } };
    g = g.apply(t, a || []); next();
  });
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.handler = void 0;
const handler = (event) => __awaiter(void 0, void 0, void 0, function* () {
  const n = yield Promise.resolve(event.n);
  return { n };
});
exports.handler = handler;
"""
        },
        {"n": 5},
        {"n": 5},
    ),
    "a callback that does not wait for the event loop": (
        NODE,
        "index.handler",
        {
            "index.js": """
exports.handler = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = false;
  setInterval(() => {}, 1000);
  setTimeout(() => callback(null, { event }), 10);
};
"""
        },
        {"a": "é"},
        {"event": {"a": "é"}},
    ),
    "context.succeed of 2015": (
        NODE,
        "index.handler",
        {
            "index.js": "exports.handler = function (event, context) {"
            " context.succeed(event.key1); };"
        },
        {"key1": "value1"},
        "value1",
    ),
    "context.done of 2015": (
        NODE,
        "index.handler",
        {"index.js": "exports.handler = function (e, context) { context.done(null, [e]); };"},
        1,
        [1],
    ),
    "the SDKs' own fetch from Node.js": (
        NODE,
        "index.handler",
        {
            "index.js": """
const https = require('https');
exports.handler = async (event) => {
  const old = await new Promise((resolve, reject) => {
    const asked = https.get('https://api.segment.io/v1/nowhere', (r) => resolve(r.statusCode));
    asked.on('error', reject);
  });
  const modern = await fetch('https://s3.us-east-1.amazonaws.com/samples/nothing');
  return [old >= 400, modern.status];
};
"""
        },
        {},
        [True, 403],
    ),
    "a shell script as a custom runtime": (
        CUSTOM,
        "function.handler",
        {
            "bootstrap": """#!/bin/sh
set -euo pipefail
. "$LAMBDA_TASK_ROOT/$(echo $_HANDLER | cut -d. -f1).sh"
while true
do
  HEADERS="$(mktemp)"
  EVENT_DATA=$(curl -sS -LD "$HEADERS" \
    "http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/next")
  REQUEST_ID=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$HEADERS" | tr -d '[:space:]' | cut -d: -f2)
  RESPONSE=$($(echo "$_HANDLER" | cut -d. -f2) "$EVENT_DATA")
  curl -sS -X POST \
    "http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/$REQUEST_ID/response" \
    -d "$RESPONSE"
done
""",
            "function.sh": """
handler() {
  echo "$1" 1>&2
  echo "Echoing request: '$1'"
}
""",
        },
        {"text": "Hello"},
        'Echoing request: \'{"text": "Hello"}\'',
    ),
}
FAILING: dict[str, tuple[str, str, Files, str, str]] = {
    "context.fail": (
        NODE,
        "index.handler",
        {"index.js": "exports.handler = (e, context) => context.fail(new Error('no'));"},
        "Error",
        "no",
    ),
    "callback of a string": (
        NODE,
        "index.handler",
        {"index.js": "exports.handler = (e, c, callback) => callback('plain words');"},
        "string",
        "plain words",
    ),
    "an error of one's own": (
        NODE,
        "index.handler",
        {
            "index.js": "class NotThere extends Error { constructor(m) { super(m);"
            " this.name = 'NotThere'; } }\n"
            "exports.handler = async () => { throw new NotThere('x'); };"
        },
        "NotThere",
        "x",
    ),
    "what JSON cannot hold": (
        PYTHON,
        "app.handler",
        {"app.py": "import datetime\ndef handler(e, c): return datetime.date(2026, 1, 1)"},
        "Runtime.MarshalError",
        "Unable to marshal response: Object of type date is not JSON serializable",
    ),
    "an exception from a module below": (
        PYTHON,
        "app.handler",
        {
            "app.py": "import lib.deep\ndef handler(e, c): return lib.deep.go()",
            "lib/deep.py": "class Refused(Exception): pass\ndef go(): raise Refused('by rule')",
        },
        "Refused",
        "by rule",
    ),
}


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="samples")
    s3.put_object(Bucket="samples", Key="a b/c.txt", Body=b"seen", ContentType="text/plain")
    return server.client("lambda")


def packed(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def run(client: Any, runtime: str, handler: str, code: bytes, event: Any, **more: Any) -> Any:
    """What the function answers; it is gone then."""
    if runtime == NODE and shutil.which("node") is None:
        pytest.skip("there is no Node.js")
    client.create_function(
        FunctionName="sample",
        Runtime=runtime,
        Role=aws.LAMBDA_ROLE,
        Handler=handler,
        Code={"ZipFile": code},
        Timeout=60,
        MemorySize=256,
        **more,
    )
    try:
        client.get_waiter("function_active_v2").wait(FunctionName="sample")
        return client.invoke(
            FunctionName="sample", Payload=json.dumps(event).encode(), LogType="Tail"
        )
    finally:
        client.delete_function(FunctionName="sample")


def payload(answer: Any) -> Any:
    said = answer["Payload"].read()
    try:
        return json.loads(said)
    except ValueError:
        return said.decode()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_published_handler_runs_as_it_is(client: Any, name: str) -> None:
    runtime, handler, files, event, result = SAMPLES[name]
    if runtime == CUSTOM and shutil.which("curl") is None:
        pytest.skip("there is no curl")
    answer = run(client, runtime, handler, packed(files), event)
    assert (payload(answer), answer.get("FunctionError")) == (result, None)


@pytest.mark.parametrize("name", FAILING)
def test_a_handler_that_fails_says_so_as_in_lambda(client: Any, name: str) -> None:
    runtime, handler, files, error_type, message = FAILING[name]
    answer = run(client, runtime, handler, packed(files), {})
    said = payload(answer)
    assert answer["FunctionError"] == "Unhandled"
    assert (said["errorType"], said["errorMessage"]) == (error_type, message)


def test_numpy_from_a_layer(server: Server, client: Any) -> None:
    """As `pip install --target python numpy` makes it, for the Python that this house runs on."""
    import sys

    runtime = f"python3.{sys.version_info.minor}"
    found = importlib.util.find_spec("numpy")
    assert found is not None and found.origin is not None
    site = Path(found.origin).parent.parent
    skipped = {"tests", "__pycache__", "include"}
    files = {
        f"python/{file.relative_to(site)}": file.read_bytes()
        for folder in ("numpy", "numpy.libs")
        for file in (site / folder).rglob("*")
        if file.is_file() and not skipped & set(file.parts) and file.suffix not in (".a", ".pyi")
    }
    s3 = server.client("s3")
    s3.put_object(Bucket="samples", Key="numpy.zip", Body=packed(files))
    layer = client.publish_layer_version(
        LayerName="numpy",
        Content={"S3Bucket": "samples", "S3Key": "numpy.zip"},
        CompatibleRuntimes=[runtime],
    )["LayerVersionArn"]
    code = "import numpy as np\ndef handler(e, c): return [np.__file__, float(np.dot(e, e))]"
    answer = run(
        client, runtime, "app.handler", packed({"app.py": code}), [1, 2, 3], Layers=[layer]
    )
    assert payload(answer) == ["/opt/python/numpy/__init__.py", 14.0]


def test_a_node_library_from_a_layer(client: Any) -> None:
    files = {"nodejs/node_modules/greet/index.js": "module.exports = (n) => `hi ${n}`;"}
    layer = client.publish_layer_version(LayerName="greet", Content={"ZipFile": packed(files)})
    code = "const greet = require('greet');\nexports.handler = async (e) => greet(e.name);"
    arn = layer["LayerVersionArn"]
    answer = run(
        client, NODE, "app.handler", packed({"app.js": code}), {"name": "Al"}, Layers=[arn]
    )
    assert payload(answer) == "hi Al"


SDK = {
    "import": (
        "index.mjs",
        "import { S3Client, GetObjectCommand } from '@aws-sdk/client-s3';\n"
        "const s3 = new S3Client({ forcePathStyle: true });\n"
        "export const handler = async (event) => {\n",
    ),
    "require": (
        "index.js",
        "const { S3Client, GetObjectCommand } = require('@aws-sdk/client-s3');\n"
        "const s3 = new S3Client({ forcePathStyle: true });\n"
        "exports.handler = async (event) => {\n",
    ),
}


@pytest.mark.parametrize("style", SDK)
def test_the_sdk_for_javascript_is_part_of_the_runtime(client: Any, style: str) -> None:
    if not node.has_sdk():
        pytest.skip("python -m tailorbird.functions.setup --node-sdk was not run")
    file, head = SDK[style]
    code = head + (
        "  const { Body } = await s3.send(new GetObjectCommand(event));\n"
        "  return await Body.transformToString();\n};"
    )
    event = {"Bucket": "samples", "Key": "a b/c.txt"}
    answer = run(client, NODE, "index.handler", packed({file: code}), event)
    assert payload(answer) == "seen"


def test_old_runtimes_have_version_2_of_the_sdk(client: Any) -> None:
    if not node.has_sdk(node.SDK_2):
        pytest.skip("python -m tailorbird.functions.setup --node-sdk was not run")
    code = """
const AWS = require('aws-sdk');
AWS.config.update({ region: process.env.AWS_REGION });
const s3 = new AWS.S3({ s3ForcePathStyle: true });
const pinpoint = new AWS.Pinpoint();
exports.handler = async (event) => {
  const apps = await pinpoint.getApps({}).promise();
  const { Body } = await s3.getObject(event).promise();
  return [apps.ApplicationsResponse.Item.length, Body.toString()];
};"""
    event = {"Bucket": "samples", "Key": "a b/c.txt"}
    answer = run(client, "nodejs16.x", "index.handler", packed({"index.js": code}), event)
    assert payload(answer) == [0, "seen"]
    answer = run(client, NODE, "index.handler", packed({"index.js": code}), event)
    assert "Cannot find module 'aws-sdk'" in payload(answer)["errorMessage"]


BINARY = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static int dial(void) {
  char host[64]; int port; struct sockaddr_in to = {.sin_family = AF_INET};
  sscanf(getenv("AWS_LAMBDA_RUNTIME_API"), "%63[^:]:%d", host, &port);
  to.sin_port = htons(port); inet_pton(AF_INET, host, &to.sin_addr);
  int s = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(s, (struct sockaddr *)&to, sizeof to)) exit(1);
  return s;
}
int main(void) {
  static char in[65536], out[70000];
  for (;;) {
    int s = dial(), n = 0, got; char *body = 0; long size = 0;
    dprintf(s, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n");
    while ((got = read(s, in + n, sizeof in - n - 1)) > 0) {
      in[n += got] = 0;
      if (!body && (body = strstr(in, "\r\n\r\n"))) {
        body += 4; size = atol(strcasestr(in, "content-length:") + 15);
      }
      if (body && in + n - body >= size) break;
    }
    char id[64]; sscanf(strcasestr(in, "request-id:") + 11, " %63[^\r]", id);
    int m = snprintf(out, sizeof out, "{\"echo\": %.*s}", (int)size, body);
    dprintf(s, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\n"
               "Content-Length: %d\r\n\r\n%s", id, m, out);
    read(s, in, sizeof in); close(s);
  }
}
"""


def test_a_compiled_bootstrap(client: Any, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    source, binary = tmp_path / "bootstrap.c", tmp_path / "bootstrap"
    source.write_text("#define _GNU_SOURCE\n" + BINARY)
    subprocess.run(["gcc", "-O1", "-w", "-o", binary, source], check=True)
    code = packed({"bootstrap": binary.read_bytes()})
    answer = run(client, CUSTOM, "unused", code, {"a": [1, 2]})
    assert payload(answer) == {"echo": {"a": [1, 2]}}
