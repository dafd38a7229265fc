"""KPIs: they add up with the ledger, whatever they are grouped by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tailorbird.channels import Feedback, feedback
from tailorbird.channels.origins import Origin
from tailorbird.engage import Engage, counts, happenings, kpis, ledger, messages, take_feedback
from tailorbird.engage.happenings import Happening
from tailorbird.errors import Invalid, NotFound
from tests.unit.engage.conftest import CALLER, NOON, put
from tests.unit.engage.test_campaign_run import campaign
from tests.unit.engage.test_event_stream import work

DAY = "2026-11-21"


def rows(room: Engage, app_id: str, name: str, campaign_id: str = "", **more: Any) -> Any:
    request = {"ApplicationId": app_id, "KpiName": name, **more}
    if campaign_id:
        answer = kpis.get_campaign_kpi(room, CALLER, {**request, "CampaignId": campaign_id})
        return answer["CampaignDateRangeKpiResponse"]["KpiResult"]["Rows"]
    answer = kpis.get_application_kpi(room, CALLER, request)
    return answer["ApplicationDateRangeKpiResponse"]["KpiResult"]["Rows"]


def value(room: Engage, app_id: str, name: str, campaign_id: str = "") -> Any:
    """{group: value}, or the one value there is."""
    found = {
        tuple(g["Value"] for g in row["GroupedBys"]): float(row["Values"][0]["Value"])
        for row in rows(room, app_id, name, campaign_id)
    }
    return found[()] if list(found) == [()] else {key[0]: v for key, v in found.items()}


def happens(room: Engage, kind: str, origin: Origin, words: str = "") -> None:
    event = {"link": "https://x.y"} if kind == "click" else {}
    with room.db.write() as conn:
        if kind in (happenings.OPEN, happenings.CLICK):
            happenings.tell(room, conn, Happening(kind, origin, event))
        else:
            take_feedback(room, conn, Feedback(kind, origin, words, NOON))


def ledger_counts(room: Engage, campaign_id: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for activity in ledger.activities_of(room, campaign_id):
        for row in ledger.of_activity(room, activity, limit=1000):
            found[row["state"]] = found.get(row["state"], 0) + 1
    return found


def test_campaign_metrics_add_up_with_the_ledger(engage: Engage, app_id: str) -> None:
    people = [{"Id": f"p{n}"} for n in range(20)]
    put(
        engage,
        app_id,
        *people,
        {"Id": "bad", "Address": "no address"},
        {"Id": "o", "OptOut": "ALL"},
    )
    first = campaign(engage, app_id, HoldoutPercent=20)
    second = campaign(engage, app_id)
    work(engage)
    ends = {made["Id"]: ledger_counts(engage, made["Id"]) for made in (first, second)}
    sent = {key: counted["sent"] for key, counted in ends.items()}
    assert ends[second["Id"]] == {"sent": 20, "channel_failed": 1, "opted_out": 1}
    [run] = ledger.activities_of(engage, second["Id"])
    mine = [Origin(f"m{n}", "EMAIL", f"p{n}@example.com", app_id, second["Id"], run, f"p{n}", "0")
            for n in range(20)]  # fmt: skip
    for origin in (mine[0], mine[0], mine[1]):
        happens(engage, "open", origin)
    happens(engage, "click", mine[0])
    happens(engage, feedback.HARD_BOUNCE, mine[5], "5.1.1 no")

    one = second["Id"]
    assert value(engage, app_id, "unique-deliveries", one) == 20
    assert value(engage, app_id, "unique-deliveries-grouped-by-date", one) == {DAY: 20}
    assert value(engage, app_id, "attempted-deliveries-grouped-by-campaign-activity", one) == {
        run: 21
    }
    assert value(engage, app_id, "successful-deliveries-grouped-by-campaign", one) == {one: 20}
    assert value(engage, app_id, "successful-delivery-rate", one) == 20 / 21
    assert value(engage, app_id, "email-open-rate", one) == 2 / 20
    assert value(engage, app_id, "direct-email-opens-grouped-by-campaign-activity", one) == {run: 2}
    assert value(engage, app_id, "clicks-grouped-by-campaign-activity", one) == {run: 1}
    assert value(engage, app_id, "hard-bounce-rate", one) == 1 / 20
    assert value(engage, app_id, "unique-deliveries-grouped-by-campaign") == sent
    assert value(engage, app_id, "unique-deliveries") == 20  # the same people, once
    assert value(engage, app_id, "successful-deliveries-grouped-by-campaign") == sent
    assert rows(engage, app_id, "txn-emails-sent") == []
    [row] = rows(engage, app_id, "unique-deliveries", one)
    assert row == {
        "GroupedBys": [],
        "Values": [{"Key": "UniqueDeliveries", "Type": "Double", "Value": "20.0"}],
    }
    before = {name: rows(engage, app_id, name) for name in kpis.names(kpis.CAMPAIGN_METRICS)}
    engage.clock.advance(3 * counts.HOUR_SECONDS)  # type: ignore[attr-defined]
    with engage.db.write() as conn:
        number = conn.exec_driver_sql("SELECT number FROM engage_apps").scalar_one()
        engage.jobs.enqueue(conn, counts.KIND, {"app": number})
    work(engage, 1)
    assert {name: rows(engage, app_id, name) for name in before} == before


def test_direct_metrics(engage: Engage, app_id: str) -> None:
    engage.settings.__dict__["sms_price_millicents"] = 645.0
    wanted = {
        "Addresses": {
            address: {"ChannelType": "SMS" if address.startswith("+") else "EMAIL"}
            for address in ("a@example.com", "b@x.y", "+31612345678", "+4915112345")
        },
        "MessageConfiguration": {
            "EmailMessage": {"SimpleEmail": {
                "Subject": {"Data": "Hi"}, "TextPart": {"Data": "Hi"}}},
            "SMSMessage": {"Body": "x" * 200},
        },
    }  # fmt: skip
    from tailorbird.engage import channel_settings

    channel_settings.CHANNEL_OPERATIONS["UpdateSmsChannel"](
        engage, CALLER, {"ApplicationId": app_id, "SMSChannelRequest": {"Enabled": True}}
    )
    answer = messages.send_messages(
        engage, CALLER, {"ApplicationId": app_id, "MessageRequest": wanted}
    )["MessageResponse"]["Result"]
    assert {one["StatusCode"] for one in answer.values()} == {200}
    about = Origin(answer["a@example.com"]["MessageId"], "EMAIL", "a@example.com", app_id)
    for kind in ("open", "open", "click"):
        happens(engage, kind, about)
    happens(engage, feedback.COMPLAINT, about, "abuse, x")
    texted = Origin(answer["+31612345678"]["MessageId"], "SMS", "+31612345678", app_id)
    happens(engage, feedback.DELIVERED, texted, "delivered")
    found = {name: value(engage, app_id, name) for name in kpis.names(kpis.DIRECT_METRICS)
             if rows(engage, app_id, name)}  # fmt: skip
    assert {name.removeprefix("txn-emails-"): v for name, v in found.items() if "emails" in name
            and "date" not in name} == {
        "sent": 2, "delivered": 2, "delivery-rate": 1, "opened": 2, "unique-opens": 1,
        "clicked": 1, "unique-clicks": 1, "hard-bounced": 0, "soft-bounced": 0,
        "with-complaints": 1, "complaint-rate": 0.5,
    }  # fmt: skip
    assert found["txn-sms-sent-grouped-by-country"] == {"DE": 1, "NL": 1}
    assert found["txn-sms-delivered"] == 1 and found["txn-sms-delivery-rate"] == 0.5
    assert found["txn-sms-sent-by-parts-grouped-by-date"] == {DAY: 4}
    assert found["txn-sms-total-price-grouped-by-country"] == {"DE": 1290, "NL": 1290}
    assert found["txn-sms-average-price-by-parts-grouped-by-country"] == {"DE": 645, "NL": 645}
    assert value(engage, app_id, "sms-spend") == 2580
    assert not rows(engage, app_id, "successful-delivery-rate")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"KpiName": "happiness"}, "is no metric here; right are .*unique-deliveries"),
        ({"KpiName": "txn-emails-sent-grouped-by-country"}, "is no metric here"),
        ({"StartTime": NOON - 40 * 86400}, "more than 31 days"),
        ({"StartTime": NOON - 95 * 86400, "EndTime": NOON - 94 * 86400}, "90 days ago"),
        ({"StartTime": NOON, "EndTime": NOON - 1}, "after end-time"),
        ({"NextToken": "?"}, "next-token"),
    ],
)
def test_a_question_that_cannot_be_answered(
    engage: Engage, app_id: str, more: dict[str, Any], words: str
) -> None:
    request = {"ApplicationId": app_id, "KpiName": "unique-deliveries", **more}
    with pytest.raises(Invalid, match=words):
        kpis.get_application_kpi(engage, CALLER, request)


def test_a_campaign_that_is_not_there(engage: Engage, app_id: str) -> None:
    with pytest.raises(NotFound):
        rows(engage, app_id, "unique-deliveries", "nowhere")
