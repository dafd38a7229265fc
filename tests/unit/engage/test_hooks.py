"""The FILTER hook: what it is shown, what it may return, what becomes of a batch when it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from tailorbird.engage import hooks
from tailorbird.engage.returned import textual
from tailorbird.errors import Denied, NotFound, Throttled

ANA = {"ChannelType": "EMAIL", "Address": "ana@example.com", "User": {}}
BEN = {"ChannelType": "EMAIL", "Address": "ben@example.com", "User": {}}
BOTH = {"ana": ANA, "ben": BEN}


@dataclass
class Answer:
    payload: bytes
    function_error: str | None = None
    request_id: str = "req-1"


class Function:
    """A function that answers with what `body` returns, counting its calls."""

    def __init__(self, body: Callable[[dict[str, Any]], Any]) -> None:
        self.body = body
        self.calls = 0

    def __call__(self, payload: bytes) -> Answer:
        self.calls += 1
        returned = self.body(json.loads(payload))
        if isinstance(returned, Answer):
            return returned
        return Answer(returned if isinstance(returned, bytes) else orjson.dumps(returned))


def run(body: Callable[[dict[str, Any]], Any], **options: Any) -> tuple[hooks.Filtered, Function]:
    function = Function(body)
    event = hooks.event_of({"ActivityId": "a"}, BOTH)
    return hooks.filter_batch(function, event, pause=lambda _: None, **options), function


def test_the_payload_is_the_documented_one() -> None:
    run_ = hooks.run_of("app", "campaign", "0", "activity", 1_795_262_400.0, {"EmailMessage": {}})
    assert hooks.event_of(run_, BOTH) == {
        "MessageConfiguration": {"EmailMessage": {}},
        "ApplicationId": "app",
        "CampaignId": "campaign",
        "TreatmentId": "0",
        "ActivityId": "activity",
        "ScheduledTime": "2026-11-21T12:00:00.000Z",
        "Endpoints": BOTH,
    }


def test_attributes_are_absent_unless_the_setting_asks_for_them() -> None:
    assert "Attributes" not in hooks.event_of({}, BOTH)["Endpoints"]["ana"]
    shown = hooks.event_of({}, BOTH, empty_attributes=True)["Endpoints"]["ana"]
    assert shown == {"Attributes": {}, **ANA}


def test_an_endpoint_the_hook_leaves_out_is_not_kept() -> None:
    result, _ = run(lambda event: {"ben": event["Endpoints"]["ben"]})
    assert result.kept == {"ben": BEN}
    assert result.failure is None


def test_an_empty_map_keeps_nobody_and_is_no_failure() -> None:
    result, function = run(lambda event: {})
    assert (result.kept, result.failure, function.calls) == ({}, None, 1)


def test_the_returned_definition_replaces_the_stored_one() -> None:
    changed = {"ana": {"ChannelType": "EMAIL", "Address": "new@example.com"}}
    result, _ = run(lambda event: changed)
    assert result.kept == changed


def test_ids_that_were_not_asked_about_are_ignored() -> None:
    result, _ = run(lambda event: {**event["Endpoints"], "eve": ANA})
    assert result.kept == BOTH


def test_values_that_are_no_text_become_text() -> None:
    returned = {
        **ANA, "Attributes": {"CreditScore": [712], "Plan": "pro", "Gone": None},
        "User": {"UserId": "u", "UserAttributes": {"Vip": True}},
    }  # fmt: skip
    assert textual(returned)["Attributes"] == {"CreditScore": ["712"], "Plan": ["pro"]}
    assert textual(returned)["User"] == {"UserId": "u", "UserAttributes": {"Vip": ["true"]}}


UNDECODABLE = {
    "null": (b"null", "it is null"),
    "a text": (b'"done"', "it is str"),
    "a list": (b"[]", "it is list"),
    "not JSON": (b"{", "it is not JSON"),
    "nothing": (b"", "it is not JSON"),
    "the whole event": (orjson.dumps({"ApplicationId": "x", "Endpoints": BOTH}), "the map inside"),
    "a wrapped map": (orjson.dumps({"Endpoints": BOTH}), "the map inside"),
    "an HTTP answer": (
        orjson.dumps({"statusCode": 200, "body": json.dumps(BOTH)}),
        "'statusCode' is not an endpoint definition",
    ),
    "a text for an endpoint": (b'{"ana": "yes"}', "'ana' is not an endpoint definition"),
    "attributes in words": (b'{"ana": {"Attributes": "x"}}', "Attributes of endpoint 'ana'"),
}


@pytest.mark.parametrize("returned, words", UNDECODABLE.values(), ids=list(UNDECODABLE))
def test_what_cannot_be_decoded_is_tried_three_times_and_fails_the_batch(
    returned: bytes, words: str
) -> None:
    result, function = run(lambda event: returned)
    assert (result.kept, function.calls) == ({}, 3)
    assert words in str(result.failure)
    assert "attempt 3 of 3" in str(result.failure)
    assert [a.outcome for a in result.attempts] == ["undecodable"] * 3


LENIENT = ("the whole event", "a wrapped map", "an HTTP answer")


@pytest.mark.parametrize("name", LENIENT)
def test_the_lenient_setting_opens_wrapped_maps(name: str) -> None:
    result, function = run(lambda event: UNDECODABLE[name][0], lenient=True)
    assert (result.kept, result.failure, function.calls) == (BOTH, None, 1)


def test_a_function_that_recovers_in_time_is_used() -> None:
    answers = iter([Answer(b'{"errorMessage": "no", "errorType": "E"}', "Unhandled"), b"null"])
    result, function = run(lambda event: next(answers, event["Endpoints"]))
    assert (result.kept, result.failure, function.calls) == (BOTH, None, 3)
    assert [a.outcome for a in result.attempts] == ["error", "undecodable", "ok"]


def test_a_function_that_throws_says_so() -> None:
    error = Answer(b'{"errorType": "KeyError", "errorMessage": "\'Attributes\'"}', "Unhandled")
    result, function = run(lambda event: error)
    assert function.calls == 3
    assert "the function failed (KeyError: 'Attributes')" in str(result.failure)


def test_a_missing_permission_is_not_tried_again_and_names_the_command() -> None:
    def denied(event: dict[str, Any]) -> Any:
        raise Denied("not allowed; run: aws lambda add-permission --function-name f")

    result, function = run(denied)
    assert function.calls == 1
    assert result.failure == "not allowed; run: aws lambda add-permission --function-name f"
    assert [a.outcome for a in result.attempts] == ["denied"]


def test_a_missing_function_is_not_tried_again() -> None:
    def missing(event: dict[str, Any]) -> Any:
        raise NotFound("Function not found: f")

    result, function = run(missing)
    assert (function.calls, result.failure) == (1, "Function not found: f")


def test_a_busy_function_is_tried_again() -> None:
    def busy(event: dict[str, Any]) -> Any:
        raise Throttled("too many")

    assert run(busy)[1].calls == 3


def test_a_payload_over_six_megabytes_is_not_sent() -> None:
    big = {"ana": {"Attributes": {"x": ["y" * hooks.MAX_PAYLOAD_BYTES]}}}
    function = Function(lambda event: {})
    result = hooks.filter_batch(function, hooks.event_of({}, big))
    assert function.calls == 0
    assert "is the limit" in str(result.failure)


def test_an_answer_over_six_megabytes_fails_the_batch() -> None:
    result, _ = run(lambda event: b'"' + b"x" * hooks.MAX_PAYLOAD_BYTES + b'"')
    assert "is the limit" in str(result.failure)
