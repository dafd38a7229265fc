"""Types of destinations: which calls they take, what they make of them, and how they end."""

from typing import Any

import orjson
import pytest

from tailorbird.collect.catalog import amazon_lambda, amazon_pinpoint
from tailorbird.collect.catalog.definition import State
from tailorbird.errors import Denied, Invalid, LimitExceeded, NotFound, Throttled, Unavailable
from tailorbird.functions import Invocation

ONE = {"function": "f"}
PER_TYPE = {"trackFunction": "t", "identifyFunction": ""}
EVENTS = {"function": "f", "events": ["Product Added"]}

ROUTED: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    (ONE, {"type": "track", "event": "e"}, None),
    (ONE, {"type": "page"}, None),
    (ONE, {"type": "screen"}, "type_not_selected"),
    (PER_TYPE, {"type": "track", "event": "e"}, None),
    (PER_TYPE, {"type": "identify"}, "type_not_selected"),
    (PER_TYPE, {"type": "group"}, "type_not_selected"),
    ({**ONE, "identifyFunction": ""}, {"type": "identify"}, "type_not_selected"),
    (EVENTS, {"type": "track", "event": "Product Added"}, None),
    (EVENTS, {"type": "track", "event": "product added"}, "event_not_selected"),
    (EVENTS, {"type": "identify"}, None),
    ({**ONE, "events": ["*"]}, {"type": "track", "event": "anything"}, None),
    ({**ONE, "events": []}, {"type": "track", "event": "anything"}, "event_not_selected"),
]


@pytest.mark.parametrize(("settings", "call", "reason"), ROUTED)
def test_which_calls_a_lambda_destination_takes(
    settings: dict[str, Any], call: dict[str, Any], reason: str | None
) -> None:
    assert amazon_lambda.refuses(settings, call) == reason


def test_a_function_of_its_own_wins_over_the_common_one() -> None:
    settings = {"function": "common", "trackFunction": "own"}
    assert amazon_lambda.function_for(settings, "track") == "own"
    assert amazon_lambda.function_for(settings, "page") == "common"


def failed(error_type: str, **changes: Any) -> Invocation:
    payload = orjson.dumps({"errorType": error_type, "errorMessage": "it broke"})
    return Invocation(200, payload, "Unhandled", None, "$LATEST", "id", 1.0)


ENDED = [
    ("ValueError", False, State.FAILED, "Execution Error"),
    ("ValueError", True, State.WAITING, "Execution Error"),
    ("RetryError", False, State.WAITING, "Execution Error"),
    ("Sandbox.Timedout", False, State.WAITING, "Operation timedout"),
    ("Caller.TimedOut", False, State.WAITING, "Operation timedout"),
]


@pytest.mark.parametrize(("error_type", "retries", "state", "reason"), ENDED)
def test_how_a_function_error_ends(
    error_type: str, retries: bool, state: State, reason: str
) -> None:
    result = amazon_lambda._failed(failed(error_type), retries)
    assert (result.state, result.reason) == (state, reason)
    assert result.message == f"{error_type}: it broke"


REFUSED = [
    (Denied("no"), State.FAILED, "Accessdenied"),
    (NotFound("no"), State.FAILED, "INVALID_SETTINGS"),
    (Invalid("no"), State.FAILED, "INVALID_SETTINGS"),
    (Throttled("later"), State.WAITING, "429"),
    (LimitExceeded("later"), State.WAITING, "429"),
    (Unavailable("away"), State.WAITING, "503"),
]


@pytest.mark.parametrize(("error", "state", "reason"), REFUSED)
def test_how_an_invocation_that_was_refused_ends(error: Any, state: State, reason: str) -> None:
    result = amazon_lambda._refused(error)
    assert (result.state, result.reason, result.message) == (state, reason, error.message)


def test_traits_become_lists_of_texts() -> None:
    traits = {
        "email": "a@b.c",
        "plan": "pro",
        "age": 7,
        "score": 1.5,
        "vip": True,
        "gone": None,
        "recommended_products": ["p1", 2, None],
        "address": {"city": "Bremen", "geo": {"lat": 53.1}},
    }
    assert amazon_pinpoint.attributes(traits) == {
        "plan": ["pro"],
        "age": ["7"],
        "score": ["1.5"],
        "vip": ["true"],
        "gone": [],
        "recommended_products": ["p1", "2"],
        "address_city": ["Bremen"],
        "address_geo_lat": ["53.1"],
    }


def test_the_email_trait_is_the_address_of_the_endpoint() -> None:
    call = {"type": "identify", "userId": "u", "traits": {"email": "a@b.c", "n": "Ann"}}
    assert amazon_pinpoint.endpoint({}, call) == {
        "Id": "u",
        "ChannelType": "EMAIL",
        "Address": "a@b.c",
        "User": {"UserId": "u", "UserAttributes": {"n": ["Ann"]}},
    }


def test_an_endpoint_has_no_nul_characters() -> None:
    call = {"type": "identify", "userId": "u\0", "traits": {"email": "a\0@b.c", "n\0": ["\0x"]}}
    assert "\\u0000" not in orjson.dumps(amazon_pinpoint.endpoint({}, call)).decode()


@pytest.mark.parametrize(
    ("field", "expected"), [("userId", "u"), ("anonymousId", "a"), ("email", "a@b.c")]
)
def test_the_endpoint_id_is_a_choice(field: str, expected: str) -> None:
    call = {"type": "identify", "userId": "u", "anonymousId": "a", "traits": {"email": "a@b.c"}}
    assert amazon_pinpoint.endpoint({"endpointId": field}, call)["Id"] == expected
