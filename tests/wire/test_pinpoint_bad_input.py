"""Bad input to Pinpoint: each has a stated outcome, which names the field and what is right."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from tests import aws
from tests.conftest import Server

LATER = "2027-01-01T00:00:00Z"
WORDS = {"EmailMessage": {"Title": "t", "Body": "b"}}
RECOMMENDER = {"RecommendationProviderUri": "arn", "RecommendationProviderRoleArn": "arn"}


class Shop(NamedTuple):
    """An application with a segment, and a client that sends what it is given."""

    client: Any
    id: str
    segment: str


@pytest.fixture(scope="module")
def shop(server: Server) -> Shop:
    app = aws.create_app(server)
    client = server.client("pinpoint", parameter_validation=False)
    return Shop(client, app, aws.create_segment(server, app))


def said(shop: Shop, operation: str, **request: Any) -> str:
    """`<code>: <message>` of a refused request."""
    with pytest.raises(ClientError) as refused:
        getattr(shop.client, operation)(**request)
    error = refused.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def event(**more: Any) -> dict[str, Any]:
    types = {"DimensionType": "INCLUSIVE", "Values": ["cart"]}
    return {"FilterType": "ENDPOINT", "Dimensions": {"EventType": types}, **more}


CAMPAIGNS: list[tuple[dict[str, Any], str]] = [
    *(
        (
            {"TemplateConfiguration": {f"{kind}Template": {"Version": "1"}}},
            f"{kind.upper()} template",
        )
        for kind in ("Email", "SMS", "Push")
    ),
    ({"SegmentId": None}, "BadRequestException: SegmentId is missing"),
    ({"SegmentId": "0" * 32}, "NotFoundException: There is no segment 000"),
    ({"SegmentVersion": 99}, "version 99"),
    ({"Schedule": {"StartTime": "soon"}}, "Schedule.StartTime 'soon' is not an ISO 8601 time"),
    ({"Schedule": {"StartTime": "2020-01-01T00:00:00Z"}}, "has passed; IMMEDIATE"),
    ({"Schedule": {"StartTime": 12}}, "Schedule.StartTime' must be a string, not a number"),
    ({"Schedule": {"StartTime": LATER, "EndTime": "2026-12-31"}}, "EndTime lies before StartTime"),
    ({"Schedule": {"StartTime": LATER, "Timezone": "Mars/Base"}}, "Schedule.Timezone 'Mars/Base'"),
    ({"Schedule": {"StartTime": LATER, "Frequency": "YEARLY"}}, "enum value set: [ONCE, HOURLY"),
    ({"Schedule": {"StartTime": "IMMEDIATE", "IsLocalTime": True}}, "IsLocalTime needs"),
    ({"Schedule": {"StartTime": "IMMEDIATE", "Frequency": "EVENT"}}, "EventFilter is missing"),
    ({"Schedule": {"StartTime": LATER, "EventFilter": event()}}, "not with ONCE"),
    (
        {"Schedule": {"StartTime": LATER, "QuietTime": {"Start": "25:00", "End": "07:00"}}},
        "QuietTime.Start is '25:00'; HH:MM is right",
    ),
    ({"HoldoutPercent": 101}, "HoldoutPercent is 101; 0 to 100"),
    ({"HoldoutPercent": "ten"}, "HoldoutPercent' must be a whole number"),
    ({"AdditionalTreatments": [{"SizePercent": 60}] * 2}, "make 120"),
    ({"AdditionalTreatments": [{"SizePercent": 1}] * 5}, "4 is the limit"),
    ({"Limits": {"Daily": 101}}, "Limits.Daily is 101; 0 to 100"),
    ({"Limits": {"MessagesPerSecond": 20_001}}, "Limits.MessagesPerSecond"),
    ({"Limits": {"MaximumDuration": 59}}, "60 is the least"),
    ({"Hook": {"Mode": "FILTER"}}, "CampaignHook.LambdaFunctionName is missing"),
    ({"Hook": {"WebUrl": "http://x"}}, "https://host/path"),
    ({"MessageConfiguration": {}}, "nothing to send"),
    (
        {"MessageConfiguration": {"EmailMessage": {"Title": "t", "Body": "a\n {{odd a}}"}}},
        'Body, line 2, column 2: there is no helper "odd"',
    ),
    (
        {"MessageConfiguration": {"EmailMessage": {"Title": "{{#if x}}", "Body": "b"}}},
        "Title, line 1, column 10: this is not Handlebars",
    ),
    (
        {"TemplateConfiguration": {"EmailTemplate": {"Name": "gone"}}},
        "NotFoundException: There is no template gone of type EMAIL",
    ),
    (
        {"TemplateConfiguration": {"VoiceTemplate": {"Name": "v"}}},
        "NotImplemented: TemplateConfiguration.VoiceTemplate in campaigns",
    ),
    ({"CustomDeliveryConfiguration": {"DeliveryUri": "http://x"}}, "https://host/path"),
    (
        {
            "CustomDeliveryConfiguration": {"DeliveryUri": "f"},
            "MessageConfiguration": {"CustomMessage": {"Data": "x" * 5121}},
        },
        "CustomMessage.Data has 5121 bytes; 5120 is the limit",
    ),
    ({"Name": "\x00"}, "must not hold the NUL character"),
    ({"tags": {f"t{n}": "x" for n in range(51)}}, "51 tags; 50 is the limit"),
    ({"tags": {"t": "x" * 257}}, "128 and 256 are the limits"),
]


@pytest.mark.parametrize(("wrong", "words"), CAMPAIGNS)
def test_an_impossible_campaign_is_refused(shop: Shop, wrong: dict[str, Any], words: str) -> None:
    body = {
        "SegmentId": shop.segment, "Schedule": {"StartTime": LATER},
        "MessageConfiguration": WORDS, **wrong,
    }  # fmt: skip
    request = {"ApplicationId": shop.id, "WriteCampaignRequest": body}
    assert words in said(shop, "create_campaign", **request)


SEGMENTS: list[tuple[dict[str, Any], str]] = [
    ({"Attributes": {"a": {"AttributeType": "ODD", "Values": ["x"]}}}, "enum value set: [INCLUSI"),
    ({"Attributes": {"a": {"AttributeType": "BETWEEN", "Values": ["x"]}}}, "2 dates in Values"),
    ({"Attributes": {"a": {"Values": []}}}, "Attributes.a: Values is empty"),
    ({"Metrics": {"m": {"ComparisonOperator": "LIKE", "Value": 3}}}, "right are GREATER_THAN"),
    (
        {"Location": {"GPSPoint": {"Coordinates": {"Latitude": 1, "Longitude": 2}}}},
        "RangeInKilometers",
    ),
    ({"Behavior": {"Recency": {"Duration": "DAY_2", "RecencyType": "ACTIVE"}}}, "HR_24"),
    ({"Demographic": {"DeviceType": {"Values": ["x"]}}}, "'x' names no device"),
    ({"UserAttributes": {f"a{n}": {"Values": ["x"]} for n in range(101)}}, "at most 100"),
]


@pytest.mark.parametrize(("dimensions", "words"), SEGMENTS)
def test_an_impossible_segment_is_refused(
    shop: Shop, dimensions: dict[str, Any], words: str
) -> None:
    request = {"ApplicationId": shop.id, "WriteSegmentRequest": {"Dimensions": dimensions}}
    assert words in said(shop, "create_segment", **request)


def test_a_segment_that_would_contain_itself_is_refused(shop: Shop) -> None:
    def over(source: str) -> dict[str, Any]:
        return {"SegmentGroups": {"Groups": [{"SourceSegments": [{"Id": source}]}]}}

    made = shop.client.create_segment(ApplicationId=shop.id, WriteSegmentRequest=over(shop.segment))
    first, second = shop.segment, made["SegmentResponse"]["Id"]
    request = {"ApplicationId": shop.id, "SegmentId": first, "WriteSegmentRequest": over(second)}
    assert "make a circle" in said(shop, "update_segment", **request)


ENDPOINTS: list[tuple[str, dict[str, Any], str]] = [
    ("a${b}", {}, "without $, { and }"),
    ("a", {"ChannelType": "PIGEON"}, "enum value set: [PUSH"),
    ("a", {"Attributes": {"x": ["y" * 101]}}, "101 characters; 100 is the limit"),
    ("a", {"Attributes": {"x": ["y"] * 51}}, "51 values; 50 is the limit"),
    ("a", {"Attributes": {"x": [{"y": 1}]}}, "must be a string, not an object"),
    ("a", {"EffectiveDate": "never"}, "EffectiveDate 'never' is not ISO 8601"),
    ("a", {"User": {"UserId": 7}}, "UserId' must be a string"),
    ("a", {"Address": "x" * 20_000}, "PayloadTooLargeException: Endpoint a has"),
    ("a", {"Attributes": {"x": ["\x00"]}}, "NUL"),
]


@pytest.mark.parametrize(("endpoint_id", "body", "words"), ENDPOINTS)
def test_an_impossible_endpoint_is_refused(
    shop: Shop, endpoint_id: str, body: dict[str, Any], words: str
) -> None:
    request = {"ApplicationId": shop.id, "EndpointId": endpoint_id, "EndpointRequest": body}
    assert words in said(shop, "update_endpoint", **request)


OTHERS: list[tuple[str, dict[str, Any], str]] = [
    (
        "create_email_template",
        {"TemplateName": "t", "EmailTemplateRequest": {"HtmlPart": "<p>\n{{#each x}}"}},
        "HtmlPart, line 2, column 12",
    ),
    (
        "create_email_template",
        {"TemplateName": "t", "EmailTemplateRequest": {"HtmlPart": "x" * 600_001}},
        "PayloadTooLargeException: The template has 600001 characters",
    ),
    (
        "create_in_app_template",
        {"TemplateName": "t", "InAppTemplateRequest": {}},
        "BadRequestException: Content is missing",
    ),
    (
        "create_recommender_configuration",
        {"CreateRecommenderConfiguration": RECOMMENDER},
        "RecommendationProviderUri 'arn' is not the ARN",
    ),
    ("get_recommender_configuration", {"RecommenderId": "x"}, "NotFoundException"),
    ("get_app", {"ApplicationId": "0" * 32}, "NotFoundException: There is no application"),
]


@pytest.mark.parametrize(("operation", "request_", "words"), OTHERS)
def test_other_impossible_things_are_refused(
    shop: Shop, operation: str, request_: dict[str, Any], words: str
) -> None:
    assert words in said(shop, operation, **request_)


def test_an_endpoint_nobody_knows_has_no_in_app_messages(shop: Shop) -> None:
    request = {"ApplicationId": shop.id, "EndpointId": "nobody"}
    assert "NotFoundException" in said(shop, "get_in_app_messages", **request)
