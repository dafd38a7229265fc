"""Segments as things: versions, counts over endpoints, what refers to what."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.clock import TestClock
from tailorbird.engage import Engage, app_events, apps, audience, segments
from tailorbird.errors import Invalid, NotFound
from tests.unit.engage.conftest import CALLER, put


def create(room: Engage, app_id: str, **wanted: Any) -> dict[str, Any]:
    request = {"ApplicationId": app_id, "WriteSegmentRequest": wanted}
    return dict(segments.create_segment(room, CALLER, request)["SegmentResponse"])


def update(room: Engage, made: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    request = {
        "ApplicationId": made["ApplicationId"], "SegmentId": made["Id"],
        "WriteSegmentRequest": wanted,
    }  # fmt: skip
    return dict(segments.update_segment(room, CALLER, request)["SegmentResponse"])


def count(room: Engage, made: dict[str, Any]) -> int:
    with room.db.read() as conn:
        app = apps.by_id(conn, made["ApplicationId"])
        held = segments.find(conn, app, made["Id"], made["Version"])
    return audience.count(room, app, held)


def likes(*values: str) -> dict[str, Any]:
    return {"Attributes": {"likes": {"AttributeType": "INCLUSIVE", "Values": list(values)}}}


TIER = {"UserAttributes": {"tier": {"AttributeType": "INCLUSIVE", "Values": ["gold"]}}}


@pytest.fixture
def people(engage: Engage, app_id: str) -> None:
    gold = {"UserId": "u", "UserAttributes": {"tier": ["gold"]}}
    put(
        engage, app_id,
        {"Id": "a", "Attributes": {"likes": ["tea"]}, "User": gold},
        {"Id": "b", "Attributes": {"likes": ["tea", "rum"]}},
        {"Id": "c", "Attributes": {"likes": ["rum"]}, "User": {"UserId": "u"}},
        {"Id": "d"},
    )  # fmt: skip


def test_recency_goes_by_what_people_do_and_by_updates_of_their_endpoints(
    engage: Engage, app_id: str, clock: TestClock
) -> None:
    active = {"Behavior": {"Recency": {"Duration": "DAY_7", "RecencyType": "ACTIVE"}}}
    made = create(engage, app_id, Dimensions=active)
    put(engage, app_id, {"Id": "a"}, {"Id": "b"}, {"Id": "c"})
    clock.advance(8 * 86_400)
    assert count(engage, made) == 0
    put(engage, app_id, {"Id": "a"})
    cart = {"e": {"EventType": "cart", "Timestamp": "2026-11-29T12:00:00Z"}}
    batch = {"B": {"Endpoint": {}, "Events": cart}}
    wanted = {"ApplicationId": app_id, "EventsRequest": {"BatchItem": batch}}
    app_events.put_events(engage, CALLER, wanted)
    assert count(engage, made) == 2


@pytest.mark.parametrize("value", ["tea", 'say "tea"', "thé\n\\", "🫖", "a", "\u2028", "0"])
def test_a_value_is_found_whatever_it_is_written_with(
    engage: Engage, app_id: str, value: str
) -> None:
    person = {"UserId": "u", "UserAttributes": {"likes": [value, "rum"]}}
    country = {"DimensionType": "INCLUSIVE", "Values": [value, "nowhere"]}
    put(
        engage, app_id,
        {"Id": "a", "Attributes": {"likes": ["rum", value]}, "Location": {"Country": value}},
        {"Id": "b", "Attributes": {value[:50]: ["rum"]}, "User": person}, {"Id": "c"},
    )  # fmt: skip
    one = {"likes": {"AttributeType": "INCLUSIVE", "Values": [value]}}
    assert count(engage, create(engage, app_id, Dimensions={"Attributes": one})) == 1
    assert count(engage, create(engage, app_id, Dimensions={"UserAttributes": one})) == 1
    here = {"Location": {"Country": country}, "Attributes": one}
    assert count(engage, create(engage, app_id, Dimensions=here)) == 1


@pytest.mark.usefixtures("people")
def test_a_segment_counts_its_endpoints(engage: Engage, app_id: str) -> None:
    assert count(engage, create(engage, app_id, Dimensions={})) == 4
    assert count(engage, create(engage, app_id, Dimensions=likes("tea"))) == 2
    assert count(engage, create(engage, app_id, Dimensions=TIER)) == 2
    assert count(engage, create(engage, app_id, Dimensions={**TIER, **likes("rum")})) == 1


@pytest.mark.usefixtures("people")
def test_groups_combine_other_segments(engage: Engage, app_id: str) -> None:
    tea = create(engage, app_id, Dimensions=likes("tea"))
    gold = create(engage, app_id, Dimensions=TIER)
    groups = [
        {"SourceType": "ANY", "SourceSegments": [{"Id": tea["Id"]}, {"Id": gold["Id"]}]},
        {"Type": "NONE", "Dimensions": [likes("rum")]},
    ]
    made = create(engage, app_id, SegmentGroups={"Include": "ALL", "Groups": groups})
    assert count(engage, made) == 1


@pytest.mark.usefixtures("people")
def test_a_pinned_source_version_stays_what_it_was(engage: Engage, app_id: str) -> None:
    source = create(engage, app_id, Dimensions=likes("tea"))
    update(engage, source, Dimensions=likes("gin"))
    pinned = [{"SourceSegments": [{"Id": source["Id"], "Version": 1}]}]
    latest = [{"SourceSegments": [{"Id": source["Id"]}]}]
    assert count(engage, create(engage, app_id, SegmentGroups={"Groups": pinned})) == 2
    assert count(engage, create(engage, app_id, SegmentGroups={"Groups": latest})) == 0


def test_an_update_keeps_what_it_does_not_name(engage: Engage, app_id: str) -> None:
    made = create(engage, app_id, Name="tea", Dimensions=likes("tea"))
    renamed = update(engage, made, Name="Tea")
    assert (renamed["Name"], renamed["Dimensions"]) == ("Tea", likes("tea"))
    grouped = update(engage, made, SegmentGroups={"Groups": []})
    assert "Dimensions" not in grouped
    assert (grouped["Name"], grouped["Version"]) == ("Tea", 3)


def test_dimensions_and_groups_exclude_each_other(engage: Engage, app_id: str) -> None:
    groups = {"Groups": [{"Dimensions": [likes("rum")]}]}
    with pytest.raises(Invalid, match="exclude each other"):
        create(engage, app_id, Dimensions=likes("tea"), SegmentGroups=groups)


def test_a_segment_may_not_come_to_contain_itself(engage: Engage, app_id: str) -> None:
    a = create(engage, app_id, Dimensions={})
    b = create(engage, app_id, SegmentGroups={"Groups": [{"SourceSegments": [{"Id": a["Id"]}]}]})
    circle = {"Groups": [{"SourceSegments": [{"Id": b["Id"]}]}]}
    with pytest.raises(Invalid, match="circle"):
        update(engage, a, SegmentGroups=circle)


def test_an_unknown_source_is_not_found(engage: Engage, app_id: str) -> None:
    groups = {"Groups": [{"SourceSegments": [{"Id": "0" * 32}]}]}
    with pytest.raises(NotFound, match="no segment 0000"):
        create(engage, app_id, SegmentGroups=groups)
