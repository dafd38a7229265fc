"""Message templates: versions, the active one, limits, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.access import Caller
from tailorbird.clock import TestClock
from tailorbird.engage import template_types, templates
from tailorbird.engage.recommender_tables import recommenders
from tailorbird.engage.render import Rendered
from tailorbird.engage.room import Engage
from tailorbird.engage.templates import TEMPLATE_OPERATIONS
from tailorbird.errors import AlreadyExists, Invalid, NotFound, TooLarge
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects

CALLER = Caller("123456789012", "us-east-1", "arn:aws:iam::123456789012:root", "AK", "r-1", None)
ELSEWHERE = Caller("123456789012", "eu-west-1", "arn:aws:iam::123456789012:root", "AK", "r", None)

# Each type with a body it takes.
BODIES: dict[str, dict[str, Any]] = {
    "EMAIL": {"Subject": "Hi {{User.UserAttributes.FirstName}}", "HtmlPart": "<p>{{Id}}</p>",
              "TextPart": "{{Id}}",
              "DefaultSubstitutions": '{"User.UserAttributes.FirstName":"you"}',
              "TemplateDescription": "a greeting", "RecommenderId": "rec-1"},
    "SMS": {"Body": "Hi {{Id}}"},
    "PUSH": {"Default": {"Body": "Hi {{Id}}", "Title": "Hello"}, "GCM": {"Body": "Droid {{Id}}"}},
    "VOICE": {"Body": "Hi", "LanguageCode": "en-US"},
    "INAPP": {"Layout": "OVERLAYS", "Content": [{"BodyConfig": {"Body": "Hi {{not a variable"}}]},
}  # fmt: skip


@pytest.fixture
def room(db: Database, jobs: Jobs, objects: Objects, settings: Settings) -> Engage:
    made = Engage(db, jobs, objects, TestClock(1_600_000_000.0), settings, None, None, None)
    mine = {"account": CALLER.account, "region": CALLER.region, "created": 0.0, "modified": 0.0}
    with db.write() as conn:  # the configuration that a body names
        conn.execute(recommenders.insert().values(id="rec-1", body={}, **mine))
    return made


def call(room: Engage, operation: str, caller: Caller = CALLER, **request: Any) -> Any:
    (answer,) = TEMPLATE_OPERATIONS[operation](room, caller, request).values()
    return answer


def create(room: Engage, name: str = "hello", **body: Any) -> None:
    call(room, "CreateEmailTemplate", TemplateName=name, EmailTemplateRequest=body)


def update(room: Engage, name: str = "hello", new: bool = False, **body: Any) -> None:
    call(room, "UpdateEmailTemplate", TemplateName=name, CreateNewVersion=new,
         EmailTemplateRequest=body)  # fmt: skip


def get(room: Engage, name: str = "hello", **request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = call(room, "GetEmailTemplate", TemplateName=name, **request)
    return answer


@pytest.mark.parametrize("type_name", list(BODIES))
def test_what_is_created_comes_back(room: Engage, type_name: str) -> None:
    kind, body = template_types.TYPES[type_name], BODIES[type_name]
    created = call(room, f"Create{kind.word}Template", TemplateName="hello",
                   **{kind.request: {**body, "tags": {"a": "b"}}})  # fmt: skip
    assert created == {
        "Arn": f"arn:aws:mobiletargeting:us-east-1:123456789012:templates/hello/{type_name}",
        "Message": "Created",
        "RequestID": "r-1",
    }
    assert call(room, f"Get{kind.word}Template", TemplateName="hello") == {
        **body,
        "Arn": created["Arn"],
        "TemplateName": "hello",
        "TemplateType": type_name,
        "Version": "1",
        "CreationDate": "2020-09-13T12:26:40.000Z",
        "LastModifiedDate": "2020-09-13T12:26:40.000Z",
        "tags": {"a": "b"},
    }


def test_a_name_that_is_taken_is_a_bad_request(room: Engage) -> None:
    create(room, Subject="one")
    with pytest.raises(AlreadyExists) as refusal:
        create(room, Subject="two")
    assert refusal.value.code == "BadRequestException"
    assert get(room)["Subject"] == "one"


def test_the_same_name_may_be_of_another_type_region_or_case(room: Engage) -> None:
    create(room)
    create(room, name="HELLO")
    call(room, "CreateSmsTemplate", TemplateName="hello", SMSTemplateRequest={"Body": "x"})
    call(room, "CreateEmailTemplate", ELSEWHERE, TemplateName="hello", EmailTemplateRequest={})
    listed = call(room, "ListTemplates")["Item"]
    assert [(item["TemplateName"], item["TemplateType"]) for item in listed] == [
        ("HELLO", "EMAIL"),
        ("hello", "EMAIL"),
        ("hello", "SMS"),
    ]


def test_an_update_overwrites_the_latest_version_and_ignores_tags(room: Engage) -> None:
    create(room, Subject="one", TextPart="x", tags={"a": "b"})
    room.clock.advance(60)  # type: ignore[attr-defined]
    update(room, Subject="two", tags={"c": "d"})
    found = get(room)
    assert (found["Subject"], found["Version"], found["tags"]) == ("two", "1", {"a": "b"})
    assert "TextPart" not in found
    assert found["CreationDate"] == "2020-09-13T12:26:40.000Z"
    assert found["LastModifiedDate"] == "2020-09-13T12:27:40.000Z"


def test_a_new_version_is_sent_only_once_it_is_active(room: Engage) -> None:
    create(room, Subject="one")
    update(room, new=True, Subject="two")
    assert get(room)["Subject"] == "one"
    assert get(room, Version="2")["Subject"] == get(room, Version="latest")["Subject"] == "two"
    activate(room, "2")
    assert (get(room)["Subject"], get(room)["Version"]) == ("two", "2")
    activate(room, "1")
    assert get(room)["Subject"] == "one"
    activate(room, "latest")
    assert get(room)["Subject"] == "two"


def activate(room: Engage, version: str) -> None:
    call(room, "UpdateTemplateActiveVersion", TemplateName="hello", TemplateType="EMAIL",
         TemplateActiveVersionRequest={"Version": version})  # fmt: skip


def test_versions_are_listed_in_pages(room: Engage) -> None:
    create(room, TemplateDescription="first")
    for _ in range(4):
        update(room, new=True)
    request = {"TemplateName": "hello", "TemplateType": "EMAIL", "PageSize": "2"}
    seen: list[str] = []
    token = None
    while True:
        answer = call(room, "ListTemplateVersions", **request, NextToken=token)
        seen += [item["Version"] for item in answer["Item"]]
        token = answer.get("NextToken")
        if not token:
            break
    assert seen == ["1", "2", "3", "4", "5"]


def test_templates_are_listed_in_pages_by_prefix_and_type(room: Engage) -> None:
    for name in ("a_1", "a_2", "a_3", "ab"):
        create(room, name=name)
    call(room, "CreateSmsTemplate", TemplateName="a_1", SMSTemplateRequest={"Body": "x"})
    first = call(room, "ListTemplates", Prefix="a_", TemplateType="EMAIL", PageSize="2")
    rest = call(room, "ListTemplates", Prefix="a_", TemplateType="EMAIL", PageSize="2",
                NextToken=first["NextToken"])  # fmt: skip
    assert [item["TemplateName"] for item in first["Item"] + rest["Item"]] == ["a_1", "a_2", "a_3"]
    assert "NextToken" not in rest


def test_a_deleted_template_is_gone_with_its_versions(room: Engage) -> None:
    create(room)
    update(room, new=True)
    call(room, "DeleteEmailTemplate", TemplateName="hello")
    with pytest.raises(NotFound):
        get(room)
    create(room)
    with pytest.raises(NotFound):
        get(room, Version="2")


def test_one_version_can_be_deleted_unless_it_is_active(room: Engage) -> None:
    create(room, Subject="one")
    update(room, new=True, Subject="two")
    with pytest.raises(Invalid, match="make another active first"):
        call(room, "DeleteEmailTemplate", TemplateName="hello", Version="1")
    call(room, "DeleteEmailTemplate", TemplateName="hello", Version="2")
    assert get(room, Version="latest")["Subject"] == "one"
    call(room, "DeleteEmailTemplate", TemplateName="hello", Version="1")
    with pytest.raises(NotFound):
        get(room)


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        ({"Version": "1", "CreateNewVersion": True}, Invalid, "not both"),
        ({"Version": "1"}, Invalid, "not the latest"),
        ({"Version": "x"}, NotFound, "no version 'x'"),
        ({"TemplateName": "nobody"}, NotFound, "no template nobody"),
    ],
)
def test_an_update_of_the_wrong_version_is_refused(
    room: Engage, request_: dict[str, Any], kind: type[Exception], words: str
) -> None:
    create(room)
    update(room, new=True)
    request = {"TemplateName": "hello", "EmailTemplateRequest": {"Subject": "late"}} | request_
    with pytest.raises(kind, match=words):
        call(room, "UpdateEmailTemplate", **request)
    assert "Subject" not in get(room, Version="latest")


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"HtmlPart": "a\n{{#if x}}"}, Invalid, "HtmlPart, line 2"),
        ({"Subject": "{{shout Id}}"}, Invalid, 'Subject, line 1, column 1: there is no'),
        ({"DefaultSubstitutions": "{"}, Invalid, "DefaultSubstitutions is not JSON"),
        ({"DefaultSubstitutions": "[]"}, Invalid, "has to be a JSON object"),
        ({"DefaultSubstitutions": '{"a": {}}'}, Invalid, "the value of 'a' is not a text"),
        ({"HtmlPart": "x" * 600_001}, TooLarge, "600001 characters; at most 600000"),
        ({"Headers": [{"Name": "X-A", "Value": "v"}] * 16}, TooLarge, "at most 15"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_sent_is_not_kept(
    room: Engage, body: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words.replace("(", r"\(")):
        create(room, **body)
    assert call(room, "ListTemplates")["Item"] == []


@pytest.mark.parametrize(
    ("operation", "member", "body"),
    [
        ("CreateSmsTemplate", "SMSTemplateRequest", {"Body": "x" * 1_601}),
        ("CreatePushTemplate", "PushNotificationTemplateRequest", {"GCM": {"Body": "x" * 4_001}}),
        ("CreatePushTemplate", "PushNotificationTemplateRequest", {"ADM": {"Body": "x" * 6_001}}),
        ("CreateVoiceTemplate", "VoiceTemplateRequest", {"Body": "x" * 10_001}),
    ],
)
def test_each_type_has_its_size(
    room: Engage, operation: str, member: str, body: dict[str, Any]
) -> None:
    with pytest.raises(TooLarge):
        call(room, operation, TemplateName="big", **{member: body})


@pytest.mark.parametrize("name", ["", "_a", "-a", "a b", "a/b", "ä", "a" * 129])
def test_a_name_is_letters_digits_underscores_and_hyphens(room: Engage, name: str) -> None:
    with pytest.raises(Invalid, match="TemplateName"):
        create(room, name=name)


def test_a_campaign_finds_the_active_version_or_the_one_it_names(room: Engage) -> None:
    create(room, **BODIES["EMAIL"])
    update(room, new=True, Subject="two")
    with room.db.read() as conn:
        active = templates.find(conn, CALLER, "EMAIL", "hello")
        named = templates.find(conn, CALLER, "EMAIL", "hello", "2")
    assert (active.version, named.version) == (1, 2)
    assert active.recommender_id == "rec-1"
    assert active.compile("EMAIL").render([{"Id": "i"}]) == [
        Rendered(subject="Hi you", html="<p>i</p>", text="i")
    ]
    assert named.compile("EMAIL").render([{}]) == [Rendered(subject="two")]


@pytest.mark.parametrize(
    ("channel", "rendered"),
    [
        ("GCM", Rendered(subject="Hello", text="Droid i")),
        ("APNS_SANDBOX", Rendered(subject="Hello", text="Hi i")),
    ],
)
def test_a_push_platform_without_its_own_words_takes_the_default_ones(
    room: Engage, channel: str, rendered: Rendered
) -> None:
    call(room, "CreatePushTemplate", TemplateName="p",
         PushNotificationTemplateRequest=BODIES["PUSH"])  # fmt: skip
    with room.db.read() as conn:
        template = templates.find(conn, CALLER, "PUSH", "p")
    assert template.compile(channel).render([{"Id": "i"}]) == [rendered]


def test_tags_are_read_and_replaced(room: Engage) -> None:
    create(room, tags={"a": "b"})
    with room.db.write() as conn:
        assert templates.tags(conn, CALLER, "EMAIL", "hello") == {"a": "b"}
        templates.set_tags(conn, CALLER, "EMAIL", "hello", {"c": "d"})
    assert get(room)["tags"] == {"c": "d"}
