"""Segment's HTTP Tracking API, as its SDKs, browsers and old libraries call it.

Segment answers 200 to everything but malformed or oversized bodies and drops what is wrong; the
setting `segment_strict` answers 400 and 401 instead. Source: Segment, "HTTP API" and the SDKs.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from tailorbird.collect import Collect, Outcome, Request, assertions, take_calls
from tailorbird.collect.rate import Rate
from tailorbird.collect.receive import BATCH_MAX_BYTES
from tailorbird.errors import Denied, Invalid, TailorbirdError, Throttled, TooLarge, Unavailable
from tailorbird.gateway.segment_oauth import Oauth, OauthError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BATCH = "batch"
CALLS = {
    "/v1/track": "track",
    "/v1/identify": "identify",
    "/v1/page": "page",
    "/v1/screen": "screen",
    "/v1/group": "group",
    "/v1/alias": "alias",
    "/v1/batch": BATCH,
    "/v1/import": BATCH,
    # the browser library's short forms
    "/v1/t": "track",
    "/v1/i": "identify",
    "/v1/p": "page",
    "/v1/s": "screen",
    "/v1/g": "group",
    "/v1/a": "alias",
    "/v1/b": BATCH,
}
BROWSER_PATH_CHARACTERS = len("/v1/t")
METRICS = "/v1/m"
TOKEN = "/token"
RETRY_SECONDS = 1

OK = b'{"success":true}'
JSON = (b"content-type", b"application/json")
ANY_ORIGIN = (b"access-control-allow-origin", b"*")
PREFLIGHT = [
    ANY_ORIGIN,
    (b"access-control-allow-methods", b"POST, GET, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, content-encoding, x-retry-count",
    ),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
]

log = logging.getLogger("tailorbird.collect")


class Disconnected(Exception):
    """The client went away before its request was whole."""


def app(collect: Collect) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application of `/v1/...`."""

    def is_first(client: str, id: str, until: float) -> bool:
        return assertions.use_once(collect.db, client, id, until, collect.clock.now())

    oauth = Oauth(collect.settings, is_first)
    rate = Rate(collect.settings.segment_requests_per_second, collect.clock.now())

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        seconds = RETRY_SECONDS
        try:
            if scope["method"] == "POST" and (wait := rate.wait_seconds(collect.clock.now())):
                seconds = wait
                raise Throttled(f"more than {rate.per_second:g} requests a second")
            status, body = await _answer(collect, oauth, scope, receive)
        except Disconnected:
            return
        except OauthError as error:
            status, body = error.status, orjson.dumps(error.body)
        except Throttled as error:
            status, body = 429, refusal("throttled", error.message)
        except Unavailable as error:
            status, body = 503, refusal("unavailable", error.message)
        except Denied as error:
            status, body = 401, refusal(error.code or "unauthorized", error.message)
        except TailorbirdError as error:
            status, body = 400, refusal(error.code or "invalid_request", error.message)
        except Exception as error:
            log.error("%s %s", scope["method"], scope["path"], exc_info=error)
            status, body = 500, refusal("internal_error", "the server could not handle this call")
        await _send(send, status, body, seconds)

    return answer


async def _answer(
    collect: Collect, oauth: Oauth, scope: Scope, receive: Receive
) -> tuple[int, bytes]:
    path, method = scope["path"].rstrip("/"), scope["method"]
    if method == "OPTIONS":
        return 204, b""
    call_type = CALLS.get(path)
    if call_type is not None and method == "POST":
        headers = dict(scope["headers"])
        _check_bearer(headers, oauth)
        request = Request(
            await _body(receive, headers),
            None if call_type == BATCH else call_type,
            _write_key(headers),
            len(path) == BROWSER_PATH_CHARACTERS,
            scope["client"][0] if scope.get("client") else None,
            collect.caller_at(scope.get("client")),
        )
        return _told(await take_calls(collect, request), collect.settings.segment_strict)
    if path == TOKEN and method == "POST":
        headers = dict(scope["headers"])
        given, kind = await _body(receive, headers), headers.get(b"content-type", b"")
        at = tuple(scope["server"]) if scope.get("server") else None
        return 200, orjson.dumps(await asyncio.to_thread(oauth.grant, given, kind, at))
    if path == METRICS and method == "POST":  # the browser library's own metrics
        await _body(receive, dict(scope["headers"]))
        return 200, OK
    if call_type is not None:
        return 405, refusal("method_not_allowed", f"{path} takes POST, not {method}")
    return 404, refusal("not_found", f"there is no {method} {path}; POST /v1/batch takes calls")


def refusal(code: str, message: str) -> bytes:
    """The body of every refusal."""
    return orjson.dumps({"success": False, "code": code, "message": message})


def _told(outcome: Outcome, strict: bool) -> tuple[int, bytes]:
    """The answer to a request whose calls have been stored or counted."""
    rest = f"; the other {outcome.kept} are stored" if outcome.kept else ""
    malformed = next((one for one in outcome.refused if one.malformed), None)
    if malformed is not None:
        return 400, refusal("invalid_request", f"{malformed.message} ({malformed.where}){rest}")
    if not outcome.refused or not strict:
        return 200, OK
    first = outcome.refused[0]
    if first.reason == "unknown_source":
        return 401, refusal(first.reason, first.message)
    n = sum(refused.count for refused in outcome.refused)
    code = first.reason
    if first.where.startswith("batch["):
        code = "multi_user_error" if outcome.kept else "empty_batch_result"
    what = "; ".join(f"{r.where}: {r.message} ({r.reason})" for r in outcome.refused[:10])
    return 400, refusal(code, f"{n} of {n + outcome.kept} calls not taken: {what}{rest}")


def _write_key(headers: dict[bytes, bytes]) -> str | None:
    """The user name of Basic authorization; a missing colon is tolerated, as Segment does."""
    scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Invalid("the Authorization header is not Basic base64(write key + ':')") from None
    return text.partition(":")[0] or None


def _check_bearer(headers: dict[bytes, bytes], oauth: Oauth) -> None:
    """An OAuth token comes beside a write key in the body; its client asks for a new one on 401."""
    scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and not oauth.accepts(given.strip().decode("latin-1")):
        raise Denied(
            "the Bearer token was not given out by POST /token, or has expired; nor is it the"
            " setting tracking_token",
            code="unauthorized",
        )


async def _body(receive: Receive, headers: dict[bytes, bytes]) -> bytes:
    """The request's bytes, unpacked, up to the size of a batch."""
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= BATCH_MAX_BYTES:
            chunks.append(chunk)
        more = message.get("more_body", False)
    if size > BATCH_MAX_BYTES:
        raise TooLarge(_too_large(f"{size}"), code="request_too_large")
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding in (b"", b"identity"):
        return body
    if encoding not in (b"gzip", b"deflate"):
        name = encoding.decode("latin-1")
        raise Invalid(f"Content-Encoding {name!r} is not read; gzip, deflate or none is right")
    return _unpacked(body)


def _unpacked(body: bytes) -> bytes:
    unpack = zlib.decompressobj(47)  # gzip or zlib, by its header
    try:
        plain = unpack.decompress(body, BATCH_MAX_BYTES + 1)
    except zlib.error as error:
        raise Invalid(f"the body is not gzip: {error}") from None
    if len(plain) > BATCH_MAX_BYTES:
        raise TooLarge(_too_large(f"more than {BATCH_MAX_BYTES}"), code="request_too_large")
    if not unpack.eof:
        raise Invalid("the gzip body breaks off before its end")
    return plain


def _too_large(size: str) -> str:
    return f"the body has {size} bytes; at most {BATCH_MAX_BYTES}"


async def _send(send: Send, status: int, body: bytes, seconds: int) -> None:
    if status == 204:
        headers = PREFLIGHT
    else:
        headers = [JSON, ANY_ORIGIN, (b"content-length", str(len(body)).encode())]
    if status in (429, 503):
        told = str(seconds).encode()
        headers = [*headers, (b"retry-after", told), (b"x-ratelimit-reset", told)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
