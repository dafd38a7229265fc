"""The Public API's filters, settings, delivery overview and replays, and their commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import segment
from tests.conftest import Server, wait_for
from tests.wire.segment_client import ask, basic, new_source, public, send

HOOK = {"url": "http://192.0.2.1/"}
NO_PAGES = {"if": "type = 'page'", "title": "no pages", "actions": [{"type": "DROP"}]}
RANGE = "startTime=2020-01-01T00:00:00Z&endTime=2100-01-01T00:00:00Z&granularity=DAY"


def connected(server: Server, name: str) -> tuple[dict[str, Any], str]:
    source = new_source(server, name)
    return source, segment.connect(server, source["id"], "Webhooks", HOOK)


def test_a_filter_comes_changes_and_goes(server: Server) -> None:
    _, to = connected(server, "filtered")
    path = f"/destination/{to}/filters"
    made = public(server, "POST", path, NO_PAGES)["filter"]
    assert (made["destinationId"], made["if"]) == (to, NO_PAGES["if"])
    assert public(server, "GET", path)["filters"] == [made]
    changed = public(server, "PATCH", f"{path}/{made['id']}", {"enabled": False})["filter"]
    assert changed["enabled"] is False
    assert public(server, "DELETE", f"{path}/{made['id']}") == {"status": "SUCCESS"}
    assert ask(server, "GET", f"{path}/{made['id']}").status == 404
    assert ask(server, "POST", path, {**NO_PAGES, "if": "type ="}).status == 422


CALL = {"type": "track", "event": "Paid", "properties": {"card": "4111", "total": 9}}
NO_CARD = {"type": "DROP_PROPERTIES", "fields": {"properties": ["card"]}}
WITHOUT_CARDS = {"if": "event = 'Paid'", "actions": [NO_CARD]}


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (WITHOUT_CARDS, {**CALL, "properties": {"total": 9}}),
        ({**WITHOUT_CARDS, "if": "event = 'Left'"}, CALL),
        ({"if": "all", "actions": [{"type": "DROP"}]}, None),
    ],
)
def test_a_filter_is_tried_on_a_call_and_kept_nowhere(
    server: Server, given: dict[str, Any], result: Any
) -> None:
    body = {"filter": given, "payload": CALL}
    found = public(server, "POST", "/destination/filters/preview", body)
    assert found == {"inputPayload": CALL, "result": result}


@pytest.mark.parametrize(
    "body",
    [{"filter": WITHOUT_CARDS}, {"payload": CALL}, {"filter": {"if": "all"}, "payload": CALL},
     {"filter": {**WITHOUT_CARDS, "if": "type ="}, "payload": CALL}],
)  # fmt: skip
def test_a_filter_that_cannot_be_tried_is_refused(server: Server, body: dict[str, Any]) -> None:
    answer = ask(server, "POST", "/destination/filters/preview", body)
    assert answer.status == 422 and answer.body["errors"][0]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/tracking-plans"), ("POST", "/tracking-plans"), ("PUT", "/tracking-plans/x/rules"),
     ("POST", "/functions"), ("POST", "/regulations"), ("GET", "/transformations")],
)  # fmt: skip
def test_what_is_not_built_is_refused_by_name(server: Server, method: str, path: str) -> None:
    answer = ask(server, method, path, {} if method != "GET" else None)
    assert answer.status == 501
    assert f"{method} {path} is not built" in answer.body["errors"][0]["message"]


def test_settings_of_a_source_are_merged(server: Server) -> None:
    path = f"/sources/{new_source(server, 'with-settings')['id']}/settings"
    public(server, "PATCH", path, {"client": True, "other": 1})
    assert public(server, "PATCH", path, {"other": None})["settings"] == {"client": True}
    assert public(server, "GET", path)["settings"] == {"client": True}


def test_the_delivery_overview_counts_every_step(server: Server) -> None:
    source, to = connected(server, "overviewed")
    public(server, "POST", f"/destination/{to}/filters", NO_PAGES)
    key = basic(source["writeKeys"][0])
    for path, call in (
        ("/v1/page", {"userId": "ann"}),
        ("/v1/track", {"userId": "ann"}),
        ("/v1/track", {"userId": "ann", "event": "e"}),
    ):
        send(server, "POST", path, json.dumps(call), Authorization=key)

    def total(step: str) -> int:
        where = f"sourceId={source['id']}&destinationConfigId={to}&{RANGE}"
        return int(public(server, "GET", f"/delivery-overview/{step}?{where}")["total"])

    assert total("successfully-received") == 2
    assert total("failed-on-ingest") == 1
    assert total("filtered-at-source") == 0
    assert wait_for(lambda: total("filtered-at-destination") == 1, 10)
    assert total("successful-delivery") == 0
    assert wait_for(lambda: total("failed-delivery") == 1, 10)
    where = f"sourceId={source['id']}&groupBy.0=eventType&{RANGE}"
    grouped = public(server, "GET", f"/delivery-overview/successfully-received?{where}")["dataset"]
    assert {one["eventType"]: one["total"] for one in grouped} == {"page": 1, "track": 1}


@pytest.mark.parametrize(
    "wrong", ["", "startTime=x&endTime=y", f"{RANGE}X", f"groupBy.0=appVersion&{RANGE}"]
)
def test_a_wrong_question_about_delivery_is_refused(server: Server, wrong: str) -> None:
    source = new_source(server, f"asked-{abs(hash(wrong))}")
    where = f"sourceId={source['id']}&{wrong}"
    answer = ask(server, "GET", f"/delivery-overview/successfully-received?{where}")
    assert answer.status == 422


def test_the_commands_do_the_same(server: Server) -> None:
    source, to = connected(server, "by-command")
    call = json.dumps({"userId": "ann", "event": "e"})
    send(server, "POST", "/v1/track", call, Authorization=basic(source["writeKeys"][0]))
    run = segment.tailorbird
    assert run(server, "destination", "get", to)["id"] == to
    assert run(server, "destination", "disable", to)["enabled"] is False
    made = run(server, "destination", "filter-add", to, "all", '{"type": "DROP"}')
    assert run(server, "destination", "filters", to)["id"] == made["id"]
    replay = run(server, "destination", "replay", to, "--per-second", "1000")
    path = f"/replays/{replay['id']}"
    assert wait_for(lambda: public(server, "GET", path)["replay"]["state"] == "done", 20)
    assert public(server, "GET", path)["replay"]["counts"]["filtered"] == 1
    run(server, "destination", "filter-delete", to, made["id"])
    assert run(server, "destination", "delete", to) == {"status": "SUCCESS"}
    assert run(server, "source", "get", source["id"])["steps"]["successfully_received"] == 1
    assert run(server, "source", "disable", source["id"])["enabled"] is False
    assert run(server, "source", "delete", source["id"]) == {"status": "SUCCESS"}
