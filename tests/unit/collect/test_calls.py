"""What Segment takes, what it refuses, and the form it keeps."""

from datetime import datetime
from typing import Any

import msgspec
import pytest

from tailorbird.collect.calls import Receipt, Refusal, accept

RECEIVED = datetime(2026, 11, 21, 12, 0, 0, 123456)
TRACK = {"type": "track", "userId": "u", "event": "Product Added"}


def receipt(**given: Any) -> Receipt:
    return Receipt("source", "key", RECEIVED, **given)


def kept(call: dict[str, Any], **given: Any) -> dict[str, Any]:
    return dict(msgspec.json.decode(accept(dict(call), receipt(**given)).line))


REFUSED = [
    ({"event": "e"}, "no_user_anon_id"),
    ({"event": "e", "userId": "", "anonymousId": None}, "no_user_anon_id"),
    ({"event": "e", "userId": 7}, "id_not_string"),
    ({"event": "e", "anonymousId": ["a"]}, "id_not_string"),
    ({"userId": "u"}, "event_not_defined"),
    ({"userId": "u", "event": ""}, "event_not_defined"),
    ({"userId": "u", "event": 3}, "event_not_string"),
    ({"userId": "u", "event": "e", "properties": "x"}, "properties_not_object"),
    ({"userId": "u", "event": "e", "context": []}, "bad_request"),
    ({"userId": "u", "event": "e", "integrations": True}, "bad_request"),
    ({"userId": "u", "event": "e", "messageId": 5}, "bad_request"),
    ({"userId": "u", "event": "e", "messageId": "m" * 101}, "bad_request"),
    ({"userId": "u", "event": "e", "messageId": "a\0b"}, "bad_request"),
    (
        {"userId": "u", "event": "e", "properties": dict.fromkeys(map(str, range(10_001)))},
        "bad_request",
    ),
    ({"type": "identify", "userId": "u", "traits": [1]}, "traits_not_object"),
    ({"type": "page", "userId": "u", "name": 1}, "name_not_string"),
    ({"type": "screen", "userId": "u", "category": {}}, "category_not_string"),
    ({"type": "group", "userId": "u"}, "id_required"),
    ({"type": "group", "userId": "u", "groupId": 5}, "id_not_string"),
    ({"type": "alias", "userId": "u"}, "id_required"),
    ({"type": "alias", "anonymousId": "a", "previousId": "p"}, "id_required"),
    ({"type": "order", "userId": "u"}, "bad_request"),
    ({"type": None, "userId": "u"}, "bad_request"),
]


@pytest.mark.parametrize(("call", "reason"), REFUSED)
def test_a_call_that_breaks_a_rule_is_refused_with_segments_code(
    call: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Refusal) as refused:
        accept({"type": "track", **call}, receipt())
    assert refused.value.reason == reason


TAKEN = [
    TRACK,
    {**TRACK, "userId": None, "anonymousId": "a"},
    {**TRACK, "messageId": "m" * 100},
    {**TRACK, "properties": None, "context": None, "integrations": None},
    {"type": "alias", "userId": "u", "previousId": "p"},
    {"type": "group", "userId": "u", "groupId": "g", "traits": {}},
    {"type": "page", "anonymousId": "a", "name": None},
    {"type": "identify", "userId": "u"},
]


@pytest.mark.parametrize("call", TAKEN)
def test_a_call_within_the_rules_is_kept_as_it_was_sent(call: dict[str, Any]) -> None:
    found = kept(call)
    assert {name: found[name] for name in call} == call


@pytest.mark.parametrize("call", ["text", 3, None, ["list"]])
def test_something_that_is_no_object_is_refused(call: Any) -> None:
    with pytest.raises(Refusal, match="a call is a JSON object"):
        accept(call, receipt())


TIMES = [
    # sent by the client, sentAt -> timestamp, originalTimestamp, sentAt as kept
    (None, None, "12:00:00.123Z", "12:00:00.123Z", "12:00:00.123Z"),
    ("2026-11-21T11:59:50Z", None, "11:59:50.000Z", "11:59:50.000Z", "12:00:00.123Z"),
    # a clock that is an hour early is set right
    (
        "2026-11-21T10:59:58.000Z",
        "2026-11-21T11:00:00.000Z",
        "11:59:58.123Z",
        "10:59:58.000Z",
        "11:00:00.000Z",
    ),
    (
        "2026-11-21T13:00:00+01:00",
        "2026-11-21T13:00:00.9999+01:00",
        "11:59:59.123Z",
        "12:00:00.000Z",
        "12:00:00.999Z",
    ),
    ("2026-11-21T11:00:00", None, "11:00:00.000Z", "11:00:00.000Z", "12:00:00.123Z"),
    ("yesterday", "2026-11-21T11:00:00Z", "12:00:00.123Z", "11:00:00.000Z", "11:00:00.000Z"),
    (1_795_262_400, None, "12:00:00.123Z", "12:00:00.123Z", "12:00:00.123Z"),
    ("2026-11-21t11:00:00.5z", None, "11:00:00.500Z", "11:00:00.500Z", "12:00:00.123Z"),
    # a call from the future stays there
    (
        "2026-11-21T12:59:00Z",
        "2026-11-21T12:00:00Z",
        "12:59:00.123Z",
        "12:59:00.000Z",
        "12:00:00.000Z",
    ),
]


@pytest.mark.parametrize(("timestamp", "sent_at", "moment", "original", "sent"), TIMES)
def test_the_four_timestamps_are_canonical_and_the_clients_clock_is_set_right(
    timestamp: Any, sent_at: Any, moment: str, original: str, sent: str
) -> None:
    found = kept({**TRACK, "timestamp": timestamp}, sent_at=sent_at)
    day = "2026-11-21T"
    assert found["timestamp"] == day + moment
    assert found["originalTimestamp"] == day + original
    assert found["sentAt"] == day + sent
    assert found["receivedAt"] == day + "12:00:00.123Z"


def test_what_segment_adds_at_receipt() -> None:
    found = kept(TRACK)
    assert found["messageId"].startswith("api-")
    assert len(found["messageId"]) == 31
    assert (found["version"], found["projectId"], found["writeKey"]) == (2, "source", "key")
    assert found["channel"] == "server"


def test_context_and_integrations_of_the_batch_stand_under_those_of_the_call() -> None:
    found = kept(
        {**TRACK, "context": {"b": 2}, "integrations": {"All": False}},
        context={"a": 1, "b": 1},
        integrations={"All": True, "Amazon Pinpoint": True},
    )
    assert found["context"] == {"a": 1, "b": 2}
    assert found["integrations"] == {"All": False, "Amazon Pinpoint": True}


@pytest.mark.parametrize(
    ("context", "client", "ip"),
    [
        (None, False, None),
        ({"direct": True}, False, "10.0.0.1"),
        (None, True, "10.0.0.1"),
        ({"ip": "1.2.3.4"}, True, "1.2.3.4"),
    ],
)
def test_the_callers_address_is_kept_for_client_side_calls_only(
    context: Any, client: bool, ip: str | None
) -> None:
    call = TRACK if context is None else {**TRACK, "context": context}
    found = kept(call, client=client, ip="10.0.0.1")
    assert (found.get("context") or {}).get("ip") == ip
