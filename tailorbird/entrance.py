"""The entrance: one ASGI application that shows every request to the right door.

A signature decides first, then the host name, then the path; Segment's and Pinpoint's paths share
`/v1/` but no first word after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from starlette.concurrency import run_in_threadpool

from tailorbird import access, console
from tailorbird.gateway import (
    Gateway,
    intake,
    own,
    own_campaigns,
    own_clock,
    own_functions,
    own_learn,
    own_measuring,
    segment,
    segment_browser,
    segment_public,
    tracking,
)
from tailorbird.gateway.body import Patient
from tailorbird.gateway.explain import explain

if TYPE_CHECKING:
    from tailorbird.app import House

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SEGMENT_HOSTS = (b"api.segment.io", b"events.eu1.segmentapis.com", b"cdn.segment.com",
                 b"oauth2.segment.io")  # fmt: skip
SEGMENT_WORDS = frozenset(
    b"track identify page screen group alias batch import t i p s g a b m projects".split()
)
HOUSE_PATHS = ("/_/health", "/_/reset")
SEGMENT_PUBLIC_HOST = b"api.segmentapis.com"


class Entrance:
    """Routes to Segment's APIs, the AWS APIs, the console and the house's own `/_/` paths."""

    def __init__(self, house: House) -> None:
        self._furnish(house)

    def _furnish(self, house: House) -> None:
        token = access.secret(house.settings.data, "api_token")
        self.house = house
        self.segment: App = segment.app(house.collect)
        self.browser: App = segment_browser.app(house.collect)
        self.public: App = segment_public.app(house.collect, token, house.prepare)
        self.aws: App = Gateway(
            house.access,
            {
                "access": house.access,
                "functions": house.functions,
                "learn": house.learn,
                "engage": house.engage,
                "objects": house.objects,
            },
            house.settings,
            house.access.clock,
        )
        self.own: App = own.app(
            house.jobs,
            house.collect,
            house.prepare,
            house.engage,
            token,
            partial(explain, house.access, house.functions),
            [
                *own_functions.doors(house.functions),
                *own_campaigns.doors(house.engage),
                *own_measuring.doors(house.engage),
                *own_learn.doors(house.learn),
                *own_clock.doors(house.clock, house.jobs),
            ],
        )
        self.intake: App = intake.app(house.channels, token)
        self.tracking: App = tracking.app(house.engage)
        self.console: App = console.app(house)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            patient = Patient(receive, self.house.settings.body_seconds)
            await self._door(scope)(scope, patient, send)

    def _door(self, scope: Scope) -> App:
        path: str = scope["path"]
        host = _host(scope)
        if path.startswith(intake.PATHS):
            return self.intake
        if path.startswith(tracking.PATHS):
            return self.tracking
        if path.startswith("/_/"):
            return self._house if path in HOUSE_PATHS else self.own
        if _is_signed(scope) or host.endswith(b".amazonaws.com"):
            return self.aws
        if path.startswith(segment_browser.PATHS) and scope["method"] != "OPTIONS":
            return self.browser
        if host in SEGMENT_HOSTS or _is_segment_path(scope["raw_path"]) or path == segment.TOKEN:
            return self.segment
        if host == SEGMENT_PUBLIC_HOST or path.startswith("/segmentapis/"):
            return self.public
        if (path == "/" and scope["method"] in ("GET", "HEAD")) or path.startswith("/console/"):
            return self.console
        return self.aws

    async def _house(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/_/health":
            await _answer(send, 200, self.house.health())
        elif scope["path"] == "/_/reset" and scope["method"] == "POST" and self._is_ephemeral():
            self._furnish(await run_in_threadpool(self.house.reset))
            await _answer(send, 200, {"status": "empty"})
        else:
            await _answer(send, 404, {"message": f"There is no {scope['path']}"})

    def _is_ephemeral(self) -> bool:
        return bool(self.house.settings.ephemeral)


def _host(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"host":
            return bytes(value).partition(b":")[0].lower()
    return b""


def _is_signed(scope: Scope) -> bool:
    if b"X-Amz-Algorithm=" in scope["query_string"]:
        return True
    return any(
        (name == b"authorization" and value.startswith(b"AWS4-")) or name == b"x-amz-target"
        for name, value in scope["headers"]
    )


def _is_segment_path(raw_path: bytes) -> bool:
    parts = raw_path.split(b"/", 3)
    if len(parts) < 3:
        return False
    return (parts[1] == b"v1" and parts[2] in SEGMENT_WORDS) or parts[1] == b"analytics.js"


async def _answer(send: Send, status: int, body: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(body)})
