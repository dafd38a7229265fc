"""The AWS half of the gateway as one ASGI application.

Which service (credential scope, X-Amz-Target, path), who is calling (SigV4), which operation, run
it, answer in the service's own form.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from tailorbird import access, errors, ids
from tailorbird.access import Access, AccessKey, Caller, Signed
from tailorbird.clock import Clock
from tailorbird.gateway import body as bodies
from tailorbird.gateway import errors as words
from tailorbird.gateway.authorize import authorize
from tailorbird.gateway.replies import Send, send_reply
from tailorbird.gateway.routing import Scope, is_s3, services_for, unknown
from tailorbird.gateway.s3.door import S3
from tailorbird.gateway.s3.shelf import Shelf
from tailorbird.gateway.services import Service, Table
from tailorbird.gateway.wire import Api, Operation, Reply, Request
from tailorbird.gateway.wire.message import parse_query
from tailorbird.gateway.wire.model import load
from tailorbird.settings import Settings
from tailorbird.store import Objects

THREADS = 16  # operations at once
SLOW_THREADS = 256  # operations that wait for a customer's code
INLINE_VERIFY_BYTES = 256 * 1024  # larger bodies are hashed away from the event loop

log = logging.getLogger(__name__)


@dataclass
class Door:
    """A served service: its compiled model, its operations, its room."""

    service: Service
    api: Api
    table: Table
    room: Any


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
        if self._tables is None and is_s3(scope):
            await self._s3(scope, receive, send)
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
        await send_reply(send, reply, exchange.request_id, head=scope["method"] == "HEAD")

    @cached_property
    def _s3(self) -> S3:
        """S3 streams its bodies, so it has a door of its own."""
        shelf = Shelf(self._access, cast(Objects, self._rooms["objects"]))
        return S3(shelf, lambda scope: self._verify(scope, None))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._slow_pool.shutdown(wait=False, cancel_futures=True)
        if "_s3" in self.__dict__:
            self._s3.close()

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
        """Who signed this request, body and all."""
        if len(body) <= INLINE_VERIFY_BYTES:
            return self._verify(scope, body)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._verify, scope, body)

    def _verify(self, scope: Scope, body: bytes | None) -> Signed:
        return access.verify(
            scope["method"],
            scope["raw_path"],
            scope["query_string"],
            scope["headers"],
            body,
            secret_for=self._key,
            now=self._clock.now(),
            skew_seconds=self._access.settings.signature_skew_seconds,
        )

    def _key(self, access_key_id: str) -> AccessKey | None:
        return access.secret_for(self._access, access_key_id)

    async def authorize(
        self, door: Door, name: str, caller: Caller, request: dict[str, Any], scope: Scope
    ) -> None:
        """Denied when the caller's policies do not allow it; away from the event loop when the
        database has to be asked.
        """
        asked = (self._access, caller, door.service.key, name, request, scope)
        if access.rights.is_known(self._access, caller.principal) and door.service.key != "iam":
            authorize(*asked)
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, authorize, *asked)

    async def run(self, door: Door, name: str, caller: Caller, request: dict[str, Any]) -> Any:
        function = door.table.operations[name]
        if name in door.table.inline:
            return function(door.room, caller, request)
        is_quick = door.table.quick.get(name)
        if is_quick is not None and is_quick(door.room, request):
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
        headers = self._headers()
        services = services_for(self._scope, headers)
        self._door = self._gateway.door(services[0])
        body = await bodies.read(receive, self._door.service.max_body)
        begun = time.perf_counter()
        request = self._request(headers, body)
        if self._is_open(services[0], request):
            raise _not_built(self._door, self._find(services, request))
        signed = await self._gateway.verify(self._scope, body)
        operation = self._find(services, request)
        door = self._door
        if operation.name not in door.table.operations:
            raise _not_built(door, operation)
        parsed = operation.parse(request)
        caller = self._caller(signed)
        await self._gateway.authorize(door, operation.name, caller, parsed, self._scope)
        answer = await self._gateway.run(door, operation.name, caller, parsed)
        reply = operation.render(answer or {}, self.request_id)
        if door.table.answered is not None:
            door.table.answered(door.room, parsed, 1000 * (time.perf_counter() - begun))
        return reply

    def refuse(self, error: errors.TailorbirdError) -> Reply:
        if self._door is None:
            return words.reply_unserved(words.unserved(error), self._headers(), self.request_id)
        model = self._door.api.model
        said = words.refusal(model, error)
        if said.status >= 500 and not isinstance(error, errors.NotBuilt):
            log.error("%s: %s", type(error).__name__, error.message)
        return words.reply(model, said, self.request_id, head=self._head)

    def fail(self) -> Reply:
        if self._door is None:
            return words.reply_unserved(words.internal(None), self._headers(), self.request_id)
        model = self._door.api.model
        return words.reply(model, words.internal(model), self.request_id, head=self._head)

    def _headers(self) -> dict[str, str]:
        return {n.decode("latin-1"): v.decode("latin-1") for n, v in self._scope["headers"]}

    def _request(self, headers: dict[str, str], body: bytes) -> Request:
        path = self._scope["raw_path"].decode("latin-1")
        query = parse_query(self._scope["query_string"])
        return Request(self._scope["method"], path, query, headers, body)

    def _is_open(self, service: Service, request: Request) -> bool:
        """True for an operation that nobody signs (AssumeRoleWithWebIdentity); none is built."""
        if "authorization" in request.headers:
            return False
        found = self._gateway.door(service).api.find(request)
        return found is not None and found.spec.get("authtype") == "none"

    def _find(self, services: list[Service], request: Request) -> Operation:
        """The operation, at the first of the services that has it."""
        for service in services:
            door = self._gateway.door(service)
            operation = door.api.find(request)
            if operation is not None:
                self._door = door
                return operation
        raise words.UnknownOperation(unknown(services[0], request))

    def _caller(self, signed: Signed) -> Caller:
        key = signed.access_key
        sent = (v for n, v in self._scope["headers"] if n == b"x-amzn-trace-id")
        trace = next(sent, b"").decode("latin-1")
        return Caller(
            key.account,
            signed.region,
            key.principal,
            key.id,
            self.request_id,
            signed.service,
            trace,
        )


def _not_built(door: Door, operation: Operation) -> errors.NotBuilt:
    return errors.NotBuilt(
        f"Tailorbird does not build {door.service.key}.{operation.name}; "
        "docs/operations.md lists what it builds"
    )
