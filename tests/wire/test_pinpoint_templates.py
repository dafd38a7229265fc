"""Message templates through the real boto3."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Server

EMAIL = {
    "Subject": "Hi {{User.UserAttributes.FirstName}}",
    "HtmlPart": "<p>{{capitalize Location.City}}</p>",
    "TextPart": "{{Location.City}}",
    "DefaultSubstitutions": '{"User.UserAttributes.FirstName":"there"}',
    "TemplateDescription": "greets",
    "Headers": [{"Name": "List-Unsubscribe", "Value": "<https://shop.example/u/{{Id}}>"}],
}


@pytest.fixture
def pinpoint(server: Server) -> Any:
    return server.client("pinpoint")


@pytest.fixture
def name(pinpoint: Any) -> Iterator[str]:
    """A name of its own for each test: templates belong to the whole account."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    for kind in ("email", "sms"):
        with contextlib.suppress(pinpoint.exceptions.NotFoundException):
            getattr(pinpoint, f"delete_{kind}_template")(TemplateName=name)


def test_an_email_template_lives_through_all_its_operations(pinpoint: Any, name: str) -> None:
    made = pinpoint.create_email_template(
        TemplateName=name, EmailTemplateRequest={**EMAIL, "tags": {"team": "crm"}}
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    body = made["CreateTemplateMessageBody"]
    assert body["Arn"].endswith(f":templates/{name}/EMAIL")
    assert body["RequestID"]

    found = pinpoint.get_email_template(TemplateName=name)["EmailTemplateResponse"]
    assert {key: found[key] for key in EMAIL} == EMAIL
    assert (found["TemplateName"], found["TemplateType"], found["Version"]) == (name, "EMAIL", "1")
    assert found["tags"] == {"team": "crm"}
    assert found["CreationDate"].endswith("Z") and found["LastModifiedDate"].endswith("Z")

    changed = pinpoint.update_email_template(
        TemplateName=name, CreateNewVersion=True, EmailTemplateRequest={"Subject": "Two"}
    )
    assert changed["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert changed["MessageBody"]["Message"] == "Accepted"
    versions = pinpoint.list_template_versions(TemplateName=name, TemplateType="EMAIL")
    items = versions["TemplateVersionsResponse"]["Item"]
    assert [item["Version"] for item in items] == ["1", "2"]

    active = pinpoint.update_template_active_version(
        TemplateName=name,
        TemplateType="EMAIL",
        TemplateActiveVersionRequest={"Version": "latest"},
    )
    assert active["ResponseMetadata"]["HTTPStatusCode"] == 200
    found = pinpoint.get_email_template(TemplateName=name)["EmailTemplateResponse"]
    assert (found["Subject"], found["Version"]) == ("Two", "2")

    gone = pinpoint.delete_email_template(TemplateName=name)
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 202
    with pytest.raises(pinpoint.exceptions.NotFoundException):
        pinpoint.get_email_template(TemplateName=name)


def test_a_taken_name_is_a_bad_request_that_can_be_caught(pinpoint: Any, name: str) -> None:
    pinpoint.create_email_template(TemplateName=name, EmailTemplateRequest=EMAIL)
    with pytest.raises(pinpoint.exceptions.BadRequestException) as refusal:
        pinpoint.create_email_template(TemplateName=name, EmailTemplateRequest=EMAIL)
    assert "already" in refusal.value.response["Error"]["Message"]


def test_a_template_that_does_not_compile_is_refused_with_its_line(
    pinpoint: Any, name: str
) -> None:
    with pytest.raises(pinpoint.exceptions.BadRequestException) as refusal:
        pinpoint.create_email_template(
            TemplateName=name, EmailTemplateRequest={"HtmlPart": "<p>\n{{#if x}}</p>"}
        )
    assert "HtmlPart, line 2" in refusal.value.response["Error"]["Message"]


def test_templates_are_listed_by_prefix(pinpoint: Any, name: str) -> None:
    pinpoint.create_email_template(TemplateName=name, EmailTemplateRequest=EMAIL)
    pinpoint.create_sms_template(TemplateName=name, SMSTemplateRequest={"Body": "Hi {{Id}}"})
    listed = pinpoint.list_templates(Prefix=name)["TemplatesResponse"]["Item"]
    assert [(item["TemplateName"], item["TemplateType"]) for item in listed] == [
        (name, "EMAIL"),
        (name, "SMS"),
    ]
    assert listed[0]["TemplateDescription"] == "greets"


def test_a_push_template_keeps_each_platform(pinpoint: Any, name: str) -> None:
    push = {"Default": {"Title": "Hi", "Body": "{{Id}}"}, "GCM": {"Body": "x", "Sound": "ding"}}
    pinpoint.create_push_template(TemplateName=name, PushNotificationTemplateRequest=push)
    found = pinpoint.get_push_template(TemplateName=name)["PushNotificationTemplateResponse"]
    assert (found["Default"], found["GCM"]) == (push["Default"], push["GCM"])
    pinpoint.delete_push_template(TemplateName=name)
