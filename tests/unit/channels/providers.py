"""Real HTTP servers in the place of providers: plain HTTP/1.1, and HTTP/2 with TLS as Apple has."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.conftest import free_port

Reply = tuple[int, Any]


@dataclass
class Taken:
    """One request as it arrived."""

    path: str
    body: bytes
    headers: dict[str, str]
    http_version: str = "1.1"

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Provider:
    """Takes every request, and answers as `answer` says."""

    answer: Callable[[Taken], Reply] = lambda taken: (200, {})
    port: int = field(default_factory=free_port)
    taken: list[Taken] = field(default_factory=list)
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Provider:
        ready = threading.Event()

        async def begin() -> None:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", self._take)
            self._runner = web.AppRunner(app)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
            ready.set()

        def work() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.create_task(begin())
            self._loop.run_forever()

        threading.Thread(target=work, daemon=True).start()
        assert ready.wait(10)
        return self

    def stop(self) -> None:
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        names = {name.lower(): text for name, text in request.headers.items()}
        taken = Taken(request.path_qs, await request.read(), names)
        self.taken.append(taken)
        if self.delay:
            await asyncio.sleep(self.delay)
        status, body = self.answer(taken)
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(status=status, body=content, headers=self.headers)


class Apple:
    """Speaks HTTP/2 only, over TLS."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.port = free_port()
        self.taken: list[Taken] = []
        self.replies: dict[str, Reply] = {}  # device token -> status and reason
        self._config = Config()
        self._config.bind = [f"127.0.0.1:{self.port}"]
        self._config.certfile, self._config.keyfile = str(certificate), str(key)
        self._config.alpn_protocols = ["h2"]
        self._config.loglevel = "ERROR"
        self._loop = asyncio.new_event_loop()
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> Apple:
        self._thread.start()
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                break
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        if self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._end = asyncio.Event()
        self._loop.run_until_complete(
            serve(self._app, self._config, shutdown_trigger=self._end.wait)  # type: ignore[arg-type]
        )

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        names = {name.decode(): text.decode() for name, text in scope["headers"]}
        self.taken.append(Taken(scope["path"], body, names, scope["http_version"]))
        status, reason = self.replies.get(scope["path"].rpartition("/")[2], (200, None))
        content = orjson.dumps({"reason": reason}) if reason else b""
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": content})
