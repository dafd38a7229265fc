"""Events a second: PutEvents in requests of 100, without and with an event stream attached.

    python -m bench.engage_events [events] [database url]

The yardstick is the same events as bare rows into one table of the same database.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from bench.engage import CALLER, house, set_up, timed
from tailorbird.engage import Engage, app_events, event_stream
from tailorbird.engage.bulk import Bulk

DEFAULT_EVENTS = 20_000
REQUEST_EVENTS = 100
ENDPOINTS = 5_000
ARN = "arn:aws:firehose:us-east-1:123456789012:deliverystream/bench"
ROLE = "arn:aws:iam::123456789012:role/bench"
BARE = Bulk("bench_bare", {"endpoint_id": "text", "body": "jsonb"})


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_EVENTS
    with tempfile.TemporaryDirectory() as folder, house(Path(folder)) as room:
        app = set_up(room)
        show("bare rows", count, timed(lambda: bare(room, count)).seconds)
        for name, endpoint in (("PutEvents", {}), ("PutEvents with an endpoint each", None)):
            show(name, count, timed(lambda e=endpoint: put(room, app, count, e)).seconds)
        wanted = {"DestinationStreamArn": ARN, "RoleArn": ROLE}
        request = {"ApplicationId": app, "WriteEventStream": wanted}
        event_stream.put_event_stream(room, CALLER, request)
        watch = time.perf_counter()
        put(room, app, count, {})
        show("PutEvents, streamed", count, time.perf_counter() - watch)
        while any(one["waiting"] for one in event_stream.streams_of(room, app)):
            time.sleep(0.05)
        show("... until the last one arrived", count, time.perf_counter() - watch)


def put(room: Engage, app: str, count: int, endpoint: dict[str, Any] | None) -> None:
    for start in range(0, count, REQUEST_EVENTS):
        batch: dict[str, Any] = {}
        for n in range(start, start + REQUEST_EVENTS):
            known = f"endpoint-{n % ENDPOINTS}"
            given = {"Attributes": {"last": [str(n)]}} if endpoint is None else endpoint
            item = batch.setdefault(known, {"Endpoint": given, "Events": {}})
            item["Events"][str(n)] = event(n)
        request = {"ApplicationId": app, "EventsRequest": {"BatchItem": batch}}
        app_events.put_events(room, CALLER, request)


def event(n: int) -> dict[str, Any]:
    return {
        "EventType": ("view", "cart", "purchase")[n % 3],
        "Timestamp": "2026-11-21T12:00:00.000Z",
        "Attributes": {"sku": f"item-{n % 1000}", "page": "/kettles", "source": "mail"},
        "Metrics": {"price": float(n % 100), "quantity": 1.0},
        "Session": {"Id": f"s{n % 500}", "StartTimestamp": "2026-11-21T11:59:00.000Z"},
    }


def bare(room: Engage, count: int) -> None:
    with room.db.write() as conn:
        kind = "jsonb" if room.db.dialect == "postgresql" else "text"
        conn.exec_driver_sql(f"CREATE TABLE bench_bare (endpoint_id text, body {kind})")
    for start in range(0, count, REQUEST_EVENTS):
        rows = [
            (f"endpoint-{n % ENDPOINTS}", orjson.dumps(event(n)).decode())
            for n in range(start, start + REQUEST_EVENTS)
        ]
        with room.db.write() as conn:
            BARE.run(room.db, conn, rows)


def show(name: str, count: int, seconds: float) -> None:
    print(f"{name:<36}{count / seconds:>10,.0f} events/s", flush=True)


if __name__ == "__main__":
    main()
