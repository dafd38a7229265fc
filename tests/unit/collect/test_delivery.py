"""Delivery: every call ends once, in one state with a reason, whatever the destination does."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tailorbird.collect import Collect, destinations
from tailorbird.errors import Invalid, NotFound, Unavailable
from tests.conftest import wait_for
from tests.unit.collect.conftest import Endpoints, entry, source_id

PINPOINT = "Amazon Pinpoint"


def connect(room: Collect, **settings: Any) -> str:
    made = destinations.create(
        room, source_id(room), PINPOINT, {"applicationId": "shop", **settings}
    )
    return str(made["id"])


def identify(room: Collect, *numbers: int, **fields: Any) -> None:
    fields.setdefault("traits", {"plan": "pro"})
    room.log.append_and_wait(entry(room, *numbers, call_type="identify", **fields))


def steps(room: Collect, destination: str) -> dict[str, int]:
    return dict(destinations.overview(room, destination)["steps"])


def ended(room: Collect, destination: str, step: str, n: int) -> bool:
    return bool(wait_for(lambda: steps(room, destination)[step] == n, 10))


def test_a_call_reaches_the_destination_and_is_counted(room: Collect, endpoints: Endpoints) -> None:
    to = connect(room)
    identify(room, 1)
    assert ended(room, to, "successful_delivery", 1)
    [(account, application, [endpoint])] = endpoints.updates
    assert (account, application) == ("123456789012", "shop")
    assert endpoint["User"] == {"UserId": "u1", "UserAttributes": {"plan": ["pro"]}}


def test_calls_from_before_the_destination_was_made_are_not_sent(
    room: Collect, endpoints: Endpoints
) -> None:
    identify(room, 1)
    to = connect(room)
    identify(room, 2)
    assert ended(room, to, "successful_delivery", 1)
    assert endpoints.updates[0][2][0]["Id"] == "u2"


FILTERED: list[tuple[str, dict[str, Any], str]] = [
    ("page", {}, "type_not_selected"),
    ("identify", {"integrations": {"All": False}}, "integrations_disabled"),
    ("identify", {"integrations": {PINPOINT: False}}, "integrations_disabled"),
    ("identify", {"userId": None, "anonymousId": "a"}, "no_endpoint_id"),
]


@pytest.mark.parametrize(("call_type", "fields", "reason"), FILTERED)
def test_a_call_that_is_not_for_the_destination_is_counted_with_the_reason(
    room: Collect, call_type: str, fields: dict[str, Any], reason: str
) -> None:
    to = connect(room)
    room.log.append_and_wait(entry(room, 1, call_type=call_type, **fields))
    assert ended(room, to, "filtered_at_destination", 1)
    assert [row["reason"] for row in destinations.overview(room, to)["reasons"]] == [reason]


def test_an_integration_named_true_is_sent_though_all_others_are_off(room: Collect) -> None:
    to = connect(room)
    identify(room, 1, integrations={"All": False, PINPOINT: True})
    assert ended(room, to, "successful_delivery", 1)


def test_a_refused_call_fails_at_once_and_costs_no_other(
    room: Collect, endpoints: Endpoints
) -> None:
    endpoints.fail = Invalid("endpoint has too many attributes")
    to = connect(room)
    identify(room, 1, 2)
    assert ended(room, to, "failed_delivery", 2)
    sample = destinations.overview(room, to)["samples"][0]
    assert (sample["reason"], sample["message"]) == ("400", "endpoint has too many attributes")
    assert orjson.loads(sample["payload"])["type"] == "identify"


def test_a_destination_that_is_away_is_tried_again_until_it_is_back(
    room: Collect, endpoints: Endpoints
) -> None:
    endpoints.fail = Unavailable("the application is away")
    to = connect(room)
    identify(room, 1)
    assert ended(room, to, "retried", 1)
    assert steps(room, to)["pending"] == 1
    endpoints.fail = None
    room.clock.advance(2)  # type: ignore[attr-defined]
    assert ended(room, to, "successful_delivery", 1)
    assert steps(room, to)["pending"] == 0


def test_after_four_hours_a_call_is_given_up_with_the_last_reason(
    room: Collect, endpoints: Endpoints
) -> None:
    endpoints.fail = Unavailable("the application is away")
    to = connect(room)
    identify(room, 1)
    assert ended(room, to, "retried", 1)
    room.clock.advance(4 * 3600)  # type: ignore[attr-defined]
    assert ended(room, to, "failed_delivery", 1)
    sample = destinations.overview(room, to)["samples"][0]
    assert sample["reason"] == "expired: 503"
    assert "given up after 4 hours" in sample["message"]


def test_a_destination_that_is_away_slows_no_other(room: Collect, endpoints: Endpoints) -> None:
    away, well = connect(room, applicationId="away"), connect(room, applicationId="well")
    update = room.update_endpoints

    def choosy(account: str, application: str, items: list[dict[str, Any]]) -> None:
        if application == "away":
            raise Unavailable("away")
        update(account, application, items)

    room.update_endpoints = choosy
    for n in range(5):
        identify(room, n)
    assert ended(room, well, "successful_delivery", 5)
    assert steps(room, away)["successful_delivery"] == 0


def test_a_restart_goes_on_where_delivery_was(
    make_room: Callable[..., Collect], endpoints: Endpoints
) -> None:
    first = make_room()
    first.start()
    endpoints.fail = Unavailable("away")
    to = connect(first)
    identify(first, 1, 2)
    assert ended(first, to, "retried", 2)
    first.stop()
    endpoints.fail = None
    second = make_room()
    second.clock.advance(5)  # type: ignore[attr-defined]
    second.start()
    identify(second, 3)
    assert ended(second, to, "successful_delivery", 3)
    sent = sorted(item["Id"] for _, _, items in endpoints.updates for item in items)
    assert sent == ["u1", "u2", "u3"]


def test_calls_of_the_time_a_destination_was_disabled_are_not_sent(
    room: Collect, endpoints: Endpoints
) -> None:
    to = connect(room)
    destinations.update(room, to, enabled=False)
    identify(room, 1)
    destinations.update(room, to, enabled=True)
    identify(room, 2)
    assert ended(room, to, "successful_delivery", 1)
    assert endpoints.updates[0][2][0]["Id"] == "u2"


def test_changed_settings_hold_from_then_on(room: Collect, endpoints: Endpoints) -> None:
    to = connect(room)
    destinations.update(room, to, settings={"applicationId": "other"})
    identify(room, 1)
    assert ended(room, to, "successful_delivery", 1)
    assert endpoints.updates[0][1] == "other"


def test_a_deleted_destination_is_gone(room: Collect) -> None:
    to = connect(room)
    destinations.delete(room, to)
    identify(room, 1)
    with pytest.raises(NotFound, match=to):
        destinations.get(room, to)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("Amazon Pinpoint", {}, "needs the setting 'applicationId'"),
    ("Amazon Pinpoint", {"applicationId": 5}, "a text is right"),
    ("Amazon Pinpoint", {"applicationId": "a", "color": "x"}, "has no setting 'color'"),
    ("Amazon Pinpoint", {"applicationId": "a", "endpointId": "phone"}, "one of userId"),
    ("Amazon Lambda", {"function": "f"}, "needs the setting 'roleAddress'"),
    ("Amazon Lambda", {"roleAddress": "arn:aws:iam::123456789012:role/r"}, "give a function"),
    ("Amazon Lambda", {"function": "f", "roleAddress": "r"}, "roleAddress is 'r'"),
    (
        "Amazon Personalize",
        {"function": "f", "roleAddress": "arn:aws:iam::1:role/r", "logType": "All"},
        "one of None, Tail",
    ),
]


@pytest.mark.parametrize(("kind", "given", "what"), WRONG)
def test_wrong_settings_are_refused_by_name(
    room: Collect, kind: str, given: dict[str, Any], what: str
) -> None:
    with pytest.raises(Invalid, match=what):
        destinations.create(room, source_id(room), kind, given)


def test_an_unknown_type_of_destination_is_refused_with_those_there_are(room: Collect) -> None:
    with pytest.raises(NotFound, match=r"'Amazon Lambda', 'Amazon Personalize', .*'Webhooks'"):
        destinations.create(room, source_id(room), "Mixpanel", {})
