"""PutEvents, and campaigns that an event sends."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tailorbird.engage import Engage, activities, app_events, apps, event_tables, events, ledger
from tailorbird.errors import Invalid, LimitExceeded, TooLarge
from tailorbird.store import Worker
from tests.unit.engage.conftest import CALLER, get, put, wait_for
from tests.unit.engage.test_campaign_run import campaign, segment, state, update

NOW = "2026-11-21T12:00:00Z"


def happened(
    room: Engage, app_id: str, endpoint_id: str, *found: dict[str, Any], **endpoint: Any
) -> dict[str, Any]:
    """PutEvents for one endpoint; its part of the answer."""
    listed = {f"ev{n}": {"EventType": "cart", "Timestamp": NOW, **e} for n, e in enumerate(found)}
    batch = {endpoint_id: {"Endpoint": endpoint, "Events": listed}}
    request = {"ApplicationId": app_id, "EventsRequest": {"BatchItem": batch}}
    answer = app_events.put_events(room, CALLER, request)["EventsResponse"]
    return dict(answer["Results"][endpoint_id])


def waits_for(*types: str, kind: str = "ENDPOINT", **dimensions: Any) -> dict[str, Any]:
    wanted = {"EventType": {"DimensionType": "INCLUSIVE", "Values": list(types)}, **dimensions}
    return {
        "StartTime": "IMMEDIATE", "Frequency": "EVENT",
        "EventFilter": {"FilterType": kind, "Dimensions": wanted},
    }  # fmt: skip


def rows(room: Engage, made: dict[str, Any]) -> list[tuple[str, str]]:
    """Endpoint and state of every ledger row of a campaign, the oldest run first."""
    found = reversed(ledger.activities_of(room, made["Id"]))
    listed = [row for number in found for row in ledger.of_activity(room, number)]
    return [(row["endpoint_id"], row["state"]) for row in listed]


def tick(room: Engage, clock: Any) -> None:
    """The moment in which events are gathered passes; every job of it is done."""
    clock.advance(1.5)
    room.jobs.nudge()
    wait_for(lambda: not _busy(room))


def _busy(room: Engage) -> bool:
    kinds = ("engage.fire", "engage.stretch")
    return any(room.jobs.list(k, s) for k in kinds for s in ("ready", "running"))


def stored(room: Engage) -> list[Any]:
    with room.db.read() as conn:
        return list(conn.execute(sa.select(event_tables.events)).mappings())


def test_events_are_kept_and_an_empty_endpoint_changes_nothing(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana", "Attributes": {"Likes": ["tea"]}})
    before = get(engage, app_id, "ana")
    answer = happened(
        engage, app_id, "ana",
        {"Attributes": {"sku": "a", "long": "x" * 201}, "Metrics": {"price": 2.5},
         "Session": {"Id": "s", "StartTimestamp": NOW}},
        {"EventType": "view", "Timestamp": "2026-11-21T11:00:00"},
    )  # fmt: skip
    accepted = {"StatusCode": 202, "Message": "Accepted"}
    assert answer == {
        "EndpointItemResponse": accepted,
        "EventsItemResponse": {"ev0": accepted, "ev1": accepted},
    }
    assert get(engage, app_id, "ana") == before
    first, second = stored(engage)
    assert first["body"] == {
        "Attributes": {"sku": "a"}, "Metrics": {"price": 2.5},
        "Session": {"Id": "s", "StartTimestamp": NOW},
    }  # fmt: skip
    assert (second["type"], second["arrived"] - second["moment"]) == ("view", 3600)


def test_the_endpoint_of_an_event_is_merged(engage: Engage, app_id: str) -> None:
    happened(engage, app_id, "new", {}, ChannelType="EMAIL", Address="n@example.com")
    happened(engage, app_id, "new", {}, Attributes={"Likes": ["tea"]})
    shown = get(engage, app_id, "new")
    assert (shown["Address"], shown["Attributes"]) == ("n@example.com", {"Likes": ["tea"]})


def test_each_event_is_answered_for_itself(engage: Engage, app_id: str) -> None:
    answer = happened(
        engage, app_id, "ana", {}, {"Timestamp": "yesterday"}, {"EventType": ""},
        {"Attributes": {f"a{n}": "x" for n in range(41)}}, {"Attributes": {"n": "\x00"}},
        {"Attributes": {"x" * 51: "y"}}, ChannelType="EMAIL", EndpointStatus="BROKEN",
    )  # fmt: skip
    codes = [item["StatusCode"] for item in answer["EventsItemResponse"].values()]
    assert codes == [202, 400, 400, 400, 400, 400]
    assert answer["EndpointItemResponse"]["StatusCode"] == 400
    assert "EndpointStatus" in answer["EndpointItemResponse"]["Message"]
    assert len(stored(engage)) == 1


def test_a_backslash_and_u0000_in_an_event_are_no_nul(engage: Engage, app_id: str) -> None:
    answer = happened(engage, app_id, "ana", {"Attributes": {"path": "a\\u0000"}})
    assert answer["EventsItemResponse"]["ev0"]["StatusCode"] == 202
    assert stored(engage)[0]["body"]["Attributes"] == {"path": "a\\u0000"}


def test_a_request_has_at_most_a_hundred_events_and_four_megabytes(
    engage: Engage, app_id: str
) -> None:
    happened(engage, app_id, "ana", *({} for _ in range(100)))
    with pytest.raises(Invalid, match="101 events"):
        happened(engage, app_id, "ana", *({} for _ in range(101)))
    with pytest.raises(TooLarge, match="4194304"):
        happened(engage, app_id, "ana", *({"AppTitle": "x" * 900_000} for _ in range(5)))
    answer = happened(engage, app_id, "ana", {"AppTitle": "x" * 1_025_000})
    assert answer["EventsItemResponse"]["ev0"]["StatusCode"] == 400
    assert len(stored(engage)) == 100


def test_an_event_sends_to_its_own_endpoint_only(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"}, {"Id": "ben"}, {"Id": "out", "OptOut": "ALL"})
    made = campaign(engage, app_id, Schedule=waits_for("cart"))
    request = {"ApplicationId": app_id, "CampaignId": made["Id"]}
    first = activities.get_campaign_activities(engage, CALLER, request)["ActivitiesResponse"]
    assert first["Item"][0]["State"] == "PENDING"  # samples look at it at once
    wait_for(lambda: state(engage, made) == "EXECUTING")
    happened(engage, app_id, "ana", {"EventType": "other"})
    tick(engage, clock)
    assert rows(engage, made) == []
    happened(engage, app_id, "ANA", {})
    happened(engage, app_id, "out", {})
    happened(engage, app_id, "nobody", {})
    tick(engage, clock)
    assert rows(engage, made) == [("ana", "sent"), ("out", "opted_out")]
    assert state(engage, made) == "EXECUTING"
    shown = activities.get_campaign_activities(engage, CALLER, request)["ActivitiesResponse"]
    assert [item["Id"] for item in shown["Item"]] == [first["Item"][0]["Id"]]


def test_an_endpoint_is_sent_to_for_each_of_its_events(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule=waits_for("cart"))
    happened(engage, app_id, "ana", {}, {})
    tick(engage, clock)
    happened(engage, app_id, "ana", {})
    tick(engage, clock)
    assert rows(engage, made) == [("ana", "sent")] * 3
    limited = campaign(engage, app_id, Schedule=waits_for("buy"), Limits={"Total": 1})
    for _ in range(2):
        happened(engage, app_id, "ana", {"EventType": "buy"})
        tick(engage, clock)
    assert rows(engage, limited) == [("ana", "sent"), ("ana", "capped")]


@pytest.mark.parametrize(
    ("event", "is_sent"),
    [
        ({"Attributes": {"sku": "b"}, "Metrics": {"price": 9.5}}, True),
        ({"Attributes": {"sku": "a"}, "Metrics": {"price": 9.0}}, False),
        ({"Attributes": {"sku": "c"}, "Metrics": {"price": 10.0}}, False),
        ({"Metrics": {"price": 10.0}}, False),
        ({"Attributes": {"sku": "a"}}, False),
    ],
)
def test_attributes_and_metrics_of_the_event_have_to_match(
    engage: Engage, app_id: str, worker: Worker, clock: Any, event: dict[str, Any], is_sent: bool
) -> None:
    put(engage, app_id, {"Id": "ana"})
    schedule = waits_for(
        "cart",
        Attributes={"sku": {"AttributeType": "INCLUSIVE", "Values": ["a", "b"]}},
        Metrics={"price": {"ComparisonOperator": "GREATER_THAN", "Value": 9.0}},
    )
    made = campaign(engage, app_id, Schedule=schedule)
    happened(engage, app_id, "ana", event)
    tick(engage, clock)
    assert rows(engage, made) == ([("ana", "sent")] if is_sent else [])


def test_only_members_of_the_segment_are_sent_to(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "tea", "Attributes": {"Likes": ["tea"]}}, {"Id": "rum"})
    likes = {"Likes": {"AttributeType": "INCLUSIVE", "Values": ["tea"]}}
    wanted = segment(engage, app_id, Attributes=likes)
    made = campaign(engage, app_id, SegmentId=wanted, Schedule=waits_for("cart"))
    for name in ("tea", "rum"):
        happened(engage, app_id, name, {})
    tick(engage, clock)
    assert rows(engage, made) == [("tea", "sent")]


def test_nothing_is_sent_before_the_start_in_a_pause_or_after_the_end(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    window = {"StartTime": "2026-11-21T13:00:00Z", "EndTime": "2026-11-21T14:00:00Z"}
    made = campaign(engage, app_id, Schedule={**waits_for("cart"), **window})
    sent = []
    for minutes, paused in ((0, None), (61, None), (1, True), (1, False), (60, None)):
        clock.advance(60 * minutes)
        engage.jobs.nudge()
        if paused is not None:
            update(engage, made, IsPaused=paused)
        happened(engage, app_id, "ana", {})
        tick(engage, clock)
        sent.append(len(rows(engage, made)))
    assert sent == [0, 1, 1, 2, 2]
    wait_for(lambda: state(engage, made) == "COMPLETED")


def test_a_message_that_is_five_minutes_late_is_dropped(
    engage: Engage, app_id: str, clock: Any, request: pytest.FixtureRequest
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule=waits_for("cart"))
    happened(engage, app_id, "ana", {})
    clock.advance(301)  # nobody was at work
    request.getfixturevalue("worker")
    wait_for(lambda: rows(engage, made))
    assert rows(engage, made) == [("ana", "expired")]


def test_built_in_events_come_from_the_house(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Schedule=waits_for("_email.open", kind="SYSTEM"))
    happened(engage, app_id, "ana", {"EventType": "_email.open"})
    tick(engage, clock)
    assert rows(engage, made) == []
    event = events.Event("ana", "e", "_email.open", clock.now(), {}, {}, {})
    with engage.db.write() as conn:
        assert events.put(engage, conn, apps.by_id(conn, app_id), [event], system=True) == 1
    tick(engage, clock)
    assert rows(engage, made) == [("ana", "sent")]


def test_treatments_of_an_event_campaign(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(30)))
    made = campaign(
        engage, app_id, Schedule=waits_for("cart"), HoldoutPercent=20,
        AdditionalTreatments=[{"SizePercent": 40}],
    )  # fmt: skip
    for n in range(30):
        happened(engage, app_id, f"e{n}", {})
    tick(engage, clock)
    found = rows(engage, made)
    assert sorted(name for name, _ in found) == sorted(f"e{n}" for n in range(30))
    assert {end for _, end in found} == {"sent", "held_out"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"EventFilter": {"FilterType": "OTHER", "Dimensions": {"EventType": {"Values": ["a"]}}}},
         "right are ENDPOINT, SYSTEM"),
        ({"EventFilter": {"FilterType": "ENDPOINT", "Dimensions": {"Metrics": {}, "X": 1}}},
         "EventType needs Values"),
        ({"IsLocalTime": True, "StartTime": "2026-11-22T12:00:00"}, "IsLocalTime does not go"),
    ],
)  # fmt: skip
def test_impossible_event_campaigns_are_refused(
    engage: Engage, app_id: str, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        campaign(engage, app_id, Schedule={**waits_for("cart"), **change})


def test_an_application_has_so_many_event_campaigns_and_an_account_so_many_active_ones(
    engage: Engage, app_id: str
) -> None:
    engage.settings = engage.settings.replace(
        engage_max_event_campaigns=2, engage_max_active_campaigns=3
    )
    wanted = segment(engage, app_id)
    for _ in range(2):
        campaign(engage, app_id, SegmentId=wanted, Schedule=waits_for("cart"))
    with pytest.raises(LimitExceeded, match="at most 2 event campaigns"):
        campaign(engage, app_id, SegmentId=wanted, Schedule=waits_for("cart"))
    campaign(engage, app_id, SegmentId=wanted)
    with pytest.raises(LimitExceeded, match="at most 3 active campaigns"):
        campaign(engage, app_id, SegmentId=wanted)


def test_names_beyond_the_quota_are_refused_event_by_event(engage: Engage, app_id: str) -> None:
    engage.settings.__dict__ |= {"engage_max_event_types": 2, "engage_max_event_keys": 1}
    happened(engage, app_id, "ana", {"EventType": "a"}, {"EventType": "b"})
    answer = happened(
        engage, app_id, "ana",
        {"EventType": "c"}, {"EventType": "a", "Attributes": {"x": "1"}},
        {"EventType": "b", "Metrics": {"y": 1.0}}, {"EventType": "b"},
    )["EventsItemResponse"]  # fmt: skip
    assert [answer[f"ev{n}"]["StatusCode"] for n in range(4)] == [400, 202, 400, 202]
    assert "engage_max_event_types" in answer["ev0"]["Message"]
    assert "engage_max_event_keys" in answer["ev2"]["Message"]
    assert [row["type"] for row in stored(engage)] == ["a", "b", "a", "b"]


def test_a_campaign_can_wait_for_the_delivery_of_another_ones_mail(
    engage: Engage, worker: Worker, app_id: str, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    follow = campaign(
        engage, app_id, Name="follow", Schedule=waits_for("_email.delivered", kind="SYSTEM")
    )
    wait_for(lambda: state(engage, follow) in ("EXECUTING", "SCHEDULED"))
    first = campaign(engage, app_id)
    wait_for(lambda: state(engage, first) == "COMPLETED")
    tick(engage, clock)
    tick(engage, clock)
    assert rows(engage, follow) == [("ana", "sent")]  # and its own delivery sets nothing off
