"""The native part of awslambdaric, over an inherited socket that speaks the Lambda Runtime API.

Takes the place of its compiled module, so that any Python runs it: only built-in modules are used.
"""

from __future__ import annotations

import os
from typing import Any

READ_BYTES = 262144
BASE = "/2018-06-01/runtime/invocation/"
FD = int(os.environ.pop("TAILORBIRD_RUNTIME_FD"))
os.set_inheritable(FD, False)

_unread = b""
_unsent = b""  # a result goes out together with the question for the next invocation


def initialize_client(user_agent: str) -> None:
    """The compiled client names itself to the server; this one is the server's own."""


def next() -> tuple[bytes, dict[str, Any]]:
    """Wait for an invocation: its event and its headers."""
    global _unsent
    result, _unsent = _unsent, b""
    _write(result + b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
    head, body = _response()
    headers: dict[str, Any] = {}
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        headers[name] = value
    headers["Lambda-Runtime-Deadline-Ms"] = int(headers["Lambda-Runtime-Deadline-Ms"])
    return body, headers


def post_invocation_result(
    invoke_id: str, result: bytes, content_type: str, invocation_id: str | None = None
) -> None:
    _post(invoke_id + "/response", result, "Content-Type: " + content_type + "\r\n")


def post_error(
    invoke_id: str, error: str, xray_fault: str, invocation_id: str | None = None
) -> None:
    import json

    error_type = str(json.loads(error).get("errorType") or "Unhandled")
    kind = error_type.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")
    fields = "Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: "
    _post(invoke_id + "/error", error.encode("utf-8", "surrogatepass"), fields + kind + "\r\n")


def _post(path: str, body: bytes, fields: str) -> None:
    global _unsent
    head = f"POST {BASE}{path} HTTP/1.1\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
    _unsent = head.encode("latin-1", "replace") + body


def _write(data: bytes) -> None:
    written = os.write(FD, data)
    while written < len(data):
        written += os.write(FD, memoryview(data)[written:])


def _response() -> tuple[str, bytes]:
    global _unread
    end = _unread.find(b"\r\n\r\n")
    while end < 0:
        _unread += _more()
        end = _unread.find(b"\r\n\r\n")
    head = _unread[:end].decode("utf-8")
    start = end + 4
    wanted = start + _length(head)
    if len(_unread) < wanted:
        parts, have = [_unread], len(_unread)
        while have < wanted:
            parts.append(_more())
            have += len(parts[-1])
        _unread = b"".join(parts)
    body = _unread[start:wanted]
    _unread = _unread[wanted:]
    return head, body


def _length(head: str) -> int:
    at = head.rfind("Content-Length: ")
    return int(head[at + 16 :].split("\r\n", 1)[0]) if at >= 0 else 0


def _more() -> bytes:
    data = os.read(FD, READ_BYTES)
    if not data:
        raise ConnectionError("the Runtime API closed the connection")
    return data
