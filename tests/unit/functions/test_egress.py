"""Code with real addresses written into it reaches this house, and nothing else does."""

from __future__ import annotations

import http.server
import importlib
import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailorbird import settings as settings_module
from tailorbird.functions import addresses, egress, logs
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade
from tests.conftest import wait_for
from tests.unit.functions.conftest import ACCOUNT, REGION, Workshop, open_workshop
from tests.unit.functions.test_node import pytestmark as needs_node


class House(http.server.BaseHTTPRequestHandler):
    """Says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        body = json.dumps({"host": self.headers["Host"], "path": self.path, "said": said}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("egress")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), House)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = {"data": folder / "data", "port": server.server_address[1]}
    settings = settings_module.load(flags, environment={}, folder=folder)
    db = Database(settings.database())
    upgrade(db)
    room = open_workshop(db, settings)
    room.start()
    if not room.supervisor.walls.private_network:
        room.stop()
        pytest.skip("bubblewrap does not work here")
    yield Workshop(room)
    room.stop()
    db.close()
    server.shutdown()


PYTHON = {
    "urllib": """
import json, urllib.request
def handler(event, context):
    asked = urllib.request.Request("https://api.segment.io/v1/identify", b"{}", method="POST")
    return json.load(urllib.request.urlopen(asked))
""",
    "requests in the zip": """
import requests
def handler(event, context):
    return requests.post("https://api.segment.io/v1/identify", data="{}").json()
""",
}


def vendored(name: str) -> dict[str, bytes]:
    """A library and what it needs, as `pip install --target` puts them into a zip."""
    pytest.importorskip(name)
    found: dict[str, bytes] = {}
    for package in (name, "urllib3", "idna", "certifi", "charset_normalizer"):
        module = importlib.import_module(package)
        folder = Path(module.__file__ or "").parent
        for file in folder.rglob("*"):
            if file.suffix in (".py", ".pem"):
                found[str(file.relative_to(folder.parent))] = file.read_bytes()
    return found


@pytest.mark.parametrize("client", PYTHON)
def test_python_reaches_segments_address(walled: Workshop, client: str):
    files = vendored("requests") if "requests" in client else {}
    done = walled.run(PYTHON[client], files=files, Timeout=20)
    assert json.loads(done.payload) == {
        "host": "api.segment.io",
        "path": "/v1/identify",
        "said": "{}",
    }


def test_boto3_reaches_amazons_addresses(walled: Workshop):
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
    done = walled.run(source, Timeout=20)
    assert json.loads(done.payload) == "personalize-events.us-east-1.amazonaws.com"


NODE = {
    "https": """
const https = require('https');
exports.handler = (event, context, callback) => {
  const to = 'https://api.segment.io/v1/identify';
  const asked = https.request(to, { method: 'POST' }, (answer) => {
    let text = '';
    answer.on('data', (d) => (text += d)).on('end', () => callback(null, JSON.parse(text)));
  });
  asked.end('{}');
};
""",
    "fetch": """
exports.handler = async () =>
  (await fetch('https://api.segment.io/v1/identify', { method: 'POST', body: '{}' })).json();
""",
}


@needs_node
@pytest.mark.parametrize("client", NODE)
def test_node_reaches_segments_address(walled: Workshop, client: str):
    done = walled.run(NODE[client], runtime="nodejs20.x", Timeout=20)
    assert json.loads(done.payload)["host"] == "api.segment.io"


def test_the_house_is_at_the_endpoint_url(walled: Workshop):
    source = """
import json, os, urllib.request
def handler(event, context):
    return json.load(urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/v1/x"))["path"]
"""
    assert json.loads(walled.run(source).payload) == "/v1/x"


@pytest.mark.parametrize("url", ["https://example.com/", "http://example.com/"])
def test_another_host_is_refused_and_the_log_says_which(walled: Workshop, url: str):
    source = """
import urllib.request
def handler(event, context):
    try: urllib.request.urlopen(event["url"], timeout=5)
    except OSError as error: return str(error)
"""
    name = walled.create(source, Timeout=10)
    assert walled.invoke(name, {"url": url}).payload != b"null"
    said = [e.message for e in logs.tail(walled.room.root, ACCOUNT, REGION, name)]
    assert any("refused a connection to example.com" in line for line in said)


@needs_node
def test_node_is_refused_too_and_the_log_says_which(walled: Workshop):
    source = """
exports.handler = async (event) => {
  try { await fetch(event.url); } catch (error) { return error.message; }
};
"""
    name = walled.create(source, runtime="nodejs20.x", Timeout=10)
    done = walled.invoke(name, {"url": "https://tracker.example.org/x"})
    assert json.loads(done.payload) == "fetch failed"
    said = [e.message for e in logs.tail(walled.room.root, ACCOUNT, REGION, name)]
    assert any("refused a connection to tracker.example.org" in line for line in said)


def test_a_refusal_names_the_setting_that_would_allow_it(walled: Workshop):
    source = """
import requests
def handler(event, context):
    try: requests.get("https://api.partner.test/v2", timeout=5)
    except requests.ConnectionError: return "no"
"""
    name = walled.create(source, files=vendored("requests"), Timeout=10)
    assert walled.invoke(name).payload == b'"no"'
    said = "\n".join(e.message for e in logs.tail(walled.room.root, ACCOUNT, REGION, name))
    assert "functions_egress (add api.partner.test to allow it)" in said


def test_an_address_without_a_name_leads_nowhere(walled: Workshop):
    source = """
import socket
def handler(event, context):
    try: return socket.create_connection((event["host"], event["port"]), 2).recv(10).decode()
    except OSError as error: return str(error)
"""
    name = walled.create(source, Timeout=10)
    port = walled.room.settings.port
    for host, wanted in (("10.0.0.1", 80), ("169.254.169.254", 80), ("127.0.0.1", port)):
        said = json.loads(walled.invoke(name, {"host": host, "port": wanted}).payload)
        assert said == "" or "refused" in said or "reset" in said
    log = [e.message for e in logs.tail(walled.room.root, ACCOUNT, REGION, name)]
    assert any("refused a connection to 10.0.0.1" in line for line in log)


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("db.example.com", 5432, "db.example.com:5432: functions reach this house and ports 443"),
        ("192.0.2.7", 6379, "192.0.2.7:6379: functions"),
        ("email-smtp.us-east-1.amazonaws.com", 587, "amazonaws.com:587: functions"),
    ],
)
@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["forked", "anew"])
def test_a_port_that_leads_nowhere_is_told_with_its_host(
    walled: Workshop, host: str, port: int, told: str, variables: dict[str, str]
):
    source = """
import socket
def handler(event, context):
    try: socket.create_connection((event["host"], event["port"]), 3)
    except OSError as error: return type(error).__name__
"""
    name = walled.create(source, Timeout=10, Environment={"Variables": variables})
    done = walled.invoke(name, {"host": host, "port": port})
    assert done.payload == b'"ConnectionRefusedError"'
    wait_for(lambda: told in log_of(walled, name), timeout_seconds=10)


def test_a_name_that_is_only_looked_up_is_told_once(walled: Workshop):
    source = """
import socket
def handler(event, context):
    for _ in range(3): socket.gethostbyname("tracker.example.net")
    return socket.gethostbyname("localhost")
"""
    name = walled.create(source, Timeout=10)
    assert walled.invoke(name).payload == b'"127.0.0.1"'
    told = "Tailorbird knows no address of tracker.example.net: functions reach"
    wait_for(lambda: told in log_of(walled, name), timeout_seconds=10)
    assert log_of(walled, name).count(told) == 1


def test_a_functions_own_server_is_its_own_affair(walled: Workshop):
    source = """
import socket
def handler(event, context):
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname(), 3)
    server.accept()[0].sendall(b"mine")
    return client.recv(10).decode()
"""
    name = walled.create(source, Timeout=10)
    assert walled.invoke(name).payload == b'"mine"'
    assert "refused" not in log_of(walled, name)


def log_of(workshop: Workshop, name: str) -> str:
    return "\n".join(e.message for e in logs.tail(workshop.room.root, ACCOUNT, REGION, name))


def test_an_allowed_host_goes_out_untouched():
    assert addresses.matches("api.shop.test", ["*.shop.test"])
    assert not addresses.matches("shop.test.evil.com", ["*.shop.test"])


def test_the_name_is_read_off_a_client_hello():
    name = b"api.segment.io"
    entry = struct.pack("!HBH", len(name) + 3, 0, len(name)) + name
    extensions = struct.pack("!HH", 0x2A, 0) + struct.pack("!HH", 0, len(entry)) + entry
    hello = b"\x03\x03" + b"r" * 32 + b"\x00" + struct.pack("!HH", 2, 0x1301) + b"\x01\x00"
    hello += struct.pack("!H", len(extensions)) + extensions
    record = b"\x16\x03\x01" + struct.pack("!H", len(hello) + 4)
    record += b"\x01" + struct.pack("!I", len(hello))[1:] + hello
    assert addresses.server_name(record) == "api.segment.io"
    assert addresses.server_name(record[:40]) == ""
    assert addresses.server_name(b"GET / HTTP/1.1") is None


def test_a_name_is_answered_with_loopback_and_other_records_with_none():
    question = b"\x03api\x07segment\x02io\x00"
    ask = b"\x12\x34\x01\x00\x00\x01" + b"\0" * 6 + question
    answer = addresses.dns_answer(ask + b"\x00\x01\x00\x01")
    assert answer is not None and answer[-4:] == b"\x7f\x00\x00\x01"
    none = addresses.dns_answer(ask + b"\x00\x1c\x00\x01")
    assert none is not None and none[6:8] == b"\x00\x00"


def test_the_authority_is_made_once_and_only_its_owner_reads_its_key(tmp_path: Path):
    from tailorbird.functions.authority import Authority

    first, second = Authority(tmp_path / "a"), Authority(tmp_path / "a")
    assert first.pem == second.pem
    assert (tmp_path / "a" / "authority.pem").stat().st_mode & 0o077 == 0


def test_a_function_that_makes_up_names_costs_no_more_memory():
    way_out = egress.Exit("f", lambda text: None, [])
    for n in range(egress.TRIED_MAX * 3):
        way_out.saw(f"Host{n}.example")
    assert f"host{egress.TRIED_MAX * 3 - 1}.example" in way_out.tried
    assert len(way_out.tried) <= egress.TRIED_MAX
