"""A zip of 2019 that brings its own urllib3 runs on the legacy bundle, and reaches this house.

The handler is of the shape people published then: addresses written into the code, boto3 clients
made at every event without an endpoint, `strftime('%s')`, requests and urllib3 inside the zip.
"""

from __future__ import annotations

import http.server
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tailorbird import settings as settings_module
from tailorbird.functions.runtimes import python
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade
from tests.unit.functions.conftest import Workshop, open_workshop

pytestmark = pytest.mark.skipif(
    not python.has_legacy() or not python.recipe_folder().is_dir(),
    reason=f"the legacy bundle was not fetched: {python.LEGACY_COMMAND}",
)
HANDLER = """
import os

import boto3
import dateutil.parser
import requests
import urllib3

write_key = os.environ["connections_source_write_key"]


def seconds(timestamp):
    return int(dateutil.parser.parse(timestamp).strftime("%s"))


def handler(event, context):
    if "anonymousId" not in event or "userId" not in event or "properties" not in event:
        return None
    boto3.client("personalize-events").put_events(
        trackingId=os.environ["personalize_tracking_id"],
        userId=event["userId"],
        sessionId=event["anonymousId"],
        eventList=[{
            "eventId": event["messageId"],
            "sentAt": seconds(event["timestamp"]),
            "eventType": event["event"],
            "properties": '{"id": "%s"}' % event["properties"]["sku"],
        }],
    )
    found = boto3.client("personalize-runtime").get_recommendations(
        campaignArn=os.environ["personalize_campaign_arn"], userId=event["userId"]
    )
    traits = {"recommended_products": [item["itemId"] for item in found["itemList"]]}
    said = requests.post(
        "https://api.segment.io/v1/identify",
        auth=(write_key, ""),
        json={"traits": traits, "userId": event["userId"], "type": "identify"},
    )
    said.raise_for_status()
    print(urllib3.__version__, boto3.__version__, said.json())
"""
CALL = {
    "anonymousId": "anon-1",
    "userId": "u1",
    "messageId": "m-1",
    "type": "track",
    "event": "Product Clicked",
    "timestamp": "2026-11-21T18:00:00.000Z",
    "properties": {"sku": "tent-7"},
}
VARIABLES = {
    "connections_source_write_key": "wk",
    "personalize_tracking_id": "t-1",
    "personalize_campaign_arn": "arn:aws:personalize:us-east-1:123456789012:campaign/c",
}


class House(http.server.BaseHTTPRequestHandler):
    """Answers as the three services do and remembers what it was asked."""

    asked: list[dict[str, Any]]
    answers = {
        "/events": b"",
        "/recommendations": b'{"itemList": [{"itemId": "lamp-1"}, {"itemId": "mat-2"}]}',
        "/v1/identify": b'{"success": true}',
    }

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append({"host": self.headers["Host"], "path": self.path, **json.loads(body)})
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answers[self.path])))
        self.end_headers()
        self.wfile.write(self.answers[self.path])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("legacy")
    House.asked = []
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


def recipe() -> bytes:
    """The handler and what the recipe vendors, packed as it was packed then."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", HANDLER)
        for wheel in sorted(python.recipe_folder().glob("*.whl")):
            with zipfile.ZipFile(wheel) as vendored:
                for name in vendored.namelist():
                    archive.writestr(name, vendored.read(name))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("runtime", "asks"),
    [("python3.7", {}), ("python3.12", {"TAILORBIRD_BUNDLE": "legacy"})],
    ids=["by its runtime's name", "by its variable"],
)
def test_a_recipe_of_2019_runs_unmodified(walled: Workshop, runtime: str, asks: dict[str, str]):
    House.asked.clear()
    name = walled.create(
        "",
        runtime=runtime,
        Code={"ZipFile": recipe()},
        Timeout=60,
        MemorySize=256,
        Environment={"Variables": VARIABLES | asks},
    )
    done = walled.invoke(name, CALL)
    assert (done.payload, done.function_error) == (b"null", None), done.log_tail
    assert "1.24.1 1.17.112 {'success': True}" in (done.log_tail or "")
    put, get, identify = House.asked
    assert (put["host"], put["path"]) == ("personalize-events.us-east-1.amazonaws.com", "/events")
    assert put["eventList"][0]["sentAt"] == 1795284000
    assert get["host"] == "personalize-runtime.us-east-1.amazonaws.com"
    assert identify == {
        "host": "api.segment.io",
        "path": "/v1/identify",
        "traits": {"recommended_products": ["lamp-1", "mat-2"]},
        "userId": "u1",
        "type": "identify",
    }


def test_without_the_bundle_the_same_zip_breaks_boto3(walled: Workshop):
    """Why the bundle is there: the urllib3 of the zip comes before the runtime's, as in Lambda."""
    done = walled.run(
        "", runtime="python3.12", Code={"ZipFile": recipe()}, Environment={"Variables": VARIABLES}
    )
    assert json.loads(done.payload)["errorType"] == "Runtime.ImportModuleError"


def test_calls_without_a_person_are_left_alone(walled: Workshop):
    House.asked.clear()
    variables = {"Variables": VARIABLES}
    name = walled.create("", "python3.7", Code={"ZipFile": recipe()}, Environment=variables)
    done = walled.invoke(name, {"type": "page"}, log_type="None")
    assert (done.payload, House.asked) == (b"null", [])
