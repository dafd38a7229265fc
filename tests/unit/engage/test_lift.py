"""Lift: the interval is the published one, and nothing is claimed on too little."""

from __future__ import annotations

import pytest

from tailorbird.engage import Engage, lift
from tailorbird.engage.lift import Group, newcombe, wilson
from tailorbird.errors import Invalid, NotFound
from tests.unit.engage.conftest import put
from tests.unit.engage.test_campaign_run import campaign
from tests.unit.engage.test_event_stream import work
from tests.unit.engage.test_events import happened


def test_the_intervals_are_those_of_the_publication() -> None:
    # Newcombe 1998, table II: 56/70 - 48/80, method 10; 0/10 - 0/10
    assert newcombe(Group(70, 56, 0), Group(80, 48, 0)) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert newcombe(Group(10, 0, 0), Group(10, 0, 0)) == pytest.approx((-0.2775, 0.2775), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_treated_against_held_out(engage: Engage, app_id: str) -> None:
    people = [{"Id": f"P{n}", "User": {"UserId": f"u{n}"}} for n in range(400)]
    put(engage, app_id, *people)
    made = campaign(engage, app_id, HoldoutPercent=50)
    work(engage)
    told = lift.lift(engage, made["Id"], "purchase")
    held, [treated] = told["holdout"], told["treatments"]
    assert (
        held["endpoints"] + treated["endpoints"] == 400 and treated["sent"] == treated["endpoints"]
    )
    assert treated["verdict"].startswith("not enough data")
    from tailorbird.engage import ledger

    [activity] = ledger.activities_of(engage, made["Id"])
    sent = [r["endpoint_id"] for r in ledger.of_activity(engage, activity, "sent", 1000)]
    kept = [r["endpoint_id"] for r in ledger.of_activity(engage, activity, "held_out", 1000)]
    moment = {"EventType": "purchase", "Timestamp": "2026-11-21T12:30:00Z"}
    for endpoint_id in (*sent[:60], *kept[:20]):
        happened(engage, app_id, endpoint_id.lower(), moment, moment)
    put(engage, app_id, {"Id": "phone", "User": {"UserId": sent[60].replace("P", "u")}})
    happened(engage, app_id, "phone", moment)  # her other endpoint counts for her
    happened(engage, app_id, sent[61], {**moment, "Timestamp": "2026-11-29T12:30:00Z"})  # too late
    happened(engage, app_id, sent[62], {**moment, "EventType": "view"})
    told = lift.lift(engage, made["Id"], "purchase")
    held, [treated] = told["holdout"], told["treatments"]
    assert (held["converted"], treated["converted"]) == (20, 61)
    rates = 61 / len(sent) - 20 / len(kept)
    assert treated["difference"] == pytest.approx(rates)
    assert treated["low"] < rates < treated["high"]
    assert treated["verdict"] == "more than without the campaign"
    assert treated["more_conversions"] == pytest.approx(rates * len(sent))
    assert told["window_is_over"] is False
    [short] = lift.lift(engage, made["Id"], "purchase", 60)["treatments"]
    assert short["converted"] == 0


def test_there_has_to_be_something_to_compare(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id)
    with pytest.raises(Invalid, match="has not run yet"):
        lift.lift(engage, made["Id"], "purchase")
    work(engage)
    with pytest.raises(Invalid, match="without HoldoutPercent"):
        lift.lift(engage, made["Id"], "purchase")
    with pytest.raises(NotFound):
        lift.lift(engage, "nothing", "purchase")
    with pytest.raises(Invalid, match="event is empty"):
        lift.lift(engage, made["Id"], "")
