"""Campaigns whose hook is a real function: the first seed, line by line."""

from __future__ import annotations

import email
import json
from collections import Counter
from email import policy
from typing import Any

import pytest
import sqlalchemy as sa

from tailorbird.engage import Engage, app_settings, ledger, tables
from tailorbird.store import Worker
from tests.conftest import ROOT
from tests.unit.engage.conftest import CALLER, add_function, allow, get, put
from tests.unit.engage.test_campaign_run import campaign, ended, states

KEEP_EVEN = """
def handler(event, context):
    return {k: e for k, e in event["Endpoints"].items() if int(k[1:]) % 2 == 0}
"""
EVERYTHING = "arn:aws:mobiletargeting:us-east-1:123456789012:apps/*"


def hook(name: str) -> dict[str, Any]:
    return {"LambdaFunctionName": name, "Mode": "FILTER"}


def mails(room: Engage, made: dict[str, Any]) -> list[str]:
    folder = room.settings.data / "inbox" / made["ApplicationId"] / made["Id"]
    return sorted(file.read_text() for file in folder.glob("*.eml"))


def attempts(room: Engage) -> list[Any]:
    with room.db.read() as conn:
        return list(conn.execute(sa.select(tables.hook_attempts)).mappings())


def test_only_endpoints_the_hook_returns_are_sent_to_in_batches_of_fifty(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(120)))
    add_function(engage, "even", KEEP_EVEN)
    allow(
        engage, "even", f"arn:aws:mobiletargeting:us-east-1:123456789012:apps/{app_id}/campaigns/*"
    )
    over = ended(engage, campaign(engage, app_id, Hook=hook("even")))
    ends = states(engage, over["Id"])
    assert {k for k, state in ends.items() if state == "sent"} == {
        f"e{n}" for n in range(0, 120, 2)
    }
    assert Counter(ends.values()) == {"sent": 60, "hook_filtered": 60}
    assert [a["outcome"] for a in attempts(engage)] == ["ok"] * 3
    assert sorted(a["detail"] for a in attempts(engage)) == ["10 of 20", "25 of 50", "25 of 50"]


def test_the_seeds_handler_adds_a_number_that_the_message_shows(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    source = (ROOT / "examples" / "hooks" / "credit-score" / "index.js").read_text()
    add_function(engage, "credit-score", source, "nodejs20.x")
    allow(engage, "credit-score", EVERYTHING)
    put(engage, app_id, {"Id": "ana"}, {"Id": "ben", "Attributes": {"Likes": ["tea"]}})
    message = {"EmailMessage": {"Title": "Score {{Attributes.CreditScore.[0]}}", "Body": "x"}}
    made = campaign(engage, app_id, Hook=hook("credit-score"), MessageConfiguration=message)
    assert set(states(engage, ended(engage, made)["Id"]).values()) == {"sent"}
    scores = [int(line.split()[-1]) for mail in mails(engage, made) for line in mail.splitlines()
              if line.startswith("Subject: Score")]  # fmt: skip
    assert len(scores) == 2
    assert all(650 <= score < 850 for score in scores)
    assert "Attributes" not in get(engage, app_id, "ana")


def test_the_function_sees_the_documented_event(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    source = """
import json
def handler(event, context):
    ana = event["Endpoints"]["ana"]
    ana["Attributes"] = {"Seen": [json.dumps(event)]}
    return event["Endpoints"]
"""
    add_function(engage, "mirror", source)
    allow(engage, "mirror", EVERYTHING)
    put(
        engage, app_id, {
            "Id": "ana", "Metrics": {"n": 1.0},
            "User": {"UserId": "u", "UserAttributes": {"Tier": ["gold"]}},
        },
    )  # fmt: skip
    message = {"EmailMessage": {"Title": "hi", "Body": "{{{Attributes.Seen.[0]}}}"}}
    made = campaign(engage, app_id, Hook=hook("mirror"), MessageConfiguration=message)
    over = ended(engage, made)
    assert states(engage, over["Id"]) == {"ana": "sent"}
    event = json.loads(_body(engage, made))
    assert event == {
        "MessageConfiguration": {
            "EmailMessage": {
                "SimpleEmail": {
                    "Subject": {"Charset": "UTF-8", "Data": "hi"},
                    "TextPart": {"Charset": "UTF-8", "Data": "{{{Attributes.Seen.[0]}}}"},
                }
            }
        },
        "ApplicationId": app_id,
        "CampaignId": made["Id"],
        "TreatmentId": "0",
        "ActivityId": over["Id"],
        "ScheduledTime": "2026-11-21T12:00:00.000Z",
        "Endpoints": {
            "ana": {
                "ChannelType": "EMAIL", "Address": "ana@example.com", "EndpointStatus": "ACTIVE",
                "OptOut": "NONE", "Metrics": {"n": 1.0},
                "EffectiveDate": "2026-11-21T12:00:00.000Z",
                "CreationDate": "2026-11-21T12:00:00.000Z",
                "User": {"UserId": "u", "UserAttributes": {"Tier": ["gold"]}},
            }
        },
    }  # fmt: skip


def test_without_permission_nobody_is_sent_to_and_the_command_is_in_the_ledger(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, {"Id": "ana"})
    add_function(engage, "even", KEEP_EVEN)
    made = campaign(engage, app_id, Hook=hook("even"))
    over = ended(engage, made)
    (row,) = ledger.of_activity(engage, over["Id"])
    assert row["state"] == "hook_failed"
    assert "aws lambda add-permission --function-name even" in row["reason"]
    assert f"--source-arn {made['Arn']}" in row["reason"]
    assert over["Result"] == "FAIL"
    (attempt,) = ledger.attempts(engage, over["Id"])
    assert (attempt["batch"], attempt["attempt"], attempt["outcome"]) == (0, 1, "denied")


FAILING = {
    "throws": ("raise KeyError('Attributes')", "KeyError: 'Attributes'", ["error"] * 3),
    "returns nothing": ("return None", "cannot be decoded", ["undecodable"] * 3),
    "returns the event": ("return event", "cannot be decoded", ["undecodable"] * 3),
}


@pytest.mark.parametrize("body, words, outcomes", FAILING.values(), ids=list(FAILING))
def test_a_failing_batch_does_not_harm_the_others(
    engage: Engage, app_id: str, worker: Worker, body: str, words: str, outcomes: list[str]
) -> None:
    source = f"""
def handler(event, context):
    if "e7" in event["Endpoints"]:
        {body}
    return event["Endpoints"]
"""
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(100)))
    add_function(engage, "half", source)
    allow(engage, "half", EVERYTHING)
    over = ended(engage, campaign(engage, app_id, Hook=hook("half")))
    assert Counter(states(engage, over["Id"]).values()) == {"sent": 50, "hook_failed": 50}
    reason = ledger.of_activity(engage, over["Id"], "hook_failed")[0]["reason"]
    assert words in reason
    bad = [a for a in attempts(engage) if a["outcome"] != "ok"]
    assert [a["outcome"] for a in bad] == outcomes


def test_a_hook_that_is_too_slow_fails_its_batch(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    engage.settings = engage.settings.replace(engage_hook_timeout_seconds=0.3)
    put(engage, app_id, {"Id": "ana"})
    source = "import time\ndef handler(event, context):\n    time.sleep(20)\n"
    add_function(engage, "slow", source, Timeout=60)
    allow(engage, "slow", EVERYTHING)
    over = ended(engage, campaign(engage, app_id, Hook=hook("slow")))
    assert states(engage, over["Id"]) == {"ana": "hook_failed"}
    assert len(attempts(engage)) == 3


def test_what_the_hook_changes_is_checked_again(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    source = """
def handler(event, context):
    endpoints = event["Endpoints"]
    endpoints["out"]["OptOut"] = "ALL"
    endpoints["lost"].pop("Address")
    endpoints["sms"]["ChannelType"] = "SMS"
    endpoints["twin"]["Address"] = endpoints["ana"]["Address"]
    endpoints["moved"]["Address"] = "elsewhere@example.com"
    return endpoints
"""
    put(engage, app_id, *({"Id": i} for i in ("ana", "lost", "moved", "out", "sms", "twin")))
    add_function(engage, "changes", source)
    allow(engage, "changes", EVERYTHING)
    made = campaign(engage, app_id, Hook=hook("changes"))
    assert states(engage, ended(engage, made)["Id"]) == {
        "ana": "sent", "lost": "missing_address", "moved": "sent", "out": "opted_out",
        "sms": "wrong_channel", "twin": "duplicate_address",
    }  # fmt: skip
    assert any("To: elsewhere@example.com" in mail for mail in mails(engage, made))
    assert get(engage, app_id, "moved")["Address"] == "moved@example.com"


def test_the_applications_hook_is_used_by_campaigns_made_after_it(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, {"Id": "e1"}, {"Id": "e2"})
    add_function(engage, "even", KEEP_EVEN)
    allow(engage, "even", EVERYTHING)
    arn = "arn:aws:lambda:us-east-1:123456789012:function:even"
    request = {
        "ApplicationId": app_id,
        "WriteApplicationSettingsRequest": {"CampaignHook": hook(arn)},
    }
    before = campaign(engage, app_id, Schedule={"StartTime": "2026-11-21T12:00:00Z"})
    app_settings.update_application_settings(engage, CALLER, request)
    after = campaign(engage, app_id, Hook={})
    assert states(engage, ended(engage, before)["Id"]) == {"e1": "sent", "e2": "sent"}
    assert states(engage, ended(engage, after)["Id"]) == {"e1": "hook_filtered", "e2": "sent"}


def _body(room: Engage, made: dict[str, Any]) -> str:
    (mail,) = mails(room, made)
    part = email.message_from_string(mail, policy=policy.default).get_body(("plain",))
    assert part is not None
    return str(part.get_content())
