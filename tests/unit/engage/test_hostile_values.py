"""What people, or whoever pretends to be one, write into attributes must stay a value."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest

from tailorbird.engage import Engage, ledger
from tailorbird.store import Worker
from tests.unit.engage.conftest import put
from tests.unit.engage.test_campaign_run import campaign, ended, states

SCRIPT = "<script>alert(1)</script><img src=x onerror='x'>"
NAME = "{{User.UserAttributes.Name}}"


def only_mail(engage: Engage, made: dict[str, Any]) -> EmailMessage:
    folder = engage.settings.data / "inbox" / made["ApplicationId"] / made["Id"]
    (file,) = folder.glob("*.eml")
    return email.message_from_bytes(file.read_bytes(), policy=email.policy.default)


def sent(engage: Engage, app_id: str, value: str, **message: str) -> EmailMessage:
    """The mail to somebody with this name."""
    put(engage, app_id, {"Id": "ana", "User": {"UserId": "u", "UserAttributes": {"Name": [value]}}})
    mail = {"Title": "For you", "Body": "Hello", **message}
    made = campaign(engage, app_id, MessageConfiguration={"EmailMessage": mail})
    assert states(engage, ended(engage, made)["Id"]) == {"ana": "sent"}
    return only_mail(engage, made)


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def test_markup_in_a_value_is_escaped_in_html_and_left_in_text(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    mail = sent(engage, app_id, SCRIPT, HtmlBody=f"<p title='{NAME}'>{NAME}</p>", Body=NAME)
    page = part(mail, "html")
    assert "<script" not in page and "<img" not in page and "onerror='" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert part(mail, "plain").strip() == SCRIPT


def test_a_line_break_in_a_subject_is_refused_and_makes_no_header(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    named = {"UserId": "u", "UserAttributes": {"Name": ["Ana\r\nBcc: all@example.com"]}}
    put(engage, app_id, {"Id": "ana", "User": named}, {"Id": "ben"})
    mail = {"EmailMessage": {"Title": f"For {NAME}", "Body": "Hello"}}
    made = campaign(engage, app_id, MessageConfiguration=mail)
    over = ended(engage, made)
    assert states(engage, over["Id"]) == {"ana": "channel_failed", "ben": "sent"}
    assert only_mail(engage, made)["To"] == "ben@example.com"
    (refused,) = ledger.of_activity(engage, over["Id"], "channel_failed")
    assert "Subject" in refused["reason"]


@pytest.mark.parametrize(
    "value",
    ["{{Address}}", "{{{constructor}}}", "{{#each", "__proto__", "%s %(x)s", "\u2028\u202e", "🫖"],
)
def test_a_value_is_not_a_template(engage: Engage, app_id: str, worker: Worker, value: str) -> None:
    mail = sent(engage, app_id, value, Body=f"Hello {NAME}!", Title="{{upper Id}}")
    assert part(mail, "plain").strip() == f"Hello {value}!"


def test_names_that_mean_something_to_javascript_are_names(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    names = {name: ["v"] for name in ("__proto__", "constructor", "toString", "hasOwnProperty")}
    put(engage, app_id, {"Id": "ana", "Attributes": {**names, "x": ["ok"]}})
    body = {"Title": "t", "Body": "{{Attributes.x}}{{#each Attributes.x}}-{{this}}{{/each}}"}
    made = campaign(engage, app_id, MessageConfiguration={"EmailMessage": body})
    assert states(engage, ended(engage, made)["Id"]) == {"ana": "sent"}
    assert part(only_mail(engage, made), "plain").strip() == "ok-ok"
