"""What the wire tests of Segment's APIs share: raw calls, and what the server kept of them."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.conftest import Server


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


def send(
    server: Server,
    method: str,
    path: str,
    body: bytes | str | None = None,
    **headers: str,
) -> Answer:
    """One HTTP request as it is; header names are given with `_` for `-`."""
    request = urllib.request.Request(
        server.url + path,
        method=method,
        data=body.encode() if isinstance(body, str) else body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return _answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return _answer(error.code, error.headers, error.read())


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def public(server: Server, method: str, path: str, body: Any = None) -> Any:
    """A call of the Public API that succeeds; its data."""
    answer = ask(server, method, path, body)
    assert answer.status == 200, answer.body
    return answer.body["data"]


def ask(server: Server, method: str, path: str, body: Any = None) -> Answer:
    text = None if body is None else json.dumps(body)
    return send(server, method, f"/segmentapis{path}", text, Authorization=f"Bearer {server.token}")


def new_source(server: Server, name: str) -> dict[str, Any]:
    """A source of the test's own, so that tests do not see each other's calls."""
    return dict(public(server, "POST", "/sources", {"name": name, "slug": name})["source"])


def kept(server: Server, source: dict[str, Any]) -> list[dict[str, Any]]:
    """Every call of a source, as its archive has them."""
    public(server, "POST", f"/sources/{source['id']}/archive")
    folder = server.data / "objects" / "tailorbird-archive" / "segment-logs" / source["id"]
    return [
        json.loads(line)
        for file in sorted(folder.rglob("*.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]


def reasons(server: Server, source: dict[str, Any]) -> dict[str, int]:
    """Refused calls of a source by reason."""
    found: dict[str, int] = {}
    for row in public(server, "GET", f"/sources/{source['id']}/counts")["reasons"]:
        if row["step"] == "failed_on_ingest":
            found[row["reason"]] = found.get(row["reason"], 0) + row["n"]
    return found


def _answer(status: int, headers: Any, raw: bytes) -> Answer:
    return Answer(status, {k.lower(): v for k, v in headers.items()}, json.loads(raw or b"null"))
