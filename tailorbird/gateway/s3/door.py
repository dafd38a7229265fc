"""The S3 door: an ASGI application over the compiled wire; bodies stream to and from disk."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, TypeVar, cast

from tailorbird import ids
from tailorbird.access import Caller, Signed, secret_for, sigv2
from tailorbird.errors import NotBuilt, TailorbirdError, TooLarge
from tailorbird.gateway import errors as words
from tailorbird.gateway.s3 import OPERATIONS
from tailorbird.gateway.s3.shelf import Body, Shelf
from tailorbird.gateway.s3.spool import Spool, sweep
from tailorbird.gateway.wire import Api, Operation, Reply, Request
from tailorbird.gateway.wire.message import decode, parse_query
from tailorbird.gateway.wire.model import load

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

THREADS = 16
BATCH_BYTES = 1024 * 1024  # gathered before a thread writes them
OBJECT_MAX_BYTES = 5 * 1024 * 1024 * 1024
DOCUMENT_MAX_BYTES = 4 * 1024 * 1024  # bodies that are XML or JSON
DRAINED_BYTES = 64 * 1024 * 1024  # read and thrown away, so that the client hears the refusal
STREAMED = frozenset({"PutObject", "UploadPart"})
NO_BODY = (204, 304)
STATUS = {"PreconditionFailed": 412, "InvalidRange": 416, "NotImplemented": 501}

_VIRTUAL_HOST = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]+[a-z0-9])\.(?:s3[.-][a-z0-9.-]*amazonaws\.com|localhost)(?::\d+)?"
)

log = logging.getLogger(__name__)
T = TypeVar("T")


class Disconnected(Exception):
    """The client went away before its request was whole."""


class S3:
    """Buckets and objects over HTTP; `verify` says who signed a request whose body comes later."""

    def __init__(self, room: Shelf, verify: Callable[[Scope], Signed]) -> None:
        self._room = room
        self._verify_v4 = verify
        self._pool = ThreadPoolExecutor(THREADS, "s3")
        sweep(room.spool, room.access.clock.now())

    @cached_property
    def _api(self) -> Api:
        return Api(load("s3"), OPERATIONS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = ids.uuid4()
        head = scope["method"] == "HEAD"
        incoming = Incoming(receive)
        try:
            reply = await self._reply(scope, incoming, request_id)
        except Disconnected:
            return
        except TailorbirdError as error:
            await incoming.drain()
            reply = self._refuse(error, request_id, head)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            model = self._api.model
            reply = words.reply(model, words.internal(model), request_id, head=head)
        await self._send(send, reply, request_id, head)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _reply(self, scope: Scope, incoming: "Incoming", request_id: str) -> Reply:
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
        path = _path_style(scope["raw_path"].decode("latin-1"), headers.get("host", ""))
        query = parse_query(scope["query_string"])
        request = Request(scope["method"], path, query, headers, b"")
        signed = self._verify(scope, request)
        operation = self._find(request)
        key = signed.access_key
        caller = Caller(
            key.account, signed.region, key.principal, key.id, request_id, signed.service
        )
        if scope["method"] in ("GET", "HEAD", "DELETE"):
            return await self._run(self._answer, operation, request, caller, None)
        limit = OBJECT_MAX_BYTES if operation.name in STREAMED else DOCUMENT_MAX_BYTES
        spool = Spool(self._room.spool, signed, headers)
        try:
            await self._fill(spool, incoming, limit)
            return await self._run(self._answer, operation, request, caller, spool)
        finally:
            spool.discard()

    def _verify(self, scope: Scope, request: Request) -> Signed:
        if not sigv2.is_presigned(request.query):
            return self._verify_v4(scope)
        room = self._room.access
        return sigv2.verify_presigned(
            request.method,
            request.path,
            request.query,
            request.headers,
            secret_for=partial(secret_for, room),
            now=room.clock.now(),
            region=room.settings.region,
        )

    async def _fill(self, spool: Spool, incoming: "Incoming", limit: int) -> None:
        """Bring the body to disk in batches."""
        total = 0
        async for batch in incoming.batches():
            total += len(batch)
            if total > limit:
                raise TooLarge(f"Your proposed upload exceeds the maximum of {limit} bytes")
            await self._run(spool.write, batch)

    def _answer(
        self, operation: Operation, request: Request, caller: Caller, spool: Spool | None
    ) -> Reply:
        """In a thread: parse, do, render."""
        body: Body | None = spool.finish() if spool else None
        if body is not None and operation.name not in STREAMED:
            request.body = body.file.read_bytes()
        parsed = operation.parse(request)
        if operation.name in STREAMED:
            parsed["Body"] = body
        answer = OPERATIONS[operation.name](self._room, caller, parsed)
        return operation.render(answer, caller.request_id)

    def _find(self, request: Request) -> Operation:
        operation = self._api.find(request)
        if operation is None:
            raise words.UnknownOperation(
                f"s3 has no operation at {request.method} {decode(request.path)}"
            )
        if operation.name not in OPERATIONS:
            raise NotBuilt(
                f"Tailorbird does not build s3.{operation.name}; docs/operations.md lists what it "
                "builds"
            )
        return operation

    def _refuse(self, error: TailorbirdError, request_id: str, head: bool) -> Reply:
        said = words.refusal(self._api.model, error)
        said = replace(said, status=STATUS.get(said.code, said.status))
        return words.reply(self._api.model, said, request_id, head=head)

    async def _send(self, send: Send, reply: Reply, request_id: str, head: bool) -> None:
        headers = [(name.lower(), value) for name, value in reply.headers]
        headers.append((b"x-amz-request-id", request_id.encode()))
        body = reply.body
        if isinstance(body, bytes):
            sized = any(name == b"content-length" for name, _ in headers)
            if not sized and reply.status not in NO_BODY:
                headers.append((b"content-length", b"%d" % len(body)))
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if head else body})
            return
        pieces = cast("Generator[bytes, None, None]", body)
        try:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            while (piece := await self._run(next, pieces, None)) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await self._run(pieces.close)

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, function, *arguments)


class Incoming:
    """A request's body as it arrives."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True

    async def batches(self) -> Any:
        """The body in pieces of about BATCH_BYTES."""
        held: list[bytes] = []
        size = 0
        while self._more:
            piece = await self._next()
            held.append(piece)
            size += len(piece)
            if size >= BATCH_BYTES:
                yield b"".join(held)
                held, size = [], 0
        if size:
            yield b"".join(held)

    async def drain(self) -> None:
        """Read the rest, up to a bound, and throw it away."""
        drained = 0
        with suppress(Disconnected):
            while self._more and drained < DRAINED_BYTES:
                drained += len(await self._next())

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        self._more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


def _path_style(path: str, host: str) -> str:
    """The path with its bucket, also where the host name held it."""
    found = _VIRTUAL_HOST.fullmatch(host.lower())
    if found is None or found["bucket"] in ("s3", "tailorbird"):
        return path
    return f"/{found['bucket']}{path}"
