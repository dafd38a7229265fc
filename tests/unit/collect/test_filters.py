"""Destination filters: sample, drop, drop properties, allow properties, in this order."""

from typing import Any

import pytest

from tailorbird.collect import Collect, destinations, filters
from tailorbird.errors import Invalid, LimitExceeded, NotFound
from tests.conftest import wait_for
from tests.unit.collect.conftest import Endpoints, entry, source_id

PAID = {"if": "traits.plan = 'pro'"}
DROP = {"type": "DROP"}
NO_EMAIL = {"type": "DROP_PROPERTIES", "fields": {"traits": ["email", "home.street"]}}
ONLY_PLAN = {"type": "ALLOW_PROPERTIES", "fields": {"traits": ["plan", "home.city"]}}
CALL = {
    "type": "identify",
    "messageId": "m1",
    "userId": "u1",
    "traits": {"plan": "pro", "email": "a@b", "home": {"city": "Rome", "street": "Via"}},
}


def run(*actions: dict[str, Any], condition: str = "all") -> tuple[Any, str | None]:
    rows = [{"condition": condition, "actions": [action]} for action in actions]
    return filters.applied(filters.steps(rows), CALL)


def connect(room: Collect) -> str:
    made = destinations.create(room, source_id(room), "Amazon Pinpoint", {"applicationId": "shop"})
    return str(made["id"])


def test_fields_are_dropped_and_the_rest_stays() -> None:
    assert run(NO_EMAIL)[0]["traits"] == {"plan": "pro", "home": {"city": "Rome"}}


def test_only_allowed_fields_stay() -> None:
    assert run(ONLY_PLAN)[0]["traits"] == {"plan": "pro", "home": {"city": "Rome"}}


def test_the_call_that_other_destinations_get_is_not_touched() -> None:
    run(NO_EMAIL, ONLY_PLAN)
    assert CALL["traits"]["email"] == "a@b"  # type: ignore[index]


def test_dropping_comes_before_allowing_whatever_was_made_first() -> None:
    both = {"type": "ALLOW_PROPERTIES", "fields": {"traits": ["email", "plan"]}}
    assert run(both, NO_EMAIL)[0]["traits"] == {"plan": "pro"}


def test_sampling_comes_before_dropping() -> None:
    assert run(DROP, {"type": "SAMPLE", "percent": 0})[1] == filters.SAMPLED


def test_a_condition_that_does_not_hold_changes_nothing() -> None:
    assert run(DROP, condition="type = 'track'") == (CALL, None)


def test_a_sample_keeps_its_share_and_people_whole() -> None:
    action = {"type": "SAMPLE", "percent": 0.25, "path": "userId"}
    kept = [filters.is_kept(action, {"userId": f"u{n}", "messageId": "x"}) for n in range(4000)]
    assert 900 < sum(kept) < 1100
    again = [filters.is_kept(action, {"userId": f"u{n}", "messageId": "y"}) for n in range(4000)]
    assert kept == again


def test_a_filtered_call_is_counted_and_the_others_arrive_trimmed(
    room: Collect, endpoints: Endpoints
) -> None:
    to = connect(room)
    filters.create(room, to, {"if": "traits.plan = 'free'", "actions": [{"type": "drop_event"}]})
    filters.create(
        room,
        to,
        {
            "if": "all",
            "actions": [{"type": "blocklist_fields", "fields": {"traits": {"fields": ["age"]}}}],
        },
    )
    room.log.append_and_wait(entry(room, 1, call_type="identify", traits={"plan": "free"}))
    room.log.append_and_wait(entry(room, 2, call_type="identify", traits={"plan": "pro", "age": 4}))
    assert endpoints.came.wait(10)
    assert endpoints.updates[0][2][0]["User"]["UserAttributes"] == {"plan": ["pro"]}
    shown = wait_for(lambda: destinations.overview(room, to)["reasons"], 5)
    assert ("filtered_at_destination", "destination_filter", 1) in [
        (row["step"], row["reason"], row["n"]) for row in shown
    ]


def test_a_filter_comes_changes_and_goes(room: Collect) -> None:
    to = connect(room)
    made = filters.create(room, to, {**PAID, "actions": [DROP], "title": "no pros"})
    assert filters.list_all(room, to) == [made]
    changed = filters.update(room, to, made["id"], {"enabled": False})
    assert (changed["enabled"], changed["condition"]) == (False, PAID["if"])
    filters.delete(room, to, made["id"])
    with pytest.raises(NotFound):
        filters.get(room, to, made["id"])


def test_a_destination_takes_ten_filters(room: Collect) -> None:
    to = connect(room)
    for _ in range(10):
        filters.create(room, to, {"if": "all", "actions": [DROP]})
    with pytest.raises(LimitExceeded):
        filters.create(room, to, {"if": "all", "actions": [DROP]})


WRONG: list[dict[str, Any]] = [
    {"actions": [DROP]},
    {"if": "all"},
    {"if": "all", "actions": []},
    {"if": "all", "actions": ["drop"]},
    {"if": "all", "actions": [{"type": "EXPLODE"}]},
    {"if": "all", "actions": [{"type": "SAMPLE", "percent": 1.5}]},
    {"if": "all", "actions": [{"type": "SAMPLE", "percent": True}]},
    {"if": "all", "actions": [{"type": "DROP_PROPERTIES", "fields": {"userId": ["x"]}}]},
    {"if": "all", "actions": [{"type": "DROP_PROPERTIES", "fields": {"traits": [3]}}]},
    {"if": "all", "actions": [DROP], "colour": "red"},
    {"if": "all", "actions": [DROP], "enabled": "yes"},
    {"if": "all", "actions": [DROP], "title": "x" * 256},
]


@pytest.mark.parametrize("given", WRONG)
def test_a_wrong_filter_is_refused_whole(room: Collect, given: dict[str, Any]) -> None:
    to = connect(room)
    with pytest.raises(Invalid):
        filters.create(room, to, given)
    assert filters.list_all(room, to) == []
