"""Bad input at the tracking API, one promise each, and the outcome that is stated for it.

A destination that is down for hours is in tests/unit/collect/test_delivery.py (it is tried for four
hours, and slows no other), a broken archive or warehouse extract in the tests of prepare.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.conftest import Server
from tests.wire.segment_client import Answer, basic, kept, new_source, public, reasons, send

FIRST = {"type": "track", "userId": "u", "event": "Product Added", "messageId": "first"}
LAST = {**FIRST, "messageId": "last"}
BIG = {f"p{n}": n for n in range(10_001)}


@dataclass(frozen=True)
class Outcome:
    """What becomes of a bad call between two good ones: dropped for a reason, or kept as this."""

    dropped: str = ""
    as_this: dict[str, Any] = field(default_factory=dict)


def between(call: str) -> str:
    return f'{{"batch":[{json.dumps(FIRST)},{call},{json.dumps(LAST)}]}}'


def track(**members: Any) -> str:
    return json.dumps({"type": "track", "userId": "u", "event": "e", "messageId": "odd"} | members)


# a bad call among good ones: the request is answered 200, as from Segment, and the good ones stay
CALLS: dict[str, tuple[str, Outcome]] = {
    "null": ("null", Outcome("bad_request")),
    "a list": ("[1, 2]", Outcome("bad_request")),
    "a text": ('"track"', Outcome("bad_request")),
    "an event that is a number": (track(event=7), Outcome("event_not_string")),
    "an event that is null": (track(event=None), Outcome("event_not_defined")),
    "a user that is a number": (track(userId=7), Outcome("id_not_string")),
    "a user that is null": (track(userId=None), Outcome("no_user_anon_id")),
    "nobody": (track(userId=""), Outcome("no_user_anon_id")),
    "properties that are a list": (track(properties=[]), Outcome("properties_not_object")),
    "properties that are null": (track(properties=None), Outcome(as_this={"properties": None})),
    "traits that are a text": (
        track(type="identify", traits="x"), Outcome("traits_not_object")),
    "10,001 properties": (track(properties=BIG), Outcome("message_too_large")),
    "10,001 small properties": (
        track(properties=dict.fromkeys(map(hex, range(10_001)))), Outcome("message_too_large")),
    "more than 32 KiB": (track(properties={"x": "y" * 33_000}), Outcome("message_too_large")),
    "a number beyond every float": (
        track(properties={"n": 1}).replace('"n": 1', '"n": 1e999'), Outcome("bad_request")),
    "a type there is not": (track(type="order"), Outcome("bad_request")),
    "an id of 101 characters": (track(messageId="m" * 101), Outcome("bad_request")),
    "a NUL in an id": (track(messageId="a\0b"), Outcome("bad_request")),
    "a lone surrogate": (
        track().replace('"e"', '"caf\\ud800"'), Outcome(as_this={"event": "caf\ufffd"})),
    "a lone surrogate in a name": (
        track(properties={"x": 1}).replace('"x"', '"\\udfff"'),
        Outcome(as_this={"properties": {"\ufffd": 1}})),
    "an offset": (
        track(timestamp="2026-01-02T03:04:05+05:30"),
        Outcome(as_this={"originalTimestamp": "2026-01-01T21:34:05.000Z"})),
    "no zone": (
        track(timestamp="2026-01-02T03:04:05"),
        Outcome(as_this={"originalTimestamp": "2026-01-02T03:04:05.000Z"})),
    "microseconds": (
        track(timestamp="2026-01-02T03:04:05.123987Z"),
        Outcome(as_this={"originalTimestamp": "2026-01-02T03:04:05.123Z"})),
    "a time of the year 2100": (
        track(timestamp="2100-01-01T00:00:00Z"),
        Outcome(as_this={"originalTimestamp": "2100-01-01T00:00:00.000Z"})),
    "a time that is none": (track(timestamp="yesterday"), Outcome(as_this={"event": "e"})),
    "a leap second": (track(timestamp="2016-12-31T23:59:60Z"), Outcome(as_this={"event": "e"})),
}  # fmt: skip


@pytest.fixture
def source(server: Server, request: pytest.FixtureRequest) -> dict[str, Any]:
    return new_source(server, "bad-" + str(abs(hash(request.node.name))))


def post(server: Server, source: dict[str, Any], body: bytes | str, **headers: str) -> Answer:
    """Ids count once in the whole house: the source's id stands before each of a text."""
    if isinstance(body, str):
        body = body.replace('"messageId": "', f'"messageId": "{source["id"]}-')
    given = {"Authorization": basic(source["writeKeys"][0]), **headers}
    return send(server, "POST", "/v1/batch", body, **given)


def found_of(server: Server, source: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is kept of the source, by the message's id as the test wrote it."""
    return {line["messageId"].rpartition("-")[2]: line for line in kept(server, source)}


@pytest.mark.parametrize("case", CALLS)
def test_a_bad_call_has_a_stated_end_and_its_neighbours_are_kept(
    server: Server, source: dict[str, Any], case: str
) -> None:
    call, outcome = CALLS[case]
    assert post(server, source, between(call)).status == 200
    found = found_of(server, source)
    assert {"first", "last"} <= set(found)
    assert reasons(server, source) == ({outcome.dropped: 1} if outcome.dropped else {})
    if outcome.dropped:
        assert len(found) == 2
    else:
        odd = found["odd"]
        assert {name: odd[name] for name in outcome.as_this} == outcome.as_this


# a request that cannot be read is refused whole with 400, so that its sender knows
REQUESTS: dict[str, tuple[bytes, dict[str, str], str]] = {
    "malformed JSON": (between("{broken}").encode(), {}, "malformed JSON: line 1 column"),
    "JSON that breaks off": (between("{}").encode()[:-2], {}, "malformed JSON"),
    "lines of JSON": (b'{"batch":[]}\n{"batch":[]}', {}, "malformed JSON: line 2"),
    "nothing": (b"", {}, "malformed JSON"),
    "truncated gzip": (
        gzip.compress(between("{}").encode())[:-9], {"Content_Encoding": "gzip"}, "breaks off"),
    "gzip that is none": (b"{}", {"Content_Encoding": "gzip"}, "is not gzip"),
    "a batch that is no list": (b'{"batch":{}}', {}, '"batch"'),
}  # fmt: skip


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_that_cannot_be_read_is_refused_whole_with_the_place(
    server: Server, source: dict[str, Any], case: str
) -> None:
    body, headers, says = REQUESTS[case]
    answer = post(server, source, body, **headers)
    assert (answer.status, answer.body["success"]) == (400, False)
    assert says in answer.body["message"]
    assert kept(server, source) == []


def test_a_message_id_counts_once_in_a_batch_and_in_the_next_one(
    server: Server, source: dict[str, Any]
) -> None:
    body = json.dumps({"batch": [FIRST, FIRST, LAST]})
    for _ in range(2):
        assert post(server, source, body).status == 200
    assert len(kept(server, source)) == 2
    assert set(found_of(server, source)) == {"first", "last"}


def test_calls_with_an_unknown_write_key_are_counted_and_kept_nowhere(server: Server) -> None:
    def counted() -> int:
        rows = public(server, "GET", "/sources/unknown/counts")["reasons"]
        return sum(row["n"] for row in rows if row["reason"] == "unknown_source")

    before = counted()
    nobody = {"id": "nobody", "writeKeys": ["nobody"]}
    assert post(server, nobody, json.dumps({"batch": [FIRST, LAST]})).body == {"success": True}
    assert counted() == before + 2
