"""Pinpoint through the real boto3: what scripts written for it rely on."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import aws
from tests.conftest import Server, wait_for

HEX32 = re.compile(r"[0-9a-f]{32}")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UNKNOWN = "0" * 32


@pytest.fixture(scope="module")
def pinpoint(server: Server) -> Any:
    return server.client("pinpoint")


@pytest.fixture
def app_id(server: Server) -> str:
    return aws.create_app(server)


def status(answer: dict[str, Any]) -> int:
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def test_an_application_lives_through_its_operations(pinpoint: Any) -> None:
    made = pinpoint.create_app(CreateApplicationRequest={"Name": "shop", "tags": {"team": "a"}})
    app = made["ApplicationResponse"]
    assert status(made) == 201
    assert HEX32.fullmatch(app["Id"])
    assert ISO.fullmatch(app["CreationDate"])
    assert app["Arn"] == f"arn:aws:mobiletargeting:us-east-1:{aws.ACCOUNT}:apps/{app['Id']}"
    assert pinpoint.get_app(ApplicationId=app["Id"])["ApplicationResponse"] == app
    assert app in every(pinpoint.get_apps, "ApplicationsResponse")
    assert pinpoint.delete_app(ApplicationId=app["Id"])["ApplicationResponse"] == app
    with pytest.raises(pinpoint.exceptions.NotFoundException):
        pinpoint.get_app(ApplicationId=app["Id"])


def every(operation: Any, payload: str, **arguments: Any) -> list[dict[str, Any]]:
    """All items of a list, by pages of two."""
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = operation(PageSize="2", **token, **arguments)[payload]
        assert len(answer["Item"]) <= 2
        found += answer["Item"]
        if "NextToken" not in answer:
            return found
        token = {"Token": answer["NextToken"]}


def test_lists_come_in_pages(pinpoint: Any, app_id: str) -> None:
    for n in range(5):
        wanted = {"Name": f"s{n}", "Dimensions": {}}
        pinpoint.create_segment(ApplicationId=app_id, WriteSegmentRequest=wanted)
    found = every(pinpoint.get_segments, "SegmentsResponse", ApplicationId=app_id)
    assert [segment["Name"] for segment in found] == [f"s{n}" for n in range(5)]


def test_settings_can_be_read_before_they_are_written(pinpoint: Any, app_id: str) -> None:
    read = pinpoint.get_application_settings(ApplicationId=app_id)
    assert read["ApplicationSettingsResource"] == {"ApplicationId": app_id}
    hook = {"LambdaFunctionName": "f", "Mode": "FILTER"}
    limits = {"Daily": 5, "Total": 50, "MessagesPerSecond": 100, "MaximumDuration": 600}
    pinpoint.update_application_settings(
        ApplicationId=app_id,
        WriteApplicationSettingsRequest={"CampaignHook": hook, "Limits": limits},
    )
    read = pinpoint.get_application_settings(ApplicationId=app_id)["ApplicationSettingsResource"]
    assert (read["CampaignHook"], read["Limits"]) == (hook, limits)


def test_endpoints_merge_and_ids_have_no_case(pinpoint: Any, app_id: str) -> None:
    def write(endpoint_id: str, **given: Any) -> None:
        answer = pinpoint.update_endpoint(
            ApplicationId=app_id, EndpointId=endpoint_id, EndpointRequest=given
        )
        assert status(answer) == 202
        assert answer["MessageBody"]["Message"] == "Accepted"

    write("Ana", ChannelType="EMAIL", Address="ana@example.com", Attributes={"a": ["1"]})
    write("ANA", Attributes={"b": ["2"]}, Metrics={"m": 1.5}, User={"UserId": "u"})
    read = pinpoint.get_endpoint(ApplicationId=app_id, EndpointId="ana")["EndpointResponse"]
    assert read["Attributes"] == {"a": ["1"], "b": ["2"]}
    assert read["Metrics"] == {"m": 1.5}
    people = pinpoint.get_user_endpoints(ApplicationId=app_id, UserId="u")
    assert [e["Id"] for e in people["EndpointsResponse"]["Item"]] == ["Ana"]
    gone = pinpoint.delete_user_endpoints(ApplicationId=app_id, UserId="u")
    assert status(gone) == 202
    with pytest.raises(pinpoint.exceptions.NotFoundException, match="no endpoint"):
        pinpoint.get_endpoint(ApplicationId=app_id, EndpointId="ana")


def test_segments_keep_their_versions(pinpoint: Any, app_id: str) -> None:
    tea = {"Attributes": {"likes": {"AttributeType": "INCLUSIVE", "Values": ["tea"]}}}
    made = pinpoint.create_segment(
        ApplicationId=app_id, WriteSegmentRequest={"Name": "tea", "Dimensions": tea}
    )
    segment = made["SegmentResponse"]
    assert status(made) == 201
    assert (segment["SegmentType"], segment["Version"]) == ("DIMENSIONAL", 1)
    which = {"ApplicationId": app_id, "SegmentId": segment["Id"]}
    rum = {"Location": {"Country": {"DimensionType": "INCLUSIVE", "Values": ["NL"]}}}
    pinpoint.update_segment(**which, WriteSegmentRequest={"Dimensions": rum})
    latest = pinpoint.get_segment(**which)["SegmentResponse"]
    assert (latest["Name"], latest["Version"], latest["Dimensions"]) == ("tea", 2, rum)
    first = pinpoint.get_segment_version(**which, Version="1")["SegmentResponse"]
    assert first["Dimensions"] == tea
    versions = pinpoint.get_segment_versions(**which)["SegmentsResponse"]["Item"]
    assert [version["Version"] for version in versions] == [1, 2]
    with pytest.raises(pinpoint.exceptions.NotFoundException, match="version 3"):
        pinpoint.get_segment_version(**which, Version="3")


def test_a_campaign_with_a_hook_reaches_whom_the_hook_returns(
    server: Server, pinpoint: Any, app_id: str
) -> None:
    source = (
        "def handler(event, context):\n"
        "    return {k: e for k, e in event['Endpoints'].items() if k != 'ben'}\n"
    )
    function = f"not-ben-{app_id[:8]}"
    aws.python_function(server, function, source)
    aws.put_people(server, app_id, ("ana", "ben", "cem"))
    segment = aws.create_segment(server, app_id)
    hook = {"LambdaFunctionName": function, "Mode": "FILTER"}

    refused = aws.create_campaign(server, app_id, segment, Hook=hook)
    activity = aws.finished_activity(server, app_id, refused)
    assert activity["Result"] == "FAIL"
    assert aws.mails(server, app_id, refused) == {}

    aws.allow_pinpoint(server, function, app_id)
    name = "Hello {{User.UserAttributes.Name}}"
    sent = aws.create_campaign(server, app_id, segment, name, Hook=hook)
    activity = aws.finished_activity(server, app_id, sent)
    assert (activity["Result"], activity["SuccessfulEndpointCount"]) == ("SUCCESS", 2)
    assert activity["TotalEndpointCount"] == 3
    assert activity["ExecutionMetrics"]["FILTERED_OUT_BY_HOOK"] == "1"
    assert aws.mails(server, app_id, sent) == {
        "ana@example.com": "Hello ana",
        "cem@example.com": "Hello cem",
    }
    campaign = pinpoint.get_campaign(ApplicationId=app_id, CampaignId=sent)["CampaignResponse"]
    assert campaign["State"] == {"CampaignStatus": "COMPLETED"}
    assert (campaign["Hook"], campaign["SegmentVersion"]) == (hook, 1)


def test_a_campaign_is_resumed_with_nothing_but_is_paused(
    server: Server, pinpoint: Any, app_id: str
) -> None:
    segment = aws.create_segment(server, app_id)
    campaign = aws.create_campaign(server, app_id, segment, IsPaused=True, Hook={}, tags={})
    which = {"ApplicationId": app_id, "CampaignId": campaign}
    paused = pinpoint.get_campaign(**which)["CampaignResponse"]
    assert paused["State"] == {"CampaignStatus": "PAUSED"}
    answer = pinpoint.update_campaign(**which, WriteCampaignRequest={"IsPaused": False})
    resumed = answer["CampaignResponse"]
    assert resumed["MessageConfiguration"] == paused["MessageConfiguration"]
    assert resumed["Version"] == 2
    assert aws.finished_activity(server, app_id, campaign)["Result"] == "SUCCESS"
    old = pinpoint.get_campaign_version(**which, Version="1")["CampaignResponse"]
    assert old["IsPaused"] is True
    deleted = pinpoint.delete_campaign(**which)["CampaignResponse"]
    assert deleted["State"] == {"CampaignStatus": "DELETED"}


def test_a_campaign_of_a_template_takes_the_sender_of_its_message(
    server: Server, pinpoint: Any, app_id: str
) -> None:
    template = f"welcome-{app_id}"
    pinpoint.create_email_template(
        TemplateName=template,
        EmailTemplateRequest={
            "Subject": "Hi {{User.UserAttributes.Name}}",
            "HtmlPart": "<b>{{User.UserAttributes.City}}</b>",
            "DefaultSubstitutions": '{"User.UserAttributes.City": "your town"}',
        },
    )
    aws.put_people(server, app_id, ("ana",))
    segment = aws.create_segment(server, app_id)
    campaign = aws.create_campaign(
        server,
        app_id,
        segment,
        TemplateConfiguration={"EmailTemplate": {"Name": template}},
        MessageConfiguration={"EmailMessage": {"FromAddress": "other@example.com"}},
    )
    aws.finished_activity(server, app_id, campaign)
    assert aws.mails(server, app_id, campaign) == {"ana@example.com": "<b>your town</b>"}
    (mail,) = (server.data / "inbox" / app_id / campaign).glob("*.eml")
    assert "From: other@example.com" in mail.read_text()


def test_a_scheduled_campaign_takes_a_time_without_an_offset(
    server: Server, pinpoint: Any, app_id: str
) -> None:
    segment = aws.create_segment(server, app_id)
    start = {"StartTime": "2099-01-01T10:00:00.123456"}
    campaign = aws.create_campaign(server, app_id, segment, Schedule=start)
    which = {"ApplicationId": app_id, "CampaignId": campaign}
    (activity,) = pinpoint.get_campaign_activities(**which)["ActivitiesResponse"]["Item"]
    assert activity["State"] == "PENDING"
    assert activity["ScheduledStart"] == "2099-01-01T10:00:00.123Z"


def test_the_email_channel_counts_its_versions(pinpoint: Any, app_id: str) -> None:
    read = pinpoint.get_email_channel(ApplicationId=app_id)["EmailChannelResponse"]
    assert (read["Platform"], read["Enabled"], read["Version"]) == ("EMAIL", True, 1)
    channels = pinpoint.get_channels(ApplicationId=app_id)["ChannelsResponse"]["Channels"]
    assert list(channels) == ["EMAIL"]
    assert pinpoint.delete_email_channel(ApplicationId=app_id)["EmailChannelResponse"] == read
    with pytest.raises(pinpoint.exceptions.NotFoundException, match="not set up"):
        pinpoint.get_email_channel(ApplicationId=app_id)


SCHEDULE = {"StartTime": "IMMEDIATE"}
MAIL = {"EmailMessage": {"Title": "t", "Body": "b"}}
REFUSED = {
    "no schedule": ({"Schedule": None}, 400, "StartTime is missing"),
    "no message": ({"MessageConfiguration": None}, 400, "nothing to send"),
    "no segment": ({"SegmentId": None}, 400, "SegmentId is missing"),
    "an unknown segment": ({"SegmentId": UNKNOWN}, 404, f"no segment {UNKNOWN}"),
    "an unknown version": ({"SegmentVersion": 9}, 404, "version 9"),
    "a time gone by": ({"Schedule": {"StartTime": "2020-01-01T00:00:00Z"}}, 400, "has passed"),
    "no time at all": ({"Schedule": {"StartTime": "soon"}}, 400, "not an ISO 8601 time"),
    "an end before the start": (
        {"Schedule": {"StartTime": "2099-01-02", "EndTime": "2099-01-01"}}, 400, "before StartTime",
    ),
    "a holdout of 101": ({"HoldoutPercent": 101}, 400, "0 to 100"),
    "a daily limit of 101": ({"Limits": {"Daily": 101}}, 400, "0 to 100"),
    "a total limit of 101": ({"Limits": {"Total": 101}}, 400, "0 to 100"),
    "a duration of 59 s": ({"Limits": {"MaximumDuration": 59}}, 400, "60 is the least"),
    "20,001 a second": ({"Limits": {"MessagesPerSecond": 20001}}, 400, "1 to 20000"),
    "a hook without a name": ({"Hook": {"Mode": "FILTER"}}, 400, "LambdaFunctionName is missing"),
    "a template that does not compile": (
        {"MessageConfiguration": {"EmailMessage": {"Title": "t", "Body": "{{#if}}"}}},
        400, "line 1",
    ),
    "a template that is not there": (
        {"TemplateConfiguration": {"EmailTemplate": {"Name": "nowhere"}}}, 404, "nowhere",
    ),
    "an in-app message without its frequency": (
        {"MessageConfiguration": {"InAppMessage": {"Layout": "TOP_BANNER"}}}, 400, "IN_APP_EVENT",
    ),
    "a voice template": (
        {"TemplateConfiguration": {"VoiceTemplate": {"Name": "v"}}}, 501, "VoiceTemplate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("given, code, words", REFUSED.values(), ids=list(REFUSED))
def test_campaigns_that_cannot_run_are_refused_and_not_kept(
    server: Server, pinpoint: Any, refused_app: tuple[str, str], given: Any, code: int, words: str
) -> None:
    app_id, segment = refused_app
    wanted = {
        "Name": "n", "SegmentId": segment, "Schedule": SCHEDULE, "MessageConfiguration": MAIL,
        **given,
    }  # fmt: skip
    wanted = {part: value for part, value in wanted.items() if value is not None}
    with pytest.raises(ClientError) as caught:
        pinpoint.create_campaign(ApplicationId=app_id, WriteCampaignRequest=wanted)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == code
    assert words in str(caught.value)
    assert pinpoint.get_campaigns(ApplicationId=app_id)["CampaignsResponse"]["Item"] == []


@pytest.fixture(scope="module")
def refused_app(server: Server) -> tuple[str, str]:
    app_id = aws.create_app(server, "refusals")
    return app_id, aws.create_segment(server, app_id)


def test_unknown_things_are_the_typed_not_found(pinpoint: Any, app_id: str) -> None:
    missing = pinpoint.exceptions.NotFoundException
    for call in (
        lambda: pinpoint.get_app(ApplicationId=UNKNOWN),
        lambda: pinpoint.get_segment(ApplicationId=app_id, SegmentId=UNKNOWN),
        lambda: pinpoint.get_campaign(ApplicationId=app_id, CampaignId=UNKNOWN),
        lambda: pinpoint.get_campaign_activities(ApplicationId=app_id, CampaignId=UNKNOWN),
        lambda: pinpoint.get_user_endpoints(ApplicationId=app_id, UserId="nobody"),
        lambda: pinpoint.delete_endpoint(ApplicationId=app_id, EndpointId="nobody"),
    ):
        with pytest.raises(missing):
            call()


def test_bad_endpoints_are_the_typed_bad_request(pinpoint: Any, app_id: str) -> None:
    with pytest.raises(pinpoint.exceptions.BadRequestException, match="101 characters"):
        pinpoint.update_endpoint(
            ApplicationId=app_id, EndpointId="e", EndpointRequest={"Attributes": {"a": ["x" * 101]}}
        )
    items = [{"Id": str(n)} for n in range(101)]
    with pytest.raises(pinpoint.exceptions.BadRequestException, match="at most 100"):
        pinpoint.update_endpoints_batch(ApplicationId=app_id, EndpointBatchRequest={"Item": items})


def test_what_is_not_built_says_so_by_name(pinpoint: Any) -> None:
    with pytest.raises(ClientError, match="PhoneNumberValidate") as caught:
        pinpoint.phone_number_validate(NumberValidateRequest={"PhoneNumber": "+31612345678"})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_an_application_of_another_region_is_not_found(server: Server, app_id: str) -> None:
    elsewhere = server.client("pinpoint", region="eu-west-1")
    with pytest.raises(elsewhere.exceptions.NotFoundException):
        elsewhere.get_app(ApplicationId=app_id)


def test_a_deleted_campaign_stops_where_it_is(server: Server, pinpoint: Any, app_id: str) -> None:
    aws.put_people(server, app_id, (f"p{n}" for n in range(200)))
    segment = aws.create_segment(server, app_id)
    limits = {"MessagesPerSecond": 20}
    campaign = aws.create_campaign(server, app_id, segment, Limits=limits)
    which = {"ApplicationId": app_id, "CampaignId": campaign}
    wait_for(lambda: aws.mails(server, app_id, campaign))
    pinpoint.delete_campaign(**which)

    def settled() -> Any:
        (activity,) = pinpoint.get_campaign_activities(**which)["ActivitiesResponse"]["Item"]
        return activity["ExecutionMetrics"] and activity

    activity = wait_for(settled)
    assert activity["State"] == "CANCELLED"
    metrics = {name: int(value) for name, value in activity["ExecutionMetrics"].items()}
    assert (metrics["ENDPOINT_SENT"], metrics["CANCELLED"]) == (50, 150)


def test_tags_come_and_go(server: Server, pinpoint: Any, app_id: str) -> None:
    segment = aws.create_segment(server, app_id)
    campaign = aws.create_campaign(server, app_id, segment, tags={"first": "1"}, IsPaused=True)
    root = f"arn:aws:mobiletargeting:us-east-1:{aws.ACCOUNT}:apps/{app_id}"
    pinpoint.create_email_template(
        TemplateName=f"t-{app_id}", EmailTemplateRequest={"Subject": "s"}
    )
    template = f"arn:aws:mobiletargeting:us-east-1:{aws.ACCOUNT}:templates/t-{app_id}/EMAIL"
    for arn in (root, f"{root}/segments/{segment}", f"{root}/campaigns/{campaign}", template):
        pinpoint.tag_resource(ResourceArn=arn, TagsModel={"tags": {"team": "a", "x y": "ü/=&"}})
        pinpoint.untag_resource(ResourceArn=arn, TagKeys=["team", "first"])
        read = pinpoint.list_tags_for_resource(ResourceArn=arn)["TagsModel"]["tags"]
        assert read == {"x y": "ü/=&"}
    app = pinpoint.get_app(ApplicationId=app_id)["ApplicationResponse"]
    assert app["tags"] == {"x y": "ü/=&"}
    with pytest.raises(pinpoint.exceptions.NotFoundException):
        pinpoint.list_tags_for_resource(ResourceArn=f"{root}/segments/{UNKNOWN}")
    with pytest.raises(pinpoint.exceptions.BadRequestException):
        pinpoint.list_tags_for_resource(ResourceArn="arn:aws:s3:::bucket")
    many = {str(n): "v" for n in range(50)}
    with pytest.raises(pinpoint.exceptions.BadRequestException, match="51 tags"):
        pinpoint.tag_resource(ResourceArn=root, TagsModel={"tags": many})


def test_a_message_goes_straight_to_an_address(server: Server, pinpoint: Any, app_id: str) -> None:
    mail = {"SimpleEmail": {"Subject": {"Data": "Hi"}, "TextPart": {"Data": "{{code}}"}}}
    answer = pinpoint.send_messages(
        ApplicationId=app_id,
        MessageRequest={
            "Addresses": {
                "ana@example.com": {"ChannelType": "EMAIL", "Substitutions": {"code": ["42"]}}
            },
            "MessageConfiguration": {"EmailMessage": mail},
        },
    )["MessageResponse"]
    assert answer["Result"]["ana@example.com"]["DeliveryStatus"] == "SUCCESSFUL"
    assert aws.mails(server, app_id, "direct") == {"ana@example.com": "42"}
