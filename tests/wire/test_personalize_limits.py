"""Bad input: every create with a missing parent, a wrong name, enum or role, by the real boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from tests.conftest import Server
from tests.unit.learn.conftest import schema_text

ARN = "arn:aws:personalize:us-east-1:123456789012:"
ROLE = "arn:aws:iam::123456789012:role/r"
PATHS = {
    "jobInput": {"s3DataSource": {"path": "s3://data/in.json"}},
    "jobOutput": {"s3DataDestination": {"path": "s3://data/out/"}},
}
GROUP, VERSION = ARN + "dataset-group/none", ARN + "solution/none/1"
NO_PARENT: dict[str, dict[str, Any]] = {
    "create_dataset": {
        "name": "x",
        "schemaArn": ARN + "schema/none",
        "datasetGroupArn": GROUP,
        "datasetType": "Items",
    },
    "create_dataset_import_job": {
        "jobName": "x",
        "datasetArn": ARN + "dataset/none/ITEMS",
        "dataSource": {"dataLocation": "s3://data/b"},
        "roleArn": ROLE,
    },
    "create_dataset_export_job": {
        "jobName": "x",
        "datasetArn": ARN + "dataset/none/ITEMS",
        "roleArn": ROLE,
        "jobOutput": PATHS["jobOutput"],
    },
    "create_data_deletion_job": {
        "jobName": "x",
        "datasetGroupArn": GROUP,
        "dataSource": {"dataLocation": "s3://data/b"},
        "roleArn": ROLE,
    },
    "create_solution": {
        "name": "x",
        "datasetGroupArn": GROUP,
        "recipeArn": "arn:aws:personalize:::recipe/aws-sims",
    },
    "create_solution_version": {"solutionArn": ARN + "solution/none"},
    "create_campaign": {"name": "x", "solutionVersionArn": VERSION},
    "create_event_tracker": {"name": "x", "datasetGroupArn": GROUP},
    "create_filter": {
        "name": "x",
        "datasetGroupArn": GROUP,
        "filterExpression": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("a")',
    },
    "create_recommender": {
        "name": "x",
        "datasetGroupArn": GROUP,
        "recipeArn": "arn:aws:personalize:::recipe/aws-vod-top-picks",
    },
    "create_metric_attribution": {
        "name": "x",
        "datasetGroupArn": GROUP,
        "metrics": [{"eventType": "a", "metricName": "b", "expression": "SAMPLECOUNT()"}],
        "metricsOutputConfig": {"roleArn": ROLE},
    },
    "create_batch_inference_job": {
        "jobName": "x",
        "solutionVersionArn": VERSION,
        "roleArn": ROLE,
        **PATHS,
    },
    "create_batch_segment_job": {
        "jobName": "x",
        "solutionVersionArn": VERSION,
        "roleArn": ROLE,
        **PATHS,
    },
}


def refusal(server: Server, operation: str, **request: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as refused:
        getattr(server.client("personalize"), operation)(**request)
    return refused.value.response


@pytest.mark.parametrize("operation", NO_PARENT)
def test_a_parent_that_is_not_there_is_not_found_by_its_arn(server: Server, operation: str):
    answer = refusal(server, operation, **NO_PARENT[operation])
    assert answer["Error"]["Code"] == "ResourceNotFoundException"
    assert "none" in answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("operation", [one for one in NO_PARENT if "name" in str(NO_PARENT[one])])
@pytest.mark.parametrize("name", ["-first", "with space", "x" * 64, "dot.ted"])
def test_a_name_that_cannot_be_is_refused_by_field(server: Server, operation: str, name: str):
    request = NO_PARENT[operation]
    field = "jobName" if "jobName" in request else "name"
    if field not in request:
        return
    answer = refusal(server, operation, **{**request, field: name})
    assert answer["Error"]["Code"] == "InvalidInputException"
    assert field.lower() in answer["Error"]["Message"].lower()


WRONG = {
    "a role that is none": (
        "create_dataset_import_job",
        {**NO_PARENT["create_dataset_import_job"], "roleArn": "PersonalizeRole"},
        "roleArn",
    ),
    "an import mode": (
        "create_dataset_import_job",
        {**NO_PARENT["create_dataset_import_job"], "importMode": "PARTIAL"},
        "importMode",
    ),
    "a domain": ("create_dataset_group", {"name": "x", "domain": "NEWS"}, "domain"),
    "a sensitivity": (
        "create_solution",
        {
            **NO_PARENT["create_solution"],
            "solutionConfig": {
                "optimizationObjective": {"itemAttribute": "A", "objectiveSensitivity": "MUCH"}
            },
        },
        "objectiveSensitivity",
    ),
    "a training mode": (
        "create_solution_version",
        {"solutionArn": ARN + "solution/none", "trainingMode": "QUICK"},
        "trainingMode",
    ),
    "an ARN": ("describe_campaign", {"campaignArn": "campaign"}, "campaignArn"),
    "eleven metrics": (
        "create_metric_attribution",
        {
            **NO_PARENT["create_metric_attribution"],
            "metrics": [
                {"eventType": "a", "metricName": str(n), "expression": "SAMPLECOUNT()"}
                for n in range(11)
            ],
        },
        "metrics",
    ),
    "a schema": ("create_schema", {"name": "x", "schema": "{"}, "schema"),
    "a page": ("list_schemas", {"nextToken": "nowhere"}, "nextToken"),
}


@pytest.mark.parametrize("operation, request_, field", WRONG.values(), ids=WRONG)
def test_a_value_that_cannot_be_is_refused_by_field(
    server: Server, operation: str, request_: dict[str, Any], field: str
):
    answer = refusal(server, operation, **request_)
    codes = ("InvalidInputException", "InvalidNextTokenException")
    assert answer["Error"]["Code"] in codes
    assert field.lower() in answer["Error"]["Message"].lower()


@pytest.mark.parametrize("token", ["nowhere", "x" * 1501, "\u202e", "a\0"])
def test_a_page_nobody_named_is_refused_by_the_code_for_it(server: Server, token: str):
    answer = refusal(server, "list_schemas", nextToken=token)  # its model knows no other code
    assert answer["Error"]["Code"] == "InvalidNextTokenException"


@pytest.mark.parametrize("service", ["personalize", "personalize-runtime", "personalize-events"])
def test_no_operation_answers_with_a_code_that_its_model_does_not_name(
    server: Server, service: str
):
    client = server.client(service, parameter_validation=False)
    model = client.meta.service_model
    for name in model.operation_names:
        operation = model.operation_model(name)
        known = {one.error_code for one in operation.error_shapes}
        texts = [
            member
            for member, shape in operation.input_shape.members.items()
            if shape.type_name == "string"
        ]
        for value in ("x" * 5000, "\u202e", "a\0", f"{ARN}campaign/none"):
            try:
                getattr(client, xform_name(name))(**dict.fromkeys(texts, value))
            except ClientError as error:
                assert error.response["Error"]["Code"] in known, (name, value, error)


def test_deletes_follow_the_dependencies(server: Server):
    p = server.client("personalize")
    schema = p.create_schema(name="deps", schema=schema_text())["schemaArn"]
    group = p.create_dataset_group(name="deps")["datasetGroupArn"]
    dataset = p.create_dataset(
        name="deps", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    in_use = "ResourceInUseException"
    assert refusal(server, "delete_schema", schemaArn=schema)["Error"]["Code"] == in_use
    answer = refusal(server, "delete_dataset_group", datasetGroupArn=group)
    assert answer["Error"]["Code"] == in_use
    assert dataset in answer["Error"]["Message"]
    p.delete_dataset(datasetArn=dataset)
    p.delete_schema(schemaArn=schema)
    p.delete_dataset_group(datasetGroupArn=group)
    shown = p.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]
    assert shown["status"] == "DELETE IN_PROGRESS"  # AWS's clean-up notebooks look once more
    assert group not in str(p.list_dataset_groups())


def test_events_for_nobody_and_of_odd_times_are_said_by_name(server: Server):
    events, p = server.client("personalize-events"), server.client("personalize")
    event = {"eventType": "view", "itemId": "i1", "sentAt": 1_700_000_000}
    with pytest.raises(ClientError, match="no event tracker with trackingId nobody") as refused:
        events.put_events(trackingId="nobody", sessionId="s", eventList=[event])
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"
    group = p.create_dataset_group(name="odd")["datasetGroupArn"]
    tracking = p.create_event_tracker(name="odd", datasetGroupArn=group)["trackingId"]
    given = {"trackingId": tracking, "sessionId": "s"}
    for moment in (1.0, 9_999_999_999.0):  # kept, and named by the inspector
        events.put_events(eventList=[{**event, "sentAt": moment}], **given)
    for wrong, says in (
        ({"itemId": "x" * 257}, "itemId"),
        ({"properties": "[1]"}, "properties"),
        ({"properties": '{"userId": "u"}'}, "userId"),
        ({"recommendationId": "R" * 41}, "recommendationId"),
        ({"impression": [str(n) for n in range(26)]}, "impression"),
    ):
        with pytest.raises(ClientError, match=says) as refused:
            events.put_events(eventList=[event | wrong], **given)
        assert refused.value.response["Error"]["Code"] == "InvalidInputException"
    with pytest.raises(ClientError) as refused:
        events.put_events(eventList=[event] * 11, **given)
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"
