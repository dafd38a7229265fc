"""What IAM calls each operation and its resource, as the services' own lists say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tailorbird.access import Access, Caller, roles
from tailorbird.clock import TestClock
from tailorbird.gateway import actions
from tailorbird.gateway.services import SERVICES
from tailorbird.gateway.wire.model import load
from tailorbird.settings import Settings
from tailorbird.store import Database

ACCOUNT = "123456789012"
CALLER = Caller(
    ACCOUNT, "us-east-1", f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s", "ASIA", "request"
)
PINPOINT = f"arn:aws:mobiletargeting:us-east-1:{ACCOUNT}:"
PERSONALIZE = f"arn:aws:personalize:us-east-1:{ACCOUNT}:"
LAMBDA = f"arn:aws:lambda:us-east-1:{ACCOUNT}:"
LOGS = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:"
IAM = f"arn:aws:iam::{ACCOUNT}:"
APP = {"ApplicationId": "a1"}
CAMPAIGN = {**APP, "CampaignId": "c1"}
SEGMENT = {**APP, "SegmentId": "s1"}
ENDPOINT = {**APP, "EndpointId": "e1"}
TEMPLATE = {"TemplateName": "t", "TemplateType": "email"}
GROUP = PERSONALIZE + "dataset-group/shop"
FUNCTION = {"FunctionName": "f"}
ACTION = re.compile(r"[a-z]+:[A-Za-z0-9]+")

CASES: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("pinpoint", "CreateApp", {}, "mobiletargeting:CreateApp", PINPOINT + "apps"),
    ("pinpoint", "GetApps", {}, "mobiletargeting:GetApps", PINPOINT + "apps"),
    ("pinpoint", "GetApp", APP, "mobiletargeting:GetApp", PINPOINT + "apps/a1"),
    ("pinpoint", "PutEvents", APP, "mobiletargeting:PutEvents", PINPOINT + "apps/a1/events"),
    (
        "pinpoint",
        "UpdateEndpoint",
        ENDPOINT,
        "mobiletargeting:UpdateEndpoint",
        PINPOINT + "apps/a1/endpoints/e1",
    ),
    (
        "pinpoint",
        "UpdateEndpointsBatch",
        APP,
        "mobiletargeting:UpdateEndpointsBatch",
        PINPOINT + "apps/a1",
    ),
    (
        "pinpoint",
        "GetUserEndpoints",
        {**APP, "UserId": "u"},
        "mobiletargeting:GetUserEndpoints",
        PINPOINT + "apps/a1/users/u",
    ),
    (
        "pinpoint",
        "CreateCampaign",
        APP,
        "mobiletargeting:CreateCampaign",
        PINPOINT + "apps/a1/campaigns",
    ),
    (
        "pinpoint",
        "GetCampaignVersion",
        {**CAMPAIGN, "Version": "2"},
        "mobiletargeting:GetCampaignVersion",
        PINPOINT + "apps/a1/campaigns/c1",
    ),
    (
        "pinpoint",
        "GetCampaignDateRangeKpi",
        {**CAMPAIGN, "KpiName": "k"},
        "mobiletargeting:GetCampaignDateRangeKpi",
        PINPOINT + "apps/a1/campaigns/c1/kpis/daterange/k",
    ),
    ("pinpoint", "CreateSegment", APP, "mobiletargeting:CreateSegment", PINPOINT + "apps/a1"),
    (
        "pinpoint",
        "GetSegmentVersions",
        SEGMENT,
        "mobiletargeting:GetSegmentVersions",
        PINPOINT + "apps/a1/segments/s1",
    ),
    (
        "pinpoint",
        "SendUsersMessages",
        APP,
        "mobiletargeting:SendUsersMessages",
        PINPOINT + "apps/a1/messages",
    ),
    (
        "pinpoint",
        "CreateEmailTemplate",
        TEMPLATE,
        "mobiletargeting:CreateEmailTemplate",
        PINPOINT + "templates/t/EMAIL",
    ),
    ("pinpoint", "ListTemplateVersions", TEMPLATE, "mobiletargeting:ListTemplateVersions", "*"),
    (
        "pinpoint",
        "TagResource",
        {"ResourceArn": PINPOINT + "apps/a1"},
        "mobiletargeting:TagResource",
        PINPOINT + "apps/a1",
    ),
    (
        "pinpoint",
        "GetRecommenderConfiguration",
        {"RecommenderId": "r"},
        "mobiletargeting:GetRecommenderConfiguration",
        PINPOINT + "recommenders/r",
    ),
    (
        "personalize-runtime",
        "GetRecommendations",
        {"campaignArn": PERSONALIZE + "campaign/shop", "userId": "u"},
        "personalize:GetRecommendations",
        PERSONALIZE + "campaign/shop",
    ),
    ("personalize-events", "PutEvents", {"trackingId": "t"}, "personalize:PutEvents", "*"),
    (
        "personalize-events",
        "PutItems",
        {"datasetArn": PERSONALIZE + "dataset/shop/ITEMS"},
        "personalize:PutItems",
        PERSONALIZE + "dataset/shop/ITEMS",
    ),
    (
        "personalize",
        "CreateDatasetGroup",
        {"name": "shop"},
        "personalize:CreateDatasetGroup",
        GROUP,
    ),
    (
        "personalize",
        "CreateDataset",
        {"name": "x", "datasetGroupArn": GROUP, "datasetType": "Interactions"},
        "personalize:CreateDataset",
        PERSONALIZE + "dataset/shop/INTERACTIONS",
    ),
    (
        "personalize",
        "CreateDatasetImportJob",
        {"jobName": "j"},
        "personalize:CreateDatasetImportJob",
        PERSONALIZE + "dataset-import-job/j",
    ),
    (
        "personalize",
        "CreateSolutionVersion",
        {"solutionArn": PERSONALIZE + "solution/s"},
        "personalize:CreateSolutionVersion",
        PERSONALIZE + "solution/s",
    ),
    (
        "personalize",
        "CreateEventTracker",
        {"name": "t", "datasetGroupArn": GROUP},
        "personalize:CreateEventTracker",
        PERSONALIZE + "event-tracker/*",
    ),
    (
        "personalize",
        "DeleteCampaign",
        {"campaignArn": PERSONALIZE + "campaign/c"},
        "personalize:DeleteCampaign",
        PERSONALIZE + "campaign/c",
    ),
    (
        "personalize",
        "UpdateCampaign",
        {"campaignArn": PERSONALIZE + "campaign/c", "solutionVersionArn": "x"},
        "personalize:UpdateCampaign",
        PERSONALIZE + "campaign/c",
    ),
    (
        "personalize",
        "GetSolutionMetrics",
        {"solutionVersionArn": PERSONALIZE + "solution/s/1"},
        "personalize:GetSolutionMetrics",
        PERSONALIZE + "solution/s/1",
    ),
    ("personalize", "ListCampaigns", {"solutionArn": "x"}, "personalize:ListCampaigns", "*"),
    ("lambda", "ListFunctions", {}, "lambda:ListFunctions", "*"),
    ("lambda", "CreateFunction", FUNCTION, "lambda:CreateFunction", LAMBDA + "function:f"),
    (
        "lambda",
        "GetFunction",
        {**FUNCTION, "Qualifier": "live"},
        "lambda:GetFunction",
        LAMBDA + "function:f:live",
    ),
    (
        "lambda",
        "GetFunction",
        {"FunctionName": f"{ACCOUNT}:function:f"},
        "lambda:GetFunction",
        LAMBDA + "function:f",
    ),
    (
        "lambda",
        "PublishLayerVersion",
        {"LayerName": "l"},
        "lambda:PublishLayerVersion",
        LAMBDA + "layer:l",
    ),
    (
        "lambda",
        "GetLayerVersion",
        {"LayerName": "l", "VersionNumber": 3},
        "lambda:GetLayerVersion",
        LAMBDA + "layer:l:3",
    ),
    (
        "lambda",
        "GetLayerVersionByArn",
        {"Arn": LAMBDA + "layer:l:3"},
        "lambda:GetLayerVersion",
        LAMBDA + "layer:l:3",
    ),
    (
        "lambda",
        "TagResource",
        {"Resource": LAMBDA + "function:f"},
        "lambda:TagResource",
        LAMBDA + "function:f",
    ),
    ("logs", "DescribeLogGroups", {}, "logs:DescribeLogGroups", LOGS + ":log-stream:"),
    (
        "logs",
        "FilterLogEvents",
        {"logGroupName": "/aws/lambda/f"},
        "logs:FilterLogEvents",
        LOGS + "/aws/lambda/f:log-stream:",
    ),
    (
        "logs",
        "GetLogEvents",
        {"logGroupIdentifier": LOGS + "/aws/lambda/f:*", "logStreamName": "s"},
        "logs:GetLogEvents",
        LOGS + "/aws/lambda/f:log-stream:s",
    ),
    ("iam", "ListRoles", {}, "iam:ListRoles", "*"),
    (
        "iam",
        "CreateRole",
        {"Path": "/jobs/", "RoleName": "etl"},
        "iam:CreateRole",
        IAM + "role/jobs/etl",
    ),
    ("iam", "GetRole", {"RoleName": "deep"}, "iam:GetRole", IAM + "role/jobs/deep"),
    ("iam", "GetRole", {"RoleName": "none"}, "iam:GetRole", IAM + "role/none"),
    ("iam", "CreatePolicy", {"PolicyName": "p"}, "iam:CreatePolicy", IAM + "policy/p"),
    ("iam", "GetPolicy", {"PolicyArn": IAM + "policy/p"}, "iam:GetPolicy", IAM + "policy/p"),
    (
        "iam",
        "AttachRolePolicy",
        {"RoleName": "deep", "PolicyArn": IAM + "policy/p"},
        "iam:AttachRolePolicy",
        IAM + "role/jobs/deep",
    ),
    ("sts", "GetAccessKeyInfo", {"AccessKeyId": "A"}, "sts:GetAccessKeyInfo", "*"),
]


@pytest.fixture
def room(db: Database, settings: Settings) -> Access:
    made = Access(db, TestClock(1_800_000_000.0), settings)
    trust = (
        '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", '
        '"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}'
    )
    roles.create_role(made, ACCOUNT, "deep", trust, path="/jobs/")
    return made


def test_an_operation_has_its_action_and_its_resource(room: Access) -> None:
    found = []
    for service, operation, request, _, _ in CASES:
        asked = actions.asked(room, CALLER, service, operation, request)
        assert asked is not None
        found.append((service, operation, request, asked.actions[0], asked.resource))
    assert found == CASES


def test_put_events_has_the_name_of_the_preview_as_well(room: Access) -> None:
    asked = actions.asked(room, CALLER, "personalize-events", "PutEvents", {"trackingId": "t"})
    assert asked is not None
    assert asked.actions == ("personalize:PutEvents", "personalize:Record")


@pytest.mark.parametrize(
    ("service", "operation"),
    [("lambda", "Invoke"), ("sts", "AssumeRole"), ("sts", "GetCallerIdentity")],
)
def test_what_is_decided_elsewhere_is_not_asked_here(
    room: Access, service: str, operation: str
) -> None:
    assert actions.asked(room, CALLER, service, operation, {**FUNCTION}) is None


SERVICES_ASKED = [service.key for service in SERVICES if service.key != "s3"]


@pytest.mark.parametrize("service", SERVICES_ASKED)
def test_every_operation_of_a_service_asks_for_something(room: Access, service: str) -> None:
    """Also those that are not built yet: whoever builds one need not think of this."""
    model = load(service)
    for operation, spec in model.operations.items():
        request = sample(model, spec)
        asked = actions.asked(room, CALLER, service, operation, request)
        if asked is None:
            continue
        assert all(ACTION.fullmatch(action) for action in asked.actions), operation
        assert asked.resource == "*" or asked.resource.startswith("arn:aws:"), operation


def sample(model: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """The required members of the operation, each with a word or an ARN."""
    if "input" not in spec:
        return {}
    shape = model.shape(spec["input"])
    arn = PERSONALIZE + "thing/x"
    words = {name: arn if name.lower().endswith("arn") else "x" for name in shape["members"]}
    words |= {name: LAMBDA + "function:x" for name in ("Resource",) if name in words}
    return {name: words[name] for name in shape.get("required", ())}
