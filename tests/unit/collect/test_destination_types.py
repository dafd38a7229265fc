"""Webhooks, Personalize without a function, and Pinpoint's app events."""

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
import pytest

from tailorbird.channels.outgoing import Answer
from tailorbird.collect import Collect, catalog, destinations
from tailorbird.collect.catalog import amazon_pinpoint, personalize_direct, webhooks
from tailorbird.collect.catalog.definition import State
from tailorbird.errors import Invalid
from tests.conftest import wait_for
from tests.unit.collect.conftest import Endpoints, entry, source_id

TRACK: dict[str, Any] = {
    "type": "track",
    "messageId": "m1",
    "userId": "ann",
    "anonymousId": "anon",
    "event": "Product Added",
    "timestamp": "2026-11-21T12:00:00.500Z",
    "properties": {"sku": "tea-1", "price": 19.5, "shade": {"name": "red"}, "gift": True},
}
TRACKER = {"trackingId": "t"}
ITEMS = {"eventChoice": "PutItems", "datasetARN": "arn"}
USERS = {"eventChoice": "PutUsers", "datasetARN": "arn"}


class Receiver(HTTPServer):
    """A customer's server that keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.seconds = 0.0


class Taking(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.taken.append((headers, body))
        time.sleep(self.server.seconds)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def started(make_room: Callable[..., Collect], **changes: Any) -> Collect:
    room = make_room(**changes)
    room.start()
    return room


def hook(room: Collect, receiver: Receiver, **settings: Any) -> str:
    url = f"http://127.0.0.1:{receiver.server_port}/calls"
    made = destinations.create(room, source_id(room), "Webhooks", {"url": url, **settings})
    return str(made["id"])


def step(room: Collect, to: str, name: str) -> int:
    return int(destinations.overview(room, to)["steps"][name])


def test_a_webhook_gets_the_whole_call_signed(
    make_room: Callable[..., Collect], receiver: Receiver
) -> None:
    room = started(make_room, outgoing_allow="127.0.0.1")
    hook(room, receiver, sharedSecret="hush", headers={"X-Shop": "tea"})
    room.log.append_and_wait(entry(room, 1))
    assert wait_for(lambda: receiver.taken, 10)
    headers, body = receiver.taken[0]
    assert orjson.loads(body)["messageId"] == headers["webhook-id"] == "m1"
    assert headers["x-signature"] == hmac.new(b"hush", body, hashlib.sha1).hexdigest()
    assert headers["webhook-signature"].startswith("v1,")
    assert headers["x-shop"] == "tea"


def test_a_slow_destination_slows_no_other_and_no_sender(
    make_room: Callable[..., Collect], receiver: Receiver, endpoints: Endpoints
) -> None:
    room = started(make_room, outgoing_allow="127.0.0.0/8", delivery_concurrency=1)
    receiver.seconds = 0.5
    slow = hook(room, receiver)
    quick = destinations.create(
        room, source_id(room), "Amazon Pinpoint", {"applicationId": "shop"}
    )["id"]
    for n in range(0, 40, 4):
        room.log.append_and_wait(entry(room, n, n + 1, n + 2, n + 3, timestamp=TRACK["timestamp"]))
    wait_for(lambda: step(room, quick, "successful_delivery") == 40, 10)
    assert step(room, slow, "successful_delivery") < 40
    assert step(room, slow, "pending") > 0


def test_a_webhook_into_the_private_network_is_refused(
    make_room: Callable[..., Collect], receiver: Receiver
) -> None:
    room = started(make_room, outgoing_allow="")
    to = hook(room, receiver)
    room.log.append_and_wait(entry(room, 1))
    assert wait_for(lambda: step(room, to, "failed_delivery") == 1, 10)
    assert "private address" in destinations.overview(room, to)["samples"][0]["message"]
    assert receiver.taken == []


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (Answer(204), State.DELIVERED, ""),
        (Answer(500), State.WAITING, "500"),
        (Answer(429), State.WAITING, "429"),
        (Answer(0, words="away"), State.WAITING, "network"),
        (Answer(0, words="private", refused=True), State.FAILED, "INVALID_SETTINGS"),
        (Answer(400), State.FAILED, "400"),
        (Answer(302), State.FAILED, "302"),
    ],
)
def test_how_an_answer_of_a_webhook_ends_a_call(answer: Answer, state: State, reason: str) -> None:
    found = webhooks.result(answer)
    assert (found.state, found.reason) == (state, reason)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Webhooks", {}),
        ("Webhooks", {"url": "ftp://example.com"}),
        ("Webhooks", {"url": "https://example.com", "headers": {"a": "b\r\nc"}}),
        ("amazon-personalize-direct", {}),
        ("amazon-personalize-direct", {"eventChoice": "PutItems", "trackingId": "t"}),
        ("amazon-personalize-direct", {**TRACKER, "eventChoice": "PutAll"}),
        ("amazon-personalize-direct", {**TRACKER, "customMappings": {"ITEM_ID": 3}}),
    ],
)
def test_wrong_settings_are_refused(kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        catalog.find(kind).checked(settings)


def test_a_track_call_becomes_an_interaction_event() -> None:
    mapped = {"EVENT_VALUE": "price", "SHADE_NAME": "shade.name", "EVENT_TYPE": "missing"}
    assert personalize_direct.event_request({**TRACKER, "customMappings": mapped}, TRACK) == {
        "trackingId": "t",
        "sessionId": "anon",
        "userId": "ann",
        "eventList": [
            {
                "eventId": "m1",
                "eventType": "Product Added",
                "itemId": "tea-1",
                "sentAt": 1795262400.5,
                "eventValue": 19.5,
                "properties": '{"shadeName":"red"}',
            }
        ],
    }


@pytest.mark.parametrize(
    ("settings", "call", "reason"),
    [
        (TRACKER, {}, None),
        (TRACKER, {"properties": {"product_id": 7}}, None),
        (TRACKER, {"properties": {"sku": ["tea"]}}, "no_item_id"),
        (TRACKER, {"properties": None}, "no_item_id"),
        ({**TRACKER, "customMappings": {"ITEM_ID": "code"}}, {}, "no_item_id"),
        ({**TRACKER, "events": ["Order Completed"]}, {}, "event_not_selected"),
        (TRACKER, {"type": "identify"}, "type_not_selected"),
        (ITEMS, {}, None),
        (USERS, {}, "type_not_selected"),
        (USERS, {"type": "identify"}, None),
        (USERS, {"type": "identify", "userId": None}, "no_user_id"),
    ],
)
def test_which_calls_personalize_takes_directly(
    settings: dict[str, Any], call: dict[str, Any], reason: str | None
) -> None:
    assert personalize_direct.refuses(settings, {**TRACK, **call}) == reason


def test_a_track_call_is_an_app_event_with_attributes_and_metrics() -> None:
    assert amazon_pinpoint.app_event(TRACK) == {
        "EventType": "Product Added",
        "Timestamp": "2026-11-21T12:00:00.500Z",
        "Attributes": {"sku": "tea-1", "shade_name": "red", "gift": "true"},
        "Metrics": {"price": 19.5},
    }


def test_more_properties_than_an_app_event_has_are_left_out() -> None:
    many = {**TRACK, "properties": {f"p{n}": n if n % 2 else str(n) for n in range(100)}}
    event = amazon_pinpoint.app_event(many)
    assert len(event["Attributes"]) + len(event["Metrics"]) == 40


def test_an_app_event_that_pinpoint_refuses_costs_no_other(
    room: Collect, endpoints: Endpoints
) -> None:
    made = destinations.create(room, source_id(room), "Amazon Pinpoint", {"applicationId": "shop"})
    now = {"timestamp": "2026-11-21T12:00:00.000Z"}
    room.log.append_and_wait(entry(room, 1, **now))
    room.log.append_and_wait(entry(room, 2, **now, event="refused"))
    assert wait_for(lambda: step(room, made["id"], "failed_delivery") == 1, 10)
    assert wait_for(lambda: step(room, made["id"], "successful_delivery") == 1, 10)
    assert set(endpoints.app_events) == {"u1", "u2"}
