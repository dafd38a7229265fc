"""The Lambda Runtime API (2018-06-01) as bytes: requests of a runtime client in, responses out.

No sockets here: a connection is fed what was read and yields whole requests.
Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

MAX_RESPONSE_BYTES = 6_291_556
MAX_STREAMED_BYTES = 20_971_520  # what a streamed result may hold when it is not kept whole
MAX_HEAD_BYTES = 1_114_112  # the X-Ray cause of an error travels in a header of up to 1 MB
BASE = "/2018-06-01/runtime/"
RESPONSE_MODE = "lambda-runtime-function-response-mode"
ERROR_TYPE = "lambda-runtime-function-error-type"
ERROR_BODY = "lambda-runtime-function-error-body"  # base64, in the trailers of a streamed result
_REASONS = {200: "OK", 202: "Accepted", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
            413: "Payload Too Large"}  # fmt: skip


class BadRequest(Exception):
    """What came in is not HTTP/1.1; the connection is of no more use."""


@dataclass
class ApiRequest:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    too_large: bool = False


@dataclass
class Reader:
    """Turns the bytes of one connection into requests."""

    buffer: bytearray = field(default_factory=bytearray)
    _head: tuple[str, str, dict[str, str]] | None = None
    _chunks: bytearray | None = None
    # asked at the first chunk of a body: what takes its pieces as they come, None to keep them
    stream: Callable[[str, dict[str, str]], Callable[[bytes], None] | None] | None = None
    _take: Callable[[bytes], None] | None = None
    _size: int = 0
    _to_discard: int | None = None
    _continued: bool = False

    def feed(self, data: bytes) -> Iterator[ApiRequest]:
        self.buffer += data
        while (request := self._next()) is not None:
            yield request

    def wants_continue(self) -> bool:
        """True once per request whose client waits for `100 Continue` before it sends the body."""
        if self._head is None or self._continued:
            return False
        self._continued = self._head[2].get("expect", "").lower() == "100-continue"
        return self._continued

    def _next(self) -> ApiRequest | None:
        if self._head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) > MAX_HEAD_BYTES:
                    raise BadRequest("head too long")
                return None
            self._head = _parse_head(bytes(self.buffer[:end]))
            del self.buffer[: end + 4]
        method, path, headers = self._head
        if "transfer-encoding" in headers:
            return self._chunked(method, path, headers)
        size = _size(headers)
        if size > MAX_RESPONSE_BYTES:
            return self._discard(size, method, path, headers)
        if len(self.buffer) < size:
            return None
        body = bytes(self.buffer[:size])
        del self.buffer[:size]
        return self._done(ApiRequest(method, path, headers, body))

    def _discard(
        self, size: int, method: str, path: str, headers: dict[str, str]
    ) -> ApiRequest | None:
        """Read past a body that is too large without keeping it."""
        left = size if self._to_discard is None else self._to_discard
        taken = min(left, len(self.buffer))
        del self.buffer[:taken]
        self._to_discard = left - taken
        if self._to_discard:
            return None
        return self._done(ApiRequest(method, path, headers, b"", too_large=True))

    def _chunked(self, method: str, path: str, headers: dict[str, str]) -> ApiRequest | None:
        """A streamed response: chunks, then trailers that may hold the function's error."""
        if self._chunks is None:
            self._chunks, self._size = bytearray(), 0
            self._take = self.stream(path, headers) if self.stream is not None else None
        most = MAX_STREAMED_BYTES if self._take is not None else MAX_RESPONSE_BYTES
        while True:
            end = self.buffer.find(b"\r\n")
            if end < 0:
                return None
            try:
                size = int(bytes(self.buffer[:end]).split(b";")[0], 16)
            except ValueError:
                raise BadRequest("chunk size") from None
            if size == 0:
                return self._trailers(end, method, path, headers)
            if len(self.buffer) < end + 2 + size + 2:
                if size > most:
                    raise BadRequest("chunk too long")
                return None
            self._keep(bytes(self.buffer[end + 2 : end + 2 + size]), most)
            del self.buffer[: end + 2 + size + 2]
            if self._size > most:
                return self._done(ApiRequest(method, path, headers, b"", too_large=True))

    def _keep(self, piece: bytes, most: int) -> None:
        """Hand the piece on, up to the limit, or keep it for the whole."""
        before, self._size = self._size, self._size + len(piece)
        if self._take is None:
            assert self._chunks is not None
            self._chunks += piece
        elif before < most:
            self._take(piece[: most - before])

    def _trailers(
        self, at: int, method: str, path: str, headers: dict[str, str]
    ) -> ApiRequest | None:
        end = self.buffer.find(b"\r\n\r\n", at)
        if end < 0:
            return None
        headers |= _parse_fields(bytes(self.buffer[at + 2 : end]).split(b"\r\n"))
        body = bytes(self._chunks or b"")
        del self.buffer[: end + 4]
        return self._done(ApiRequest(method, path, headers, body))

    def _done(self, request: ApiRequest) -> ApiRequest:
        self._head = None
        self._chunks = self._to_discard = self._take = None
        self._continued = False
        return request


def response(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """One HTTP/1.1 response with its length."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode() + body


ACCEPTED = response(202, b'{"status":"OK"}\n', {"Content-Type": "application/json"})


def refusal(status: int, error_type: str, message: str) -> bytes:
    body = json.dumps({"errorMessage": message, "errorType": error_type}).encode()
    return response(status, body, {"Content-Type": "application/json"})


def next_invocation(
    request_id: str,
    payload: bytes,
    deadline_ms: int,
    arn: str,
    client_context: str | None,
    trace: str,
) -> bytes:
    """The answer to GET /next that hands an invocation to the runtime."""
    context = f"Lambda-Runtime-Client-Context: {client_context}\r\n" if client_context else ""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Lambda-Runtime-Aws-Request-Id: {request_id}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {deadline_ms}\r\n"
        f"Lambda-Runtime-Invoked-Function-Arn: {arn}\r\n"
        f"Lambda-Runtime-Trace-Id: {trace}\r\n{context}"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *rest = head.split(b"\r\n")
    try:
        method, path, _ = first.decode("ascii").split(" ")
    except ValueError:
        raise BadRequest("request line") from None
    return method, path, _parse_fields(rest)


def _parse_fields(lines: list[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        if name:
            fields[name.decode("latin-1").lower()] = value.decode("latin-1").strip()
    return fields


def _size(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    if not text.isdigit():
        raise BadRequest("Content-Length")
    return int(text)
