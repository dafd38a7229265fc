"""Without a private network real addresses lead to this house all the same, by proxy."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tailorbird import settings as settings_module
from tailorbird.functions import logs, proxy
from tailorbird.functions.authority import Authority
from tailorbird.functions.egress import Egress
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade
from tests.unit.functions.conftest import ACCOUNT, REGION, Workshop, open_workshop
from tests.unit.functions.test_egress import NODE, PYTHON, House
from tests.unit.functions.test_node import pytestmark as needs_node

CREDENTIAL = base64.b64encode(b"function:word").decode()
KNOWN = f"Proxy-Authorization: Basic {CREDENTIAL}\r\n"


@pytest.fixture(scope="module", params=["rlimit", "none"])
def open_plan(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workshop]:
    """Functions on the machine's own network; the house says what it was asked."""
    folder = tmp_path_factory.mktemp("proxy")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), House)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = {
        "data": folder / "data",
        "port": server.server_address[1],
        "functions_sandbox": request.param,
        "functions_egress": "localhost.localdomain",
    }
    settings = settings_module.load(flags, environment={}, folder=folder)
    db = Database(settings.database())
    upgrade(db)
    room = open_workshop(db, settings)
    room.start()
    yield Workshop(room)
    room.stop()
    db.close()
    server.shutdown()


def log_of(workshop: Workshop, name: str) -> str:
    entries = logs.tail(workshop.room.root, ACCOUNT, REGION, name)
    return "\n".join(entry.message for entry in entries)


SEGMENT = {"host": "api.segment.io", "path": "/v1/identify", "said": "{}"}
PLAIN = """
import json, urllib.request
def handler(event, context):
    asked = urllib.request.Request("http://api.segment.io/v1/identify", b"{}", method="POST")
    return json.load(urllib.request.urlopen(asked))
"""


@pytest.mark.parametrize("client", [*PYTHON, "plain"])
def test_python_reaches_segments_address(open_plan: Workshop, client: str):
    if client == "requests":
        pytest.importorskip("requests")
    done = open_plan.run((PYTHON | {"plain": PLAIN})[client], Timeout=20)
    assert json.loads(done.payload) == SEGMENT


def test_boto3_reaches_amazons_addresses(open_plan: Workshop):
    source = """
import json, os
os.environ.pop("AWS_ENDPOINT_URL")
import boto3
def handler(event, context):
    seen = []
    client = boto3.client("personalize-events")
    client.meta.events.register("after-call", lambda http_response, **_: seen.append(http_response))
    client.put_events(trackingId="t", sessionId="s", eventList=[{"eventType": "x", "sentAt": 1}])
    return json.loads(seen[0].content)["host"]
"""
    done = open_plan.run(source, Timeout=20)
    assert json.loads(done.payload) == "personalize-events.us-east-1.amazonaws.com"


MORE_NODE = {
    "http": NODE["https"].replace("https", "http"),
    "named import": """
import { connect } from 'node:tls';
export const handler = () => new Promise((resolve) => {
  let text = '';
  const ask = ['POST /v1/identify HTTP/1.0', 'Host: api.segment.io', 'Content-Length: 2', '', '{}'];
  const socket = connect(443, 'api.segment.io', {}, () => socket.write(ask.join('\\r\\n')));
  socket.on('data', (d) => (text += d));
  socket.on('end', () => resolve(JSON.parse(text.split('\\r\\n\\r\\n')[1])));
});
""",
    "fork": """
const { fork } = require('child_process');
if (process.send)
  fetch('https://api.segment.io/v1/identify', { method: 'POST', body: '{}' })
    .then((answer) => answer.json()).then((said) => process.send(said, () => process.exit()));
exports.handler = () => new Promise((resolve) => fork(__filename).on('message', resolve));
""",
    "worker": """
const { Worker } = require('worker_threads');
exports.handler = () => new Promise((resolve) => new Worker(
  "fetch('https://api.segment.io/v1/identify', { method: 'POST', body: '{}' })" +
  ".then((a) => a.json()).then((a) => require('worker_threads').parentPort.postMessage(a))",
  { eval: true }).on('message', resolve));
""",
}


@needs_node
@pytest.mark.parametrize("client", [*NODE, *MORE_NODE])
def test_node_reaches_segments_address(open_plan: Workshop, client: str):
    file = "app.mjs" if client == "named import" else "app.js"
    source = (NODE | MORE_NODE)[client]
    done = open_plan.run(source, runtime="nodejs20.x", file=file, Timeout=20)
    assert json.loads(done.payload) == SEGMENT


@needs_node
def test_node_still_reaches_loopback(open_plan: Workshop):
    source = """
const http = require('http');
exports.handler = async () => {
  const server = http.createServer((asked, answer) => answer.end('mine')).listen(0, '127.0.0.1');
  await new Promise((done) => server.on('listening', done));
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
  const house = await fetch(process.env.AWS_ENDPOINT_URL + '/v1/x');
  server.close();
  return [await answer.text(), (await house.json()).path];
};
"""
    done = open_plan.run(source, runtime="nodejs20.x", Timeout=20)
    assert json.loads(done.payload) == ["mine", "/v1/x"]


REFUSED = {
    "python3.12": """
import urllib.request
def handler(event, context):
    try: urllib.request.urlopen(event["url"], timeout=5)
    except OSError as error: return str(error)
""",
    "nodejs20.x": """
exports.handler = async (event) => {
  try { await fetch(event.url); } catch (error) { return error.message; }
};
""",
}


@needs_node
@pytest.mark.parametrize("runtime", REFUSED)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_another_host_is_refused_and_the_log_says_which(
    open_plan: Workshop, runtime: str, scheme: str
):
    name = open_plan.create(REFUSED[runtime], runtime=runtime, Timeout=10)
    done = open_plan.invoke(name, {"url": f"{scheme}://tracker.example.org/x"})
    assert isinstance(json.loads(done.payload), str)
    said = log_of(open_plan, name)
    assert "refused a connection to tracker.example.org:" in said
    assert "functions_egress (add tracker.example.org to allow it)" in said


def test_another_port_is_refused_by_name(open_plan: Workshop):
    name = open_plan.create(REFUSED["python3.12"], Timeout=10)
    open_plan.invoke(name, {"url": "https://api.segment.io:8443/"})
    assert "refused a connection to api.segment.io:8443" in log_of(open_plan, name)


def test_nobody_else_uses_a_functions_proxy(open_plan: Workshop):
    source = """
import os
from urllib.parse import urlsplit
def handler(event, context):
    return urlsplit(os.environ["HTTPS_PROXY"]).port
"""
    port = json.loads(open_plan.run(source).payload)
    for credential in ("", KNOWN):
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(f"CONNECT api.segment.io:443 HTTP/1.1\r\n{credential}\r\n".encode())
            assert sock.recv(4096).startswith(b"HTTP/1.1 407 ")


def test_an_allowed_host_goes_out_and_one_that_is_away_is_said_to_be(open_plan: Workshop):
    source = REFUSED["python3.12"]
    name = open_plan.create(source, Timeout=10)
    done = open_plan.invoke(name, {"url": "https://localhost.localdomain/"})
    assert "502" in json.loads(done.payload)
    assert "refused a connection" not in log_of(open_plan, name)


@pytest.fixture
def egress(tmp_path: Path) -> Iterator[tuple[proxy.Doors, int]]:
    """A proxy of the password "word" that lets `localhost` out; the port of the server behind."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), House)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    gateway = Egress(("127.0.0.1", port), Authority(tmp_path / "authority"), ["localhost"])
    with tempfile.TemporaryDirectory() as folder:
        doors = replace(proxy.open_doors(Path(folder), 1), password="word")
        way_out = gateway.attach_doors(doors, "arn", print)
        yield doors, port
        gateway.detach(way_out)
        gateway.stop()
    server.shutdown()


def ask(doors: proxy.Doors, *heads: str) -> bytes:
    """What the last of these request heads, sent one after another, is answered."""
    with socket.create_connection(doors.proxy.getsockname(), 5) as sock:
        answer = b""
        for head in heads:
            sock.sendall(f"{head}\r\n{KNOWN}Content-Length: 0\r\n\r\n".encode())
            answer = sock.recv(65536)
        while not answer.endswith(b"}") and (more := sock.recv(65536)):
            answer += more
        return answer.partition(b"\r\n\r\n")[2]


def test_an_allowed_host_is_reached_through_the_proxy(
    egress: tuple[proxy.Doors, int], monkeypatch: pytest.MonkeyPatch
):
    doors, port = egress
    monkeypatch.setitem(proxy.PORTS, "http", port)  # 80 is not ours to listen on
    whole = ask(doors, f"GET http://localhost:{port}/x HTTP/1.1\r\nHost: localhost")
    assert json.loads(whole) == {"host": "localhost", "path": "/x", "said": ""}
    tunnel = ask(doors, f"CONNECT localhost:{port} HTTP/1.1", "GET /y HTTP/1.1\r\nHost: inner")
    assert json.loads(tunnel) == {"host": "inner", "path": "/y", "said": ""}


def test_an_https_address_without_a_tunnel_reaches_this_house(egress: tuple[proxy.Doors, int]):
    """As axios 0.x asks when it finds proxy variables."""
    doors, _ = egress
    said = ask(doors, "GET https://api.segment.io/v1/x HTTP/1.1\r\nHost: api.segment.io")
    assert json.loads(said) == {"host": "api.segment.io", "path": "/v1/x", "said": ""}


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        ("CONNECT Api.Segment.io:443 HTTP/1.1", proxy.Asked("api.segment.io", 443, tunnel=True)),
        (
            "GET http://a.test/x?y=1 HTTP/1.1",
            proxy.Asked("a.test", 80, False, False, b"GET /x?y=1 HTTP/1.1\r\n"),
        ),
        (
            "GET https://a.test HTTP/1.1",
            proxy.Asked("a.test", 443, False, True, b"GET / HTTP/1.1\r\n"),
        ),
    ],
)
def test_what_a_request_asks_of_the_proxy(first: str, asked: proxy.Asked):
    sent = f"{first}\r\nHost: a.test\r\n{KNOWN}Proxy-Connection: keep-alive\r\n\r\n".encode()
    rest = b"" if asked.tunnel else b"Host: a.test\r\nConnection: close\r\n\r\n"
    found = proxy.read(sent, "word")
    assert (found.host, found.port, found.tunnel, found.tls) == (
        asked.host,
        asked.port,
        asked.tunnel,
        asked.tls,
    )
    assert found.head == asked.head + rest


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET http://a.test/ HTTP/1.1\r\n\r\n", "407"),
        (f"GET / HTTP/1.1\r\n{KNOWN}\r\n", "400"),
        (f"GET ftp://a.test/ HTTP/1.1\r\n{KNOWN}\r\n", "400"),
        (f"CONNECT a.test:port HTTP/1.1\r\n{KNOWN}\r\n", "400"),
        ("\r\n\r\n", "407"),
    ],
)
def test_what_is_no_request_to_a_proxy_is_refused(head: str, status: str):
    with pytest.raises(proxy.Refused) as refused:
        proxy.read(head.encode(), "word")
    assert refused.value.status.startswith(status)
