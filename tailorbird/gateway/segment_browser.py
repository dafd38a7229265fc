"""What a web page loads before it can call: Segment's browser library and its settings.

The library is the npm package @segment/analytics-next 1.84.3 as it is (`analytics_next/`), with the
write key and this house's address put where Segment's CDN has its own.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from tailorbird.collect import Collect
from tailorbird.errors import NotFound

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FOLDER = Path(__file__).parent / "analytics_next"
LIBRARY = re.compile(r"/analytics\.js/v1/([^/]+)/(?:platform/)?analytics(?:\.min)?\.js")
PART = re.compile(r"/analytics-next/bundles/([A-Za-z0-9-]+\.bundle\.[0-9a-f]+\.js)")
SETTINGS = re.compile(r"/v1/projects/([^/]+)/settings")
PATHS = ("/analytics.js/", "/analytics-next/", "/v1/projects/")
OWN_HOSTS = ("cdn.segment.com", "api.segment.io")  # led here by name: the library knows the way
HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")

WRITE_KEY = b"__WRITE_KEY__"  # for the library's own "self-hosted" way
CDN, CALLS = b"https://cdn.segment.com", b'"api.segment.io/v1"'
LIBRARY_SECONDS, PART_SECONDS = 120, 31_536_000  # in caches; a part's name holds its hash
KEPT = 64  # libraries kept ready, by key and address

JSON = b"application/json"
JAVASCRIPT = b"text/javascript; charset=utf-8"


def app(collect: Collect) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application of `PATHS`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        status, kind, seconds, body = 200, JSON, 0, b""
        try:
            kind, seconds, body = _found(collect, scope)
        except NotFound as error:
            refusal = {"success": False, "code": error.code or "not_found"}
            status, body = 404, orjson.dumps(refusal | {"message": error.message})
        headers = [
            (b"content-type", kind),
            (b"access-control-allow-origin", b"*"),
            (b"cache-control", b"public, max-age=%d" % seconds if seconds else b"no-cache"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if kind == JAVASCRIPT:
            headers.append((b"vary", b"accept-encoding, host"))
            if any(name == b"accept-encoding" and b"gzip" in v for name, v in scope["headers"]):
                headers.append((b"content-encoding", b"gzip"))
                body = _packed(body)
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": body})

    return answer


def _found(collect: Collect, scope: Scope) -> tuple[bytes, int, bytes]:
    """Content type, seconds that caches may keep it, and the bytes."""
    path: str = scope["path"].rstrip("/")
    if scope["method"] not in ("GET", "HEAD"):
        raise NotFound(f"{path} takes GET, not {scope['method']}")
    if part := PART.fullmatch(path):
        return JAVASCRIPT, PART_SECONDS, _part(part[1])
    if library := LIBRARY.fullmatch(path):
        origin = _origin(scope, collect.settings.public_url)
        return JAVASCRIPT, LIBRARY_SECONDS, _library(_known(collect, library[1]), origin)
    if asked := SETTINGS.fullmatch(path):
        given = {"apiKey": _known(collect, asked[1])}
        if origin := _origin(scope, collect.settings.public_url):
            protocol, _, host = origin.partition("://")
            given |= {"apiHost": f"{host}/v1", "protocol": protocol}
        return JSON, 0, orjson.dumps({"integrations": {"Segment.io": given}, "plan": {}})
    raise NotFound(f"there is no {scope['method']} {path}")


def _known(collect: Collect, write_key: str) -> str:
    if collect.keys.find(write_key) is None:
        raise NotFound(f"no source has the write key {write_key[:4]}...", code="unknown_source")
    return write_key


def _origin(scope: Scope, public_url: str) -> str:
    """This house as the page reached it; empty when by one of Segment's own names.

    The scheme is that of the setting `public_url` where it names the same host: a proxy in front
    may speak https to the page and http to us.
    """
    host = next((v.decode("latin-1") for name, v in scope["headers"] if name == b"host"), "")
    if not HOST.fullmatch(host) or host.partition(":")[0].lower() in OWN_HOSTS:
        return ""
    public = urlsplit(public_url)
    scheme = public.scheme if public.netloc.lower() == host.lower() else scope["scheme"]
    return f"{scheme}://{host}"


@lru_cache(KEPT)
def _library(write_key: str, origin: str) -> bytes:
    text = _part("standalone.js").replace(WRITE_KEY, orjson.dumps(write_key)[1:-1])
    if origin:
        calls = b'"%s/v1"' % origin.partition("://")[2].encode()
        text = text.replace(CDN, origin.encode()).replace(CALLS, calls)
    return text


@lru_cache(KEPT)
def _packed(text: bytes) -> bytes:
    pack = zlib.compressobj(9, wbits=31)
    return pack.compress(text) + pack.flush()


@lru_cache(KEPT)
def _part(name: str) -> bytes:
    file = FOLDER / name
    if not file.is_file():
        raise NotFound(f"{name} is not a part of the library that is served here")
    return file.read_bytes()
