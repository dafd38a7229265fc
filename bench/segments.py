"""How long a segment of a million endpoints takes to resolve.

    python -m bench.segments [endpoints] [database url]

Endpoints are written by SQL, about 340 bytes each; every segment is resolved as a run resolves it,
up to the list of its members, and its count is printed beside the time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.engage import endpoint, house, segment, set_up, show, timed
from tailorbird.engage import apps, audience, segments
from tailorbird.engage.room import Engage

DEFAULT_ENDPOINTS = 1_000_000
ROWS_AT_ONCE = 10_000


def inclusive(*values: str) -> dict[str, Any]:
    return {"AttributeType": "INCLUSIVE", "Values": list(values)}


SEGMENTS: dict[str, dict[str, Any]] = {
    "everybody": {},
    "an attribute": {"Attributes": {"Interests": inclusive("tea")}},
    "attribute and metric": {
        "Attributes": {"Interests": inclusive("tea", "chess")},
        "Metrics": {"score": {"ComparisonOperator": "GREATER_THAN", "Value": 50}},
    },
    "a user attribute": {"UserAttributes": {"age": inclusive("40")}},
    "platform and country": {
        "Demographic": {"Platform": inclusive("ios") | {"DimensionType": "INCLUSIVE"}},
        "Location": {"Country": {"DimensionType": "INCLUSIVE", "Values": ["NL"]}},
    },
    "active in 30 days": {"Behavior": {"Recency": {"Duration": "DAY_30", "RecencyType": "ACTIVE"}}},
}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ENDPOINTS
    with tempfile.TemporaryDirectory() as folder, house(Path(folder)) as room:
        app = set_up(room)
        write(room, app, count)
        for name, dimensions in SEGMENTS.items():
            for part in dimensions.get("Demographic", {}).values():
                part.pop("AttributeType", None)
            resolve(room, app, count, name, segment(room, app, dimensions))


def resolve(room: Engage, app: str, count: int, name: str, segment_id: str) -> None:
    with room.db.read() as conn:
        found = apps.by_id(conn, app)
        held = segments.find(conn, found, segment_id)
    members: list[int] = []
    took = timed(lambda: members.append(audience.count(room, found, held)))
    show(f"{name}: {members[0]:,}", count, took)
    print(f"{'':<32}{took.seconds:>10.2f} s wall {took.processor:>7.2f} s processor", flush=True)


def write(room: Engage, app: str, count: int) -> None:
    """Endpoints and people, by the shortest way."""
    with room.db.read() as conn:
        number = apps.by_id(conn, app).number
    body = room.db.sql(
        "INSERT INTO engage_endpoints (app, key, id, user_id, channel, address, opt_out, status,"
        " cohort, effective, created, body) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
    )
    person = room.db.sql("INSERT INTO engage_users (app, user_id, attributes) VALUES (?,?,?)")
    now = time.time()
    for start in range(0, count, ROWS_AT_ONCE):
        rows, people = [], []
        for n in range(start, min(count, start + ROWS_AT_ONCE)):
            e = endpoint(n)
            parts = ("Attributes", "Demographic", "Location", "Metrics")
            rows.append((
                number, e["Id"], e["Id"], e["User"]["UserId"], "EMAIL", e["Address"], "NONE",
                "ACTIVE", n % 100, now, now, room.db.dump({part: e[part] for part in parts}),
            ))  # fmt: skip
            values = room.db.dump(e["User"]["UserAttributes"])
            people.append((number, e["User"]["UserId"], values))
        with room.db.write() as conn:
            conn.exec_driver_sql(body, rows)
            conn.exec_driver_sql(person, people)


if __name__ == "__main__":
    main()
