"""Segment's HTTP API over the wire: paths, authorization, encodings, limits, and what is said."""

from __future__ import annotations

import gzip
import json
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, start_server
from tests.wire.segment_client import Answer, basic, kept, new_source, reasons, send

TRACK = {"userId": "u", "event": "Product Added", "properties": {"sku": "s"}}
FIELDS: dict[str, dict[str, Any]] = {
    "track": {"event": "e"},
    "identify": {"traits": {}},
    "page": {"name": "Home"},
    "screen": {"name": "Home"},
    "group": {"groupId": "g"},
    "alias": {"previousId": "p"},
}


@pytest.fixture
def source(server: Server, request: pytest.FixtureRequest) -> dict[str, Any]:
    return new_source(server, request.node.name.lower().replace("[", "-").strip("]"))


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start_server(tmp_path_factory.mktemp("strict"), segment_strict="true")
    yield started
    started.stop()


def post(server: Server, path: str, key: str | None, body: Any, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes | str) else json.dumps(body)
    if key is not None:
        headers["Authorization"] = basic(key)
    return send(server, "POST", path, raw, **headers)


def batch(*calls: Any, **around: Any) -> dict[str, Any]:
    return {"batch": [{"type": "track", **call} for call in calls], **around}


@pytest.mark.parametrize("kind", sorted(FIELDS))
@pytest.mark.parametrize("short", [False, True])
def test_every_call_has_a_path_and_a_short_one(
    server: Server, source: dict[str, Any], kind: str, short: bool
) -> None:
    [key] = source["writeKeys"]
    path = f"/v1/{kind[0] if short else kind}"
    answer = post(server, path, key, {"userId": "u", **FIELDS[kind]})
    assert (answer.status, answer.body) == (200, {"success": True})
    [call] = kept(server, source)
    assert (call["type"], call["channel"]) == (kind, "client" if short else "server")


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/import", "/v1/b"])
def test_a_batch_has_three_paths(server: Server, source: dict[str, Any], path: str) -> None:
    [key] = source["writeKeys"]
    assert post(server, path, None, batch(TRACK, TRACK, writeKey=key)).status == 200
    assert len(kept(server, source)) == 2


def test_the_header_wins_over_the_body(server: Server, source: dict[str, Any]) -> None:
    [key] = source["writeKeys"]
    post(server, "/v1/track", key, {**TRACK, "writeKey": "another"})
    assert [call["writeKey"] for call in kept(server, source)] == [key]


def test_a_browser_sends_json_as_text(server: Server, source: dict[str, Any]) -> None:
    [key] = source["writeKeys"]
    answer = post(
        server,
        "/v1/t",
        None,
        {**TRACK, "writeKey": key},
        Content_Type="text/plain",
        Origin="http://shop",
    )
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert len(kept(server, source)) == 1


def test_a_preflight_allows_what_the_browser_library_sends(server: Server) -> None:
    answer = send(server, "OPTIONS", "/v1/t", Origin="http://shop")
    allowed = answer.headers["access-control-allow-headers"]
    assert answer.status == 204
    assert {"authorization", "content-type", "x-retry-count"} <= set(allowed.split(", "))
    assert "POST" in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_packed_bodies_are_unpacked(
    server: Server, source: dict[str, Any], name: str, pack: Any
) -> None:
    [key] = source["writeKeys"]
    body = pack(json.dumps(batch(TRACK)).encode())
    assert post(server, "/v1/batch", key, body, Content_Encoding=name).status == 200
    assert len(kept(server, source)) == 1


def test_the_settings_that_the_browser_library_asks_for(
    server: Server, source: dict[str, Any]
) -> None:
    [key] = source["writeKeys"]
    answer = send(server, "GET", f"/v1/projects/{key}/settings")
    host = server.url.removeprefix("http://")
    mine = {"apiKey": key, "apiHost": f"{host}/v1", "protocol": "http"}
    assert answer.body["integrations"] == {"Segment.io": mine}
    by_name = send(server, "GET", f"/v1/projects/{key}/settings", Host="cdn.segment.com")
    assert by_name.body["integrations"] == {"Segment.io": {"apiKey": key}}
    assert send(server, "GET", "/v1/projects/nobody/settings").status == 404


def test_the_browser_library_of_the_html_snippet(server: Server, source: dict[str, Any]) -> None:
    [key] = source["writeKeys"]
    for path in (f"{key}/analytics.min.js", f"{key}/platform/analytics.min.js"):
        asked = urllib.request.Request(f"{server.url}/analytics.js/v1/{path}")
        asked.add_header("Accept-Encoding", "gzip")
        with urllib.request.urlopen(asked) as answer:
            text = gzip.decompress(answer.read()).decode()
            assert answer.headers["Content-Type"].startswith("text/javascript")
        assert f"'{key}'" in text or f'"{key}"' in text
        assert "cdn.segment.com" not in text
        assert f'"{server.url}/analytics-next/bundles/"' in text
    for path in ("analytics.js/v1/nobody/analytics.min.js", "analytics-next/bundles/no.bundle.1.js",
                 f"analytics.js/v1/{key}/analytics.classic.js"):  # fmt: skip
        refused = send(server, "GET", f"/{path}")
        assert (refused.status, refused.body["success"]) == (404, False)


def test_a_host_that_is_none_gets_into_no_script(server: Server, source: dict[str, Any]) -> None:
    [key] = source["writeKeys"]
    for host in ('a"+alert(1)+"', "some/path", "two words", "x:why"):
        asked = urllib.request.Request(f"{server.url}/analytics.js/v1/{key}/analytics.min.js")
        asked.add_header("Host", host)
        with urllib.request.urlopen(asked) as answer:
            text = answer.read().decode()
        assert key in text
        assert host not in text


def test_metrics_of_the_browser_library_are_swallowed(server: Server) -> None:
    assert post(server, "/v1/m", None, {"series": []}).body == {"success": True}


def big_batch(size: int) -> str:
    return json.dumps(batch(TRACK)) + " " * (size - len(json.dumps(batch(TRACK))))


BROKEN: list[tuple[str, Any, dict[str, str], str, str]] = [
    ("/v1/track", '{"userId":"u",', {}, "invalid_request", "malformed JSON: line 1 column 15"),
    ("/v1/batch", "[]", {}, "invalid_request", 'an array "batch"'),
    ("/v1/track", "x" * 32_769, {}, "request_too_large", "32769 bytes; at most 32768"),
    ("/v1/batch", big_batch(512_001), {}, "request_too_large", "at most 512000"),
    ("/v1/batch", b"\x1f\x8bnot gzip", {"Content_Encoding": "gzip"}, "invalid_request", "gzip"),
    (
        "/v1/batch",
        gzip.compress(b'{"batch":[]}', mtime=0)[:-9],
        {"Content_Encoding": "gzip"},
        "invalid_request",
        "breaks off",
    ),
    (
        "/v1/batch",
        gzip.compress(b" " * 2_000_000, mtime=0),
        {"Content_Encoding": "gzip"},
        "request_too_large",
        "more than 512000",
    ),
    ("/v1/batch", "{}", {"Content_Encoding": "br"}, "invalid_request", "'br' is not read"),
    ("/v1/track", "{}", {"Authorization": "Basic %%%"}, "invalid_request", "Authorization"),
]


@pytest.mark.parametrize(("path", "body", "headers", "code", "what"), BROKEN)
def test_a_request_that_cannot_be_read_is_refused_with_the_reason(
    server: Server, path: str, body: Any, headers: dict[str, str], code: str, what: str
) -> None:
    given = {"Authorization": basic(server.write_key), **headers}
    answer = send(server, "POST", path, body, **given)
    assert answer.status == 400
    assert (answer.body["success"], answer.body["code"]) == (False, code)
    assert what in answer.body["message"]


def test_wrong_calls_are_answered_with_200_counted_and_cost_no_neighbour(
    server: Server, source: dict[str, Any]
) -> None:
    [key] = source["writeKeys"]
    answer = post(server, "/v1/batch", key, batch(TRACK, {"userId": "u"}, {"event": "e"}))
    assert (answer.status, answer.body) == (200, {"success": True})
    assert len(kept(server, source)) == 1
    assert reasons(server, source) == {"event_not_defined": 1, "no_user_anon_id": 1}


def test_a_call_with_nan_is_malformed_json_and_its_neighbours_are_stored(
    server: Server, source: dict[str, Any]
) -> None:
    """json.dumps of Python writes NaN; the SDK drops the batch on 400 and tells on_error."""
    [key] = source["writeKeys"]
    bad = {"userId": "u", "event": "e", "type": "track", "properties": {"n": float("nan")}}
    answer = post(server, "/v1/batch", key, batch(TRACK, bad))
    assert (answer.status, answer.body["code"]) == (400, "invalid_request")
    assert "malformed JSON: NaN" in answer.body["message"]
    assert "(batch[1]); the other 1 are stored" in answer.body["message"]
    assert len(kept(server, source)) == 1


def test_a_batch_of_more_than_2500_is_answered_with_200_and_dropped_with_a_count(
    server: Server, source: dict[str, Any]
) -> None:
    [key] = source["writeKeys"]
    calls = [{"userId": "u", "event": "e"}] * 2_501
    assert post(server, "/v1/batch", key, batch(*calls[:2_500])).status == 200
    assert post(server, "/v1/batch", key, batch(*calls)).status == 200
    assert len(kept(server, source)) == 2_500
    assert reasons(server, source) == {"bad_request": 2_501}


@pytest.mark.parametrize("key", [None, "nobody"])
def test_calls_of_nobody_are_answered_with_200_as_segment_does(
    server: Server, key: str | None
) -> None:
    assert post(server, "/v1/track", key, TRACK).status == 200


STRICT: list[tuple[str, Any, int, str, str]] = [
    ("/v1/track", {"userId": "u"}, 400, "event_not_defined", "1 of 1 calls not taken"),
    ("/v1/batch", batch(TRACK, {"userId": "u"}), 400, "multi_user_error", "batch[1]: track needs"),
    ("/v1/batch", batch({"userId": "u"}), 400, "empty_batch_result", "batch[0]: track needs"),
    ("/v1/batch", batch(), 400, "empty_batch", "the batch is empty"),
    ("/v1/batch", batch(*[TRACK] * 2_501), 400, "bad_request", "2501 calls; at most 2500"),
]


@pytest.mark.parametrize(("path", "body", "status", "code", "what"), STRICT)
def test_a_strict_server_says_what_is_wrong(
    strict_server: Server, path: str, body: Any, status: int, code: str, what: str
) -> None:
    answer = post(strict_server, path, strict_server.write_key, body)
    assert (answer.status, answer.body["success"], answer.body["code"]) == (status, False, code)
    assert what in answer.body["message"]


@pytest.mark.parametrize(("key", "what"), [(None, "no write key"), ("nobody", "nobo...")])
def test_a_strict_server_knows_its_sources(
    strict_server: Server, key: str | None, what: str
) -> None:
    answer = post(strict_server, "/v1/track", key, TRACK)
    assert (answer.status, answer.body["code"]) == (401, "unknown_source")
    assert what in answer.body["message"]


def test_paths_and_methods_that_are_not_there_are_named(server: Server) -> None:
    answer = send(server, "GET", "/v1/track")
    assert (answer.status, answer.body["message"]) == (405, "/v1/track takes POST, not GET")


def test_a_disabled_source_takes_nothing(server: Server, source: dict[str, Any]) -> None:
    from tests.wire.segment_client import public

    [key] = source["writeKeys"]
    public(server, "PATCH", f"/sources/{source['id']}", {"enabled": False})
    assert post(server, "/v1/track", key, TRACK).status == 200
    assert kept(server, source) == []
    assert reasons(server, source) == {"source_disabled": 1}


def test_calls_outlive_a_killed_server(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    source = new_source(server, "mortal")
    [key] = source["writeKeys"]
    for n in range(20):
        post(server, "/v1/track", key, {**TRACK, "messageId": f"m{n}"})
    server.kill()
    again = start_server(tmp_path / "data")
    try:
        post(again, "/v1/batch", key, batch(*({**TRACK, "messageId": f"m{n}"} for n in range(25))))
        assert sorted(call["messageId"] for call in kept(again, source)) == sorted(
            f"m{n}" for n in range(25)
        )
    finally:
        again.stop()


@pytest.mark.parametrize(
    "host", ["api.segment.io", "events.eu1.segmentapis.com", "cdn.segment.com", "API.segment.io:80"]
)
def test_segments_own_host_names_lead_to_the_tracking_api(server: Server, host: str) -> None:
    answer = send(server, "POST", "/v1/nothing", "{}", Host=host)
    assert (answer.status, answer.body["code"]) == (404, "not_found")
    call = json.dumps({"userId": "ann", "event": "e", "writeKey": server.write_key})
    assert send(server, "POST", "/v1/track", call, Host=host).body == {"success": True}
