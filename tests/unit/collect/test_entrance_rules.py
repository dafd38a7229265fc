"""What the tracking door says before it reads a call: too many requests, a wrong OAuth token."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tailorbird.collect import Collect
from tailorbird.gateway import segment
from tests.unit.collect.conftest import WRITE_KEY

CALL = orjson.dumps({"userId": "ann", "event": "e", "writeKey": WRITE_KEY})


def ask(door: Any, **headers: str) -> tuple[int, dict[bytes, bytes], Any]:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/track",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": CALL}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(door(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), orjson.loads(sent[1]["body"])


@pytest.fixture
def door(make_room: Callable[..., Collect]) -> Callable[..., Any]:
    def open_door(**changes: Any) -> Any:
        room = make_room(**changes)
        room.functions = type("Nobody", (), {"caller_at": lambda self, address: None})()
        room.log.start()
        return segment.app(room)

    return open_door


def test_a_request_too_many_is_told_when_to_come_back(door: Callable[..., Any]) -> None:
    limited = door(segment_requests_per_second=2)
    assert [ask(limited)[0] for _ in range(2)] == [200, 200]
    status, headers, body = ask(limited)
    assert (status, body["code"]) == (429, "throttled")
    assert headers[b"retry-after"] == headers[b"x-ratelimit-reset"] == b"1"


@pytest.mark.parametrize(
    ("setting", "given", "status"),
    [
        ("", "Bearer anything", 200),
        ("secret", "Bearer secret", 200),
        ("secret", "Bearer wrong", 401),
        ("secret", "Bearer ", 401),
        ("secret", "Basic eDo=", 200),  # not an OAuth client
    ],
)
def test_an_oauth_token_beside_the_write_key(
    door: Callable[..., Any], setting: str, given: str, status: int
) -> None:
    assert ask(door(tracking_token=setting), authorization=given)[0] == status


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "application/json",
        "application/json; charset=utf-8",
        "text/plain;charset=UTF-8",  # the browser library, which avoids a preflight so
        "application/x-www-form-urlencoded",  # curl -d, where nobody says otherwise
        "application/octet-stream",
    ],
)
def test_a_body_is_json_whatever_its_media_type_says(
    door: Callable[..., Any], media_type: str
) -> None:
    headers = {"content-type": media_type} if media_type else {}
    status, answered, body = ask(door(), **headers)
    assert (status, body) == (200, {"success": True})
    assert answered[b"content-type"] == b"application/json"
