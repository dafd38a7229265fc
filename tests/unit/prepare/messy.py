"""Lines as archives really hold them: every way of being wrong that was met, and a few more."""

from __future__ import annotations

import json
from typing import Any

GOOD: dict[str, Any] = {
    "type": "track",
    "messageId": "m",
    "event": "Product Added",
    "userId": "u1",
    "anonymousId": "a1",
    "properties": {"sku": "s1", "price": 1.5},
    "timestamp": "2026-11-01T10:00:00.700Z",
}

TIMESTAMPS = [
    "2026-11-01T10:00:00.000Z",
    "2026-11-01T10:00:00Z",
    "2026-11-01T10:00:00.999999999Z",
    "2026-11-01T10:00:00+02:00",
    "2026-11-01T10:00:00.5-0530",
    "2026-11-01T10:00:00+01",
    "2026-11-01T10:00:00",
    "2026-11-01 10:00:00",
    "2026-11-01T10:00",
    "1969-12-31T23:59:59.500Z",
    "2026-02-30T10:00:00.000Z",
    "2026-13-01T10:00:00.000Z",
    "2026-11-01T24:00:00.000Z",
    "2026-11-01T10:00:60.000Z",
    "2026-11-01T10:00:00+25:00",
    "2026-11-01",
    "yesterday",
    "",
    1_793_527_200,
    1_793_527_200.5,
    None,
    True,
    ["2026-11-01T10:00:00Z"],
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "1969-12-31T23:59:59.999Z",
    "1970-01-01T00:00:00.000Z",
    "5138-11-16T09:46:39.999Z",
    "5138-11-16T09:46:40.000Z",
]

IDS: list[Any] = [
    "u",
    "",
    " ",
    0,
    7,
    -7,
    12345678901234567890,
    1.5,
    1e3,
    True,
    None,
    {},
    {"id": "u"},
    [],
    ["u"],
    "ü€𐍈",
    'a"b,c\nd',
    "a\\b",
    "null",
    "007",
    "7 ",
    "=1+1",
    "\r\n",
    "\u2028",
    "'; DROP TABLE x; --",
    "a\tb",
    "x" * 256,
    "ü" * 257,
]

PROPERTIES: list[Any] = [
    {},
    None,
    "sku",
    ["sku"],
    5,
    {"sku": None, "product_id": "p"},
    {"sku": "", "product_id": 9},
    {"product_id": "p", "id": "i"},
    {"id": "i"},
    {"sku": "s", "products": []},
    {"sku": "s", "products": None},
    {"sku": "s", "products": "p1"},
    {"sku": "s", "products": {"sku": "x"}},
    {"products": [{"sku": "p1"}, {"product_id": "p2"}, {"sku": "p3", "product_id": "p4"}]},
    {"products": [{"sku": "p1"}, {}, 5, None, "p", {"sku": ["x"]}, [{"sku": "deep"}]]},
    {"sku": "flat", "products": [{"sku": "p1"}]},
    {"SKU": "upper"},
    {"a.sku": "dotted", "sku": {"sku": "nested"}},
    {"sku": "s", "price": 19.5, "n": 3, "b": True, "text": "two\nlines"},
    {"sku": "s", "price": 20, "n": 3.0, "b": "true", "text": 1e21},
    {"sku": "s", "price": "19.5", "n": "3", "b": 1, "text": False},
    {"sku": "s", "price": -0.0, "n": 12345678901234567890, "b": None, "text": {"a": 1}},
    {"sku": "s", "price": 5e-324, "n": -1, "b": False, "text": ""},
    {
        "products": [{"sku": "p1", "price": 5, "n": "x"}, {"product_id": 2, "price": "5"}],
        "price": 9,
    },
    {"id": "flat", "products": [{"product_id": "p2"}]},
    {"sku": "s", "text": "ü" * 1200},
]

EVENTS: list[Any] = [
    "Order Completed",
    "Product Viewed",
    "Product Clicked",
    "product added",
    "Signed Up",
    "",
    None,
    5,
    ["Product Added"],
]

RAW = [
    b"",
    b"   ",
    b"null",
    b"42",
    b'"text"',
    b"[1,2]",
    b"{}",
    b'{"other":1}',
    b"garbage{",
    b'{"event":"Product Added","userId":"u1","userId',
    b"\xff\xfe",
    b'{"event":"Product Added","userId":"u1","properties":{"sku":"s","t":"\xff"},'
    b'"timestamp":"2026-11-01T10:00:00.000Z"}',
    b'{"event":"Product Added","userId":"u1","properties":{"sku":"s","t":"tab\there"},'
    b'"timestamp":"2026-11-01T10:00:00.000Z"}',
    b'{"event":"Product Added","userId":"u1","properties":{"sku":"s","t":"\\ud83d"},'
    b'"timestamp":"2026-11-01T10:00:00.000Z"}',
    b'{"\\u0065vent":"Product \\u0041dded","userId":"u1","properties":{"s\\u006bu":"s"},'
    b'"timestamp":"2026-11-01T10:00:00.000Z"}',
    b'{"event":"Product Added","userId":"u1","properties":{"sku":"\\ud83d\\ude00","n":1e999},'
    b'"timestamp":"2026-11-01T10:00:00.000Z"}',
    b'  {"event" : "Product Added" , "userId":"u1","properties":{"sku":"spaced"},'
    b'"timestamp":"2026-11-01T10:00:00.000Z"}\r',
    b'{"event":"Product Added","userId":"u1"',
    b'{"event":"caf\\ud800","userId":"u1"}',
    b'{"event":null,"userId":null,"anonymousId":null,"properties":null,"timestamp":null}',
    b'{"type":"identify","userId":"u1","traits":{"a":1},"timestamp":"2026-11-01T10:00:00.000Z"}',
]


def people() -> list[dict[str, Any]]:
    """Identify calls: of one person several, out of order, at once, and with odd traits."""
    traits: list[Any] = [
        {"age": 31, "plan": "free"},
        {"plan": "gold"},
        {"plan": None, "age": None},
        {"plan": "", "age": "32", "member": True},
        {"plan": ["a"], "score": 1.5},
        None,
        "traits",
        {"address": {"city": "Zürich"}, "odd.name": "dotted", "plan": 'quote " and, comma'},
    ]
    calls = [
        {
            "type": "identify",
            "userId": user,
            "traits": value,
            "timestamp": f"2026-11-{day:02}T10:00:00.{day:03}Z",
        }
        for day, (user, value) in enumerate(
            ((user, value) for user in ("ann", "ben", 7, None) for value in traits), 1
        )
        if day < 29
    ]
    late = {**calls[0], "traits": {"plan": "older"}, "timestamp": "2026-01-01T00:00:00Z"}
    same = [{**calls[1], "traits": {"plan": plan}} for plan in ("zebra", "apple")]
    return [*calls, late, *same, {**calls[0], "type": "group"}, {**calls[0], "timestamp": "now"}]


def lines() -> list[bytes]:
    """All of them, each as one line of an archive file."""
    calls = [
        *({**GOOD, "timestamp": value} for value in TIMESTAMPS),
        *({**GOOD, "userId": value} for value in IDS),
        *({**GOOD, "anonymousId": value} for value in IDS),
        *({**GOOD, "properties": {"sku": value}} for value in IDS),
        *({**GOOD, "properties": value} for value in PROPERTIES),
        *({**GOOD, "event": value} for value in EVENTS),
        *({name: GOOD[name] for name in GOOD if name != missing} for missing in GOOD),
        {**GOOD, "properties": {"sku": "big", "note": "x" * 40_000}},
        {**GOOD, "properties": {"sku": "huge", "note": "x" * 3_000_000}},
        *people(),
        *[GOOD] * 3,  # a call that came three times
    ]
    return [json.dumps(call).encode() for call in calls] + RAW
