"""Built-in destinations against the real rooms, and a delivery overview that adds up."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from typing import Any

from tests import aws
from tests.conftest import Server, wait_for
from tests.wire.segment_client import basic, new_source, public, send

STEPS = (
    "successfully-received",
    "failed-on-ingest",
    "filtered-at-source",
    "filtered-at-destination",
    "failed-delivery",
    "successful-delivery",
)
ALWAYS = "startTime=2026-01-01T00:00:00Z&endTime=2036-01-01T00:00:00Z&granularity=DAY"


def connect(server: Server, source: dict[str, Any], kind: str, **settings: Any) -> str:
    body = {"sourceId": source["id"], "metadataId": kind, "settings": settings}
    return str(public(server, "POST", "/destinations", body)["destination"]["id"])


def batch(server: Server, source: dict[str, Any], *calls: dict[str, Any]) -> None:
    key = basic(source["writeKeys"][0])
    body = json.dumps({"batch": calls})
    assert send(server, "POST", "/v1/batch", body, Authorization=key).status == 200


def track(user: str, event: str, **properties: Any) -> dict[str, Any]:
    made = {"type": "track", "userId": user, "anonymousId": f"a-{user}", "event": event}
    return {**made, "properties": properties}


def delivered(server: Server, destination: str) -> int:
    seen = public(server, "GET", f"/destinations/{destination}/delivery-metrics")["overview"]
    assert seen["steps"]["failed_delivery"] == 0, seen["samples"]
    return int(seen["steps"]["successful_delivery"])


def test_track_calls_reach_the_event_tracker_without_a_function(server: Server) -> None:
    personalize = server.client("personalize")
    made = personalize.create_dataset_group(name="direct")
    group = made["datasetGroupArn"]
    status = personalize.describe_dataset_group
    wait_for(lambda: status(datasetGroupArn=group)["datasetGroup"]["status"] == "ACTIVE", 20)
    tracker = personalize.create_event_tracker(name="direct", datasetGroupArn=group)
    source = new_source(server, "direct-personalize")
    kind, region = "Amazon Personalize (direct)", "us-east-1"
    to = connect(server, source, kind, trackingId=tracker["trackingId"], region=region)
    batch(
        server,
        source,
        track("ann", "Product Added", sku="tea-1", price=3.5),
        track("ann", "Product Viewed", product_id=7),
        track("ben", "Signed Up"),  # names no item
    )
    wait_for(lambda: delivered(server, to) == 2, 20)
    request = urllib.request.Request(
        f"{server.url}/_/events?of={tracker['eventTrackerArn']}",
        headers={"Authorization": f"Bearer {server.token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        seen = json.loads(answer.read())
    assert (seen["received"], seen["usable"], seen["people"]) == (2, 2, 1)
    assert seen["eventTypes"] == {"Product Added": 1, "Product Viewed": 1}


def test_identify_changes_an_endpoint_and_track_is_an_app_event(server: Server) -> None:
    app = aws.create_app(server, "porch")
    source = new_source(server, "direct-pinpoint")
    to = connect(server, source, "Amazon Pinpoint", applicationId=app)
    traits = {"email": "ann@example.com", "plan": "pro", "address": {"city": "Rome"}, "tags": ["a"]}
    batch(server, source, {"type": "identify", "userId": "ann", "traits": traits})
    wait_for(lambda: delivered(server, to) == 1, 20)
    pinpoint = server.client("pinpoint")
    found = pinpoint.get_endpoint(ApplicationId=app, EndpointId="ann")["EndpointResponse"]
    assert (found["ChannelType"], found["Address"]) == ("EMAIL", "ann@example.com")
    assert found["User"]["UserId"] == "ann"
    wanted = {"plan": ["pro"], "address_city": ["Rome"], "tags": ["a"]}
    assert found["User"]["UserAttributes"] == wanted

    batch(server, source, track("ann", "Order Completed", total=30.5, coupon="SPRING"))
    wait_for(lambda: delivered(server, to) == 2, 20)
    with sqlite3.connect(f"file:{server.data}/tailorbird.db?mode=ro", uri=True) as conn:
        [(body,)] = conn.execute(
            "SELECT body FROM engage_events WHERE endpoint_id = 'ann' AND type = 'Order Completed'"
            " ORDER BY number DESC LIMIT 1"
        )
    event = json.loads(body)
    assert event["Attributes"] == {"coupon": "SPRING"}
    assert event["Metrics"] == {"total": 30.5}


def test_every_call_is_in_one_place_of_the_overview(server: Server) -> None:
    """sent = received + failed on ingest + filtered at source; received = what came of each."""
    app = aws.create_app(server, "sums")
    source = new_source(server, "sums")
    to = connect(server, source, "Amazon Pinpoint", applicationId=app)
    drop = {"if": "event = 'Dropped'", "actions": [{"type": "DROP"}], "title": "none of these"}
    public(server, "POST", f"/destination/{to}/filters", drop)
    off = {"integrations": {"Amazon Pinpoint": False}}
    good = [{**track(f"u{n}", "Bought", n=n), "messageId": f"g{n}"} for n in range(40)]
    people = [
        {"type": "identify", "userId": f"u{n}", "traits": {"email": f"u{n}@example.com"}}
        for n in range(20)
    ]
    calls = [
        *people,
        *good,
        *good[:9],  # told twice
        *(track(f"u{n}", "Dropped") for n in range(7)),
        *({**track(f"u{n}", "Off"), **off} for n in range(6)),
        *({"type": "page", "userId": f"u{n}"} for n in range(5)),
        *(track("", "Nobody") | {"anonymousId": ""} for _ in range(4)),
        *({"type": "track", "userId": "u", "event": 7} for _ in range(3)),
        {"type": "identify", "userId": "bad", "traits": {"email": "x" * 5_000}},
    ]
    batch(server, source, *calls)

    def total(step: str) -> int:
        where = f"sourceId={source['id']}&destinationConfigId={to}&{ALWAYS}"
        return int(public(server, "GET", f"/delivery-overview/{step}?{where}")["total"])

    def settled() -> dict[str, int] | None:
        found = {step: total(step) for step in STEPS}
        ended = sum(found[step] for step in STEPS[3:])
        return found if ended == found["successfully-received"] else None

    found: dict[str, int] = wait_for(settled, 30)
    assert found["failed-on-ingest"] == 7
    assert found["filtered-at-source"] == 9
    assert sum(found[step] for step in STEPS[:3]) == len(calls)
    assert found["filtered-at-destination"] == 7 + 6 + 5
    assert found["successful-delivery"] + found["failed-delivery"] == 61
