"""A campaign rehearsed, its failed batches run again, a segment explained."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from tailorbird.engage import Engage, dry_run, explain, ledger, replay, segments, tables
from tailorbird.errors import Invalid, NotFound
from tailorbird.functions import catalog
from tailorbird.store import Worker
from tests.unit.engage.conftest import CALLER, add_function, allow, put, wait_for
from tests.unit.engage.test_campaign_hooks import EVERYTHING, hook
from tests.unit.engage.test_campaign_run import activity, campaign, ended, segment, states

MANGLES = """
def handler(event, context):
    kept = dict(event["Endpoints"])
    kept.pop("gone", None)
    kept["ana"]["Attributes"] = {"Score": [712]}
    kept["ana"]["User"]["UserAttributes"] = {}
    kept["out"]["OptOut"] = "ALL"
    return kept
"""
FAILS = "def handler(event, context):\n    raise ValueError('no score today')\n"
KEEPS = "def handler(event, context):\n    return event['Endpoints']\n"


def later(**given: Any) -> dict[str, Any]:
    return {"Schedule": {"StartTime": "2026-11-21T13:00:00Z"}, **given}


def rows_of(room: Engage) -> dict[str, int]:
    """How many rows each table of the room has that a run writes to."""
    found = {}
    with room.db.read() as conn:
        for table in (tables.ledger, tables.members, tables.batches, tables.hook_attempts):
            found[table.name] = conn.execute(sa.select(sa.func.count()).select_from(table)).scalar()
    return found


def test_a_dry_run_shows_what_a_hook_would_change_and_sends_nothing(
    engage: Engage, app_id: str
) -> None:
    put(
        engage, app_id, {"Id": "gone"}, {"Id": "out"}, {"Id": "sms", "ChannelType": "SMS"},
        {"Id": "ana", "Attributes": {"Old": ["x"]},
         "User": {"UserId": "u", "UserAttributes": {"Tier": ["gold"]}}},
    )  # fmt: skip
    add_function(engage, "mangle", MANGLES)
    allow(engage, "mangle", EVERYTHING)
    message = {"EmailMessage": {"Title": "Score {{Attributes.Score.[0]}}", "HtmlBody": "<p>x</p>"}}
    made = campaign(engage, app_id, **later(Hook=hook("mangle"), MessageConfiguration=message))
    before = rows_of(engage)
    told = dry_run.dry_run(engage, app_id, made["Id"])
    found = {one["endpoint"]: one for one in told["endpoints"]}
    assert {name: one["outcome"] for name, one in found.items()} == {
        "gone": "hook_filtered", "out": "opted_out", "sms": "wrong_channel", "ana": "would_send",
    }  # fmt: skip
    assert found["ana"]["changes"] == [
        {"path": "Attributes.Old", "before": ["x"]},
        {"path": "Attributes.Score", "after": ["712"]},
        {"path": "User.UserAttributes.Tier", "before": ["gold"]},
    ]
    assert found["ana"]["preview"] == {
        "channel": "EMAIL", "address": "ana@example.com", "subject": "Score 712",
        "html": "<p>x</p>",
    }  # fmt: skip
    assert "after the hook" in found["out"]["reason"]
    assert (told["looked_at"], [a["outcome"] for a in told["hook_attempts"]]) == (4, ["ok"])
    assert rows_of(engage) == before
    assert activity(engage, made)["State"] == "PENDING"
    assert not (engage.settings.data / "inbox").exists()


def test_a_dry_run_looks_at_as_many_as_it_is_told(engage: Engage, app_id: str) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(30)))
    made = campaign(engage, app_id, **later(HoldoutPercent=50))
    told = dry_run.dry_run(engage, app_id, made["Id"], 20)
    assert sum(told["counts"].values()) == told["looked_at"] == 20
    assert set(told["counts"]) == {"would_send", "held_out"}
    for limit in (0, 1001):
        with pytest.raises(Invalid, match="1 to 1000"):
            dry_run.dry_run(engage, app_id, made["Id"], limit)
    with pytest.raises(NotFound):
        dry_run.dry_run(engage, app_id, "0" * 32)


def test_a_dry_run_says_how_a_hook_fails(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana"})
    add_function(engage, "fails", FAILS)
    made = campaign(engage, app_id, **later(Hook=hook("fails")))
    (one,) = dry_run.dry_run(engage, app_id, made["Id"])["endpoints"]
    assert one["outcome"] == "hook_failed"
    assert "aws lambda add-permission" in one["reason"]


def mend(room: Engage, name: str) -> None:
    """The same function with code that works."""
    catalog.delete_function(room.functions, CALLER, {"FunctionName": name})
    add_function(room, name, KEEPS)
    allow(room, name, EVERYTHING)


def test_failed_batches_are_sent_when_the_function_is_mended(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(70)), {"Id": "out", "OptOut": "ALL"})
    add_function(engage, "score", FAILS)
    allow(engage, "score", EVERYTHING)
    made = campaign(engage, app_id, Hook=hook("score"))
    over = ended(engage, made)
    assert over["Result"] == "FAIL"
    assert Counter(states(engage, over["Id"]).values()) == {"hook_failed": 70, "opted_out": 1}
    mend(engage, "score")
    (planned,) = replay.start(engage, made["Id"])
    assert planned["endpoints"] == 70
    assert replay.start(engage, made["Id"])[0]["job"] is None  # the same again: one is enough
    wait_for(lambda: engage.jobs.get(planned["job"])["state"] == "done")
    assert Counter(states(engage, over["Id"]).values()) == {"sent": 70, "opted_out": 1}
    row = next(r for r in ledger.of_activity(engage, over["Id"]) if r["endpoint_id"] == "e0")
    assert "In the inbox" in row["reason"]
    assert row["before"].startswith("hook_failed at 2026-11-21T12:00:00.000Z: The hook failed")
    after = activity(engage, made)
    assert (after["Result"], after["SuccessfulEndpointCount"]) == ("SUCCESS", 70)
    assert after["ExecutionMetrics"]["ENDPOINT_SENT"] == "70"
    assert len(list((engage.settings.data / "inbox" / app_id / made["Id"]).glob("*.eml"))) == 70
    assert replay.start(engage, made["Id"]) == []


def test_a_replay_that_fails_again_can_be_asked_for_again(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    add_function(engage, "score", FAILS)
    allow(engage, "score", EVERYTHING)
    made = campaign(engage, app_id, Hook=hook("score"))
    over = ended(engage, made)
    clock.advance(60)
    (planned,) = replay.start(engage, made["Id"])
    wait_for(lambda: engage.jobs.get(planned["job"])["state"] == "done")
    assert states(engage, over["Id"]) == {"ana": "hook_failed"}
    mend(engage, "score")
    (again,) = replay.start(engage, made["Id"])
    wait_for(lambda: engage.jobs.get(again["job"])["state"] == "done")
    assert states(engage, over["Id"]) == {"ana": "sent"}
    with pytest.raises(NotFound):
        replay.start(engage, "0" * 32)


def likes(*values: str) -> dict[str, Any]:
    return {"Likes": {"AttributeType": "INCLUSIVE", "Values": list(values)}}


def test_a_segment_says_how_many_pass_each_step(engage: Engage, app_id: str) -> None:
    put(
        engage, app_id, {"Id": "a", "Attributes": {"Likes": ["tea"]}, "Metrics": {"n": 5}},
        {"Id": "b", "Attributes": {"Likes": ["tea"]}, "OptOut": "ALL", "Metrics": {"n": 9}},
        {"Id": "c", "Attributes": {"Likes": ["rum"]}, "Metrics": {"n": 9}}, {"Id": "d"},
        {"Id": "e", "Attributes": {"Likes": ["tea"]}},
    )  # fmt: skip
    more = {"n": {"ComparisonOperator": "GREATER_THAN", "Value": 4}}
    wanted = segment(engage, app_id, Attributes=likes("tea"), Metrics=more)
    told = explain.explain(engage, app_id, wanted)
    assert (told["endpoints"], told["members"]) == (5, 2)
    assert told["members_by_state"] == {"can_be_sent_to": 1, "opted_out": 1}
    assert [(s["step"], s["passes"], s.get("left")) for s in told["steps"][1:]] == [
        ("Attributes.Likes", 3, 3), ("Metrics.n", 3, 2),
    ]  # fmt: skip


def test_a_segment_says_why_an_endpoint_is_not_in(engage: Engage, app_id: str) -> None:
    put(
        engage, app_id, {"Id": "c", "OptOut": "ALL", "Attributes": {"Likes": ["rum"]},
                         "User": {"UserId": "u", "UserAttributes": {"Tier": ["gold"]}}},
    )  # fmt: skip
    gold = {"Tier": {"AttributeType": "INCLUSIVE", "Values": ["gold"]}}
    wanted = segment(engage, app_id, Attributes=likes("tea"), UserAttributes=gold)
    told = explain.explain(engage, app_id, wanted, endpoint_id="C")
    assert (told["is_member"], told["does_not_match"]) == (False, ["Attributes.Likes"])
    assert told["cannot_be_sent_to"] == "The person opted out (OptOut is ALL)"
    first, second = told["steps"][1:]
    assert (first["wanted"]["Values"], first["has"], first["passes"]) == (["tea"], ["rum"], False)
    assert (second["has"], second["passes"]) == (["gold"], True)
    with pytest.raises(NotFound, match="no endpoint nobody"):
        explain.explain(engage, app_id, wanted, endpoint_id="nobody")


def test_groups_and_their_sources_are_explained(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "a", "Attributes": {"Likes": ["tea"]}}, {"Id": "b"})
    source = segment(engage, app_id, Attributes=likes("tea"))
    groups = {
        "Include": "NONE",
        "Groups": [{"SourceSegments": [{"Id": source}], "SourceType": "ANY", "Type": "ANY",
                    "Dimensions": [{"Attributes": likes("tea", "rum")}]}],
    }  # fmt: skip
    request = {"ApplicationId": app_id, "WriteSegmentRequest": {"SegmentGroups": groups}}
    wanted = segments.create_segment(engage, CALLER, request)["SegmentResponse"]["Id"]
    told = explain.explain(engage, app_id, wanted)
    assert told["members"] == 1
    assert [(s["depth"], s["step"], s["passes"]) for s in told["steps"]] == [
        (0, f"segment {wanted}", 1), (1, "group 1", 1), (2, "SourceSegments", 1),
        (3, f"segment {source}", 1), (4, "Attributes.Likes", 1), (2, "Dimensions", 1),
        (3, "Dimensions 1", 1), (4, "Attributes.Likes", 1),
    ]  # fmt: skip
