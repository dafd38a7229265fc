"""The AWS half of the gateway as one ASGI application.

Which service (credential scope, X-Amz-Target, path), who is calling (SigV4), which operation, run
it, answer in the service's own form.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailorbird import access, errors, ids
from tailorbird.access import Access, AccessKey, Caller, Signed
from tailorbird.clock import Clock
from tailorbird.gateway import body as bodies
from tailorbird.gateway import errors as words
from tailorbird.gateway.services import SERVICES, Service, Table
from tailorbird.gateway.wire import Api, Operation, Reply, Request
from tailorbird.gateway.wire.api import action
from tailorbird.gateway.wire.message import decode, parse_query
from tailorbird.gateway.wire.model import load
from tailorbird.settings import Settings

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]

THREADS = 16  # operations at once
SLOW_THREADS = 256  # operations that wait for a customer's code
INLINE_VERIFY_BYTES = 256 * 1024  # larger bodies are hashed away from the event loop
FILE_PIECE_BYTES = 1024 * 1024

CREDENTIAL = re.compile(r"Credential=(?:[^/%&, ]*(?:/|%2F)){3}([a-z0-9-]+)(?:/|%2F)", re.I)
VIRTUAL_HOST = re.compile(
    r"(?P<bucket>.+)\.(?:s3[.-][a-z0-9.-]*amazonaws\.com|s3|localhost)(?::\d+)?"
)
FORM = "application/x-www-form-urlencoded"

log = logging.getLogger(__name__)


@dataclass
class Door:
    """A served service: its compiled model, its operations, its room."""

    service: Service
    api: Api
    table: Table
    room: object


class Gateway:
    """Every AWS service behind one port; `rooms` are by the names in SERVICES."""

    def __init__(
        self,
        room: Access,
        rooms: dict[str, object],
        settings: Settings,
        clock: Clock,
        tables: dict[str, Table] | None = None,
    ) -> None:
        """`tables` replaces the services' own operations tables, by service key."""
        self._access = room
        self._rooms = rooms
        self._clock = clock
        self._tables = tables
        self._doors: dict[str, Door] = {}
        self._pool = ThreadPoolExecutor(THREADS, "operation")
        self._slow_pool = ThreadPoolExecutor(SLOW_THREADS, "slow-operation")

    async def __call__(self, scope: Scope, receive: bodies.Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(self, scope, ids.uuid4())
        try:
            reply = await exchange.reply(receive)
        except bodies.Disconnected:
            return
        except errors.TailorbirdError as error:
            reply = exchange.refuse(error)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            reply = exchange.fail()
        await _send(send, reply, exchange.request_id, head=scope["method"] == "HEAD")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._slow_pool.shutdown(wait=False, cancel_futures=True)

    def door(self, service: Service) -> Door:
        """The service's door, opened when it is first knocked at."""
        found = self._doors.get(service.key)
        if found is None:
            table = service.table() if self._tables is None else self._tables[service.key]
            api = Api(load(service.key), table.operations)
            found = Door(service, api, table, self._rooms.get(service.room))
            self._doors[service.key] = found
        return found

    async def verify(self, scope: Scope, body: bytes) -> Signed:
        if len(body) <= INLINE_VERIFY_BYTES:
            return self._verify(scope, body)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._verify, scope, body)

    def _verify(self, scope: Scope, body: bytes) -> Signed:
        return access.verify(
            scope["method"],
            scope["raw_path"],
            scope["query_string"],
            scope["headers"],
            body,
            secret_for=self._key,
            now=self._clock.now(),
        )

    def _key(self, access_key_id: str) -> AccessKey | None:
        return access.secret_for(self._access, access_key_id)

    async def run(self, door: Door, name: str, caller: Caller, request: dict[str, Any]) -> Any:
        function = door.table.operations[name]
        if name in door.table.inline:
            return function(door.room, caller, request)
        pool = self._slow_pool if name in door.table.slow else self._pool
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, function, door.room, caller, request)


class Exchange:
    """One request and its reply; it knows as much of the service as has been found out."""

    def __init__(self, gateway: Gateway, scope: Scope, request_id: str) -> None:
        self.request_id = request_id
        self._gateway = gateway
        self._scope = scope
        self._door: Door | None = None
        self._head = scope["method"] == "HEAD"

    async def reply(self, receive: bodies.Receive) -> Reply:
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in self._scope["headers"]}
        services = _services(self._scope, headers)
        self._door = self._gateway.door(services[0])
        body = await bodies.read(receive, self._door.service.max_body)
        signed = await self._gateway.verify(self._scope, body)
        if signed.payload.startswith(bodies.CHUNKED):
            body, trailers = bodies.unchunk(body)
            headers.update(trailers)
        request = self._request(headers, body)
        operation = self._find(services, request)
        door = self._door
        if operation.name not in door.table.operations:
            raise errors.NotBuilt(
                f"Tailorbird does not build {door.service.key}.{operation.name}; docs/operations.md"
                " lists what it builds"
            )
        parsed = operation.parse(request)
        caller = self._caller(signed)
        answer = await self._gateway.run(door, operation.name, caller, parsed)
        return operation.render(answer or {}, self.request_id)

    def refuse(self, error: errors.TailorbirdError) -> Reply:
        if self._door is None:
            return words.reply(None, words.unserved(error), self.request_id)
        model = self._door.api.model
        said = words.refusal(model, error)
        if said.status >= 500 and not isinstance(error, errors.NotBuilt):
            log.error("%s: %s", type(error).__name__, error.message)
        return words.reply(model, said, self.request_id, head=self._head)

    def fail(self) -> Reply:
        model = self._door.api.model if self._door else None
        return words.reply(model, words.internal(model), self.request_id, head=self._head)

    def _request(self, headers: dict[str, str], body: bytes) -> Request:
        path = self._scope["raw_path"].decode("latin-1")
        door = self._door
        if door is not None and door.service.key == "s3":
            path = _path_style(path, headers.get("host", ""))
            bodies.check_digests(headers, body)
        return Request(
            self._scope["method"], path, parse_query(self._scope["query_string"]), headers, body
        )

    def _find(self, services: list[Service], request: Request) -> Operation:
        """The operation, at the first of the services that has it."""
        for service in services:
            door = self._gateway.door(service)
            operation = door.api.find(request)
            if operation is not None:
                self._door = door
                return operation
        raise words.UnknownOperation(_unknown(services[0], request))

    def _caller(self, signed: Signed) -> Caller:
        key = signed.access_key
        return Caller(
            key.account, signed.region, key.principal, key.id, self.request_id, signed.service
        )


def _services(scope: Scope, headers: dict[str, str]) -> list[Service]:
    """The services a request may be for, most likely first; NotBuilt when none is served."""
    named = CREDENTIAL.search(headers.get("authorization", "")) or CREDENTIAL.search(
        scope["query_string"].decode("latin-1")
    )
    target = headers.get("x-amz-target", "").rpartition(".")[0]
    if named is None:
        return [_unsigned(scope, headers, target)]
    name = named[1].lower()
    found = [s for s in SERVICES if name in s.scopes and (bool(s.target) == bool(target))]
    found = found or [s for s in SERVICES if name in s.scopes]
    if not found:
        raise errors.NotBuilt(f"Tailorbird does not serve {name!r}; it serves {_served()}")
    return found


def _unsigned(scope: Scope, headers: dict[str, str], target: str) -> Service:
    """Whose form an unsigned request is refused in: by target, form, then path."""
    path: str = scope["path"]
    for service in SERVICES:
        if service.target and service.target == target:
            return service
        if any(path == p or path.startswith(p) for p in service.paths):
            return service
    form = headers.get("content-type", "").startswith(FORM) or b"Action=" in scope["query_string"]
    key = "sts" if form else "s3"
    return next(s for s in SERVICES if s.key == key)


def _unknown(service: Service, request: Request) -> str:
    if service.target:
        return f"{service.key} has no operation {request.headers.get('x-amz-target', '')!r}"
    if service.version:
        return f"{service.key} has no action {action(request)!r}"
    return f"{service.key} has no operation at {request.method} {decode(request.path)}"


def _served() -> str:
    return ", ".join(service.key for service in SERVICES)


def _path_style(path: str, host: str) -> str:
    """The path with its bucket, also where the host name held it."""
    found = VIRTUAL_HOST.fullmatch(host)
    return f"/{found['bucket']}{path}" if found else path


async def _send(send: Send, reply: Reply, request_id: str, *, head: bool) -> None:
    headers: RawHeaders = [(n.lower(), v) for n, v in reply.headers]
    headers.append((b"x-amzn-requestid", request_id.encode()))
    headers.append((b"x-amz-request-id", request_id.encode()))
    body = reply.body
    if isinstance(body, bytes):
        if not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    loop = asyncio.get_running_loop()
    pieces = iter(_pieces(body) if isinstance(body, Path) else body)
    while not head:
        piece = await loop.run_in_executor(None, next, pieces, None)
        if piece is None:
            break
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _pieces(file: Path) -> Iterable[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(FILE_PIECE_BYTES):
            yield piece
