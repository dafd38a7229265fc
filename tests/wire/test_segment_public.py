"""Segment's Public API slice, and what stands beside it, with the bearer token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Server
from tests.wire.segment_client import ask, new_source, public, send

ROLE = "arn:aws:iam::123456789012:role/segment"
LAMBDA = {"function": "f", "roleAddress": ROLE, "region": "us-east-1"}


def test_without_the_token_nothing_is_told(server: Server) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDo="}):
        answer = send(server, "GET", "/segmentapis/sources", **headers)
        assert answer.status == 401
        assert "api_token" in answer.body["errors"][0]["message"]


def test_the_workspace(server: Server) -> None:
    assert public(server, "GET", "/")["workspace"]["slug"] == "tailorbird"


def test_a_source_comes_changes_and_goes(server: Server) -> None:
    made = new_source(server, "coming-and-going")
    path = f"/sources/{made['id']}"
    assert len(made["writeKeys"]) == 1
    assert public(server, "GET", path)["source"] == made
    assert made in public(server, "GET", "/sources?pagination.count=200")["sources"]
    assert public(server, "PATCH", path, {"name": "New"})["source"]["name"] == "New"
    keys = public(server, "POST", f"{path}/writekey")["source"]["writeKeys"]
    assert len(set(keys)) == 2
    public(server, "DELETE", f"{path}/writekey/{keys[0]}")
    assert public(server, "GET", path)["source"]["writeKeys"] == keys[1:]
    assert public(server, "DELETE", path) == {"status": "SUCCESS"}
    assert ask(server, "GET", path).status == 404


def test_a_source_that_comes_from_segment_keeps_its_write_key(server: Server) -> None:
    key = "KeyOfSegmentsOwn1234567890abcdEF"
    body = {"name": "Moved", "slug": "moved", "writeKey": key}
    made = public(server, "POST", "/sources", body)["source"]
    assert made["writeKeys"] == [key]
    again = ask(server, "POST", "/sources", {**body, "slug": "moved-again"})
    assert (again.status, again.body["errors"][0]["message"]) == (
        409,
        "Another source has this writeKey",
    )
    wrong = ask(server, "POST", "/sources", {**body, "slug": "wrong", "writeKey": "a:b c"})
    assert wrong.status == 422
    assert all(row["slug"] not in ("moved-again", "wrong") for row in sources(server))


def sources(server: Server) -> list[dict[str, Any]]:
    return list(public(server, "GET", "/sources?pagination.count=200")["sources"])


def test_a_destination_comes_changes_and_goes(server: Server) -> None:
    source = new_source(server, "with-destination")
    made = public(
        server,
        "POST",
        "/destinations",
        {
            "sourceId": source["id"],
            "metadataId": "5c7f0c9879726100019cc56b",
            "name": "Recommendations",
            "enabled": False,
            "settings": LAMBDA,
        },
    )["destination"]
    path = f"/destinations/{made['id']}"
    assert made["metadata"]["name"] == "Amazon Personalize"
    assert public(server, "GET", path)["destination"] == made
    connected = public(server, "GET", f"/sources/{source['id']}/connected-destinations")
    assert connected["destinations"] == [made]
    changed = public(server, "PATCH", path, {"settings": {"logType": "Tail"}})["destination"]
    assert changed["settings"] == {**LAMBDA, "logType": "Tail"}
    refused = ask(server, "DELETE", f"/sources/{source['id']}")
    assert (refused.status, refused.body["errors"][0]["type"]) == (409, "conflict")
    metrics = public(server, "GET", f"{path}/delivery-metrics")
    assert metrics["deliveryMetricsSummary"]["sourceId"] == source["id"]
    assert metrics["overview"]["steps"]["successful_delivery"] == 0
    public(server, "DELETE", path)
    public(server, "DELETE", f"/sources/{source['id']}")


def test_pages_lead_to_the_end(server: Server) -> None:
    for n in range(3):
        new_source(server, f"page-{n}")
    seen: list[str] = []
    cursor = ""
    while True:
        page = public(server, "GET", f"/sources?pagination.count=2{cursor}")
        seen += [source["id"] for source in page["sources"]]
        following = page["pagination"].get("next")
        if following is None:
            break
        cursor = f"&pagination.cursor={following}"
    assert len(seen) == len(set(seen)) == page["pagination"]["totalEntries"]


def test_the_catalogue_names_every_setting(server: Server) -> None:
    found = public(server, "GET", "/catalog/destinations")["destinationsCatalog"]
    options = {kind["name"]: {option["name"] for option in kind["options"]} for kind in found}
    assert set(options) == {
        "Amazon Lambda",
        "Amazon Personalize",
        "Amazon Personalize (direct)",
        "Amazon Pinpoint",
        "AWS S3",
        "Webhooks",
    }
    catalogued = {"function", "roleAddress", "region", "externalId", "logType", "clientContext"}
    assert catalogued <= options["Amazon Lambda"]


REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/sources/nobody", None, 404, "There is no source 'nobody'"),
    ("POST", "/sources", {}, 422, "name is ''"),
    ("POST", "/sources", {"name": "Default", "slug": "default"}, 409, "slug 'default'"),
    ("POST", "/sources", {"name": "x", "settings": []}, 422, "settings is []"),
    ("POST", "/destinations", {"metadataId": "Amazon Lambda"}, 422, "sourceId is None"),
    ("GET", "/sources?pagination.count=0", None, 422, "1 to 200"),
    ("GET", "/sources?pagination.cursor=x", None, 422, "not one of ours"),
    ("GET", "/tracking-plans", None, 501, "GET /tracking-plans is not built"),
    ("PUT", "/sources", None, 501, "takes GET, POST, not PUT"),
    ("POST", "/interactions", {"sourceId": "x"}, 422, "output is None"),
    ("POST", "/interactions", {"sourceId": "x", "output": "/etc/x.csv"}, 422, "no other files"),
    ("GET", "/interactions/99999", None, 404, "no job 99999"),
    ("GET", "/profiles/nobody", None, 404, "nobody"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "what"), REFUSED)
def test_a_refusal_says_what_is_wrong(
    server: Server, method: str, path: str, body: Any, status: int, what: str
) -> None:
    answer = ask(server, method, path, body)
    assert answer.status == status, answer.body
    assert what in answer.body["errors"][0]["message"]


def test_malformed_json_is_refused_with_the_place(server: Server) -> None:
    answer = send(
        server, "POST", "/segmentapis/sources", "{", Authorization=f"Bearer {server.token}"
    )
    assert answer.status == 422
    assert "malformed JSON: line 1" in answer.body["errors"][0]["message"]


def test_an_archive_becomes_interactions_with_one_call(server: Server) -> None:
    from tests.wire.segment_client import basic

    source = new_source(server, "interactions")
    [key] = source["writeKeys"]
    calls = [
        {"type": "track", "userId": "u", "event": "Product Added", "properties": {"sku": "s"}},
        {"type": "track", "userId": "u", "event": "Signed Up"},
    ]
    send(server, "POST", "/v1/batch", json.dumps({"batch": calls}), Authorization=basic(key))
    asked = {"sourceId": source["id"], "output": "s3://prepared/interactions.csv"}
    report = public(server, "POST", "/interactions", asked)
    assert (report["rows"], report["rejected"]) == (1, {"event_not_wanted": 1})
    file = server.data / "objects" / "prepared" / "interactions.csv"
    assert file.read_text().splitlines()[0] == "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"


def test_the_same_in_the_background(server: Server) -> None:
    from tests.conftest import wait_for
    from tests.wire.segment_client import basic

    source = new_source(server, "background")
    call = {"userId": "u", "event": "Signed Up", "properties": {"id": 5}}
    send(
        server,
        "POST",
        "/v1/track",
        json.dumps(call),
        Authorization=basic(source["writeKeys"][0]),
    )
    asked = {
        "sourceId": source["id"],
        "output": "s3://prepared/background.csv",
        "events": ["Signed Up"],
        "wait": False,
    }
    job = public(server, "POST", "/interactions", asked)["job"]

    def finished() -> Any:
        seen = public(server, "GET", f"/interactions/{job}")["job"]
        return seen if seen["state"] in ("done", "failed") else None

    assert wait_for(finished)["result"]["rows"] == 1


@pytest.mark.parametrize(
    "media_type",
    ["application/vnd.segment.v1+json", "application/vnd.segment.v1alpha+json", "application/json"],
)
def test_a_body_may_say_that_it_is_json_in_segments_words(server: Server, media_type: str) -> None:
    answer = send(
        server,
        "POST",
        "/segmentapis/destination/filters/preview",
        '{"filter": {"if": "all", "actions": [{"type": "DROP"}]}, "payload": {}}',
        Authorization=f"Bearer {server.token}",
        Content_Type=media_type,
        Accept=media_type,
    )
    assert (answer.status, answer.body["data"]["result"]) == (200, None)
    assert answer.headers["content-type"] == "application/vnd.segment.v1+json"
