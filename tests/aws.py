"""What a customer's own scripts do with boto3, shared by the tests that play whole loops."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.conftest import ROOT, Server, wait_for

ACCOUNT = "123456789012"
EXAMPLES = ROOT / "examples"
LAMBDA_ROLE = f"arn:aws:iam::{ACCOUNT}:role/functions"
SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
    "version": "1.0",
}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zipped_folder(folder: Path) -> bytes:
    files = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    return zipped(files)


def create_function(server: Server, name: str, code: bytes, handler: str, **more: Any) -> str:
    """A function's ARN, once it is active."""
    client = server.client("lambda")
    options = {"Runtime": "python3.11", "Role": LAMBDA_ROLE, "Timeout": 10} | more
    made = client.create_function(
        FunctionName=name, Handler=handler, Code={"ZipFile": code}, **options
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return str(made["FunctionArn"])


def python_function(server: Server, name: str, source: str, **more: Any) -> str:
    return create_function(server, name, zipped({"main.py": source}), "main.handler", **more)


def allow_pinpoint(server: Server, function: str, application_id: str) -> None:
    server.client("lambda").add_permission(
        FunctionName=function,
        StatementId=f"pinpoint-{application_id}",
        Action="lambda:InvokeFunction",
        Principal="pinpoint.us-east-1.amazonaws.com",
        SourceArn=f"arn:aws:mobiletargeting:us-east-1:{ACCOUNT}:apps/{application_id}/campaigns/*",
    )


def create_app(server: Server, name: str = "shop") -> str:
    """An application with an email channel."""
    client = server.client("pinpoint")
    made = client.create_app(CreateApplicationRequest={"Name": name})
    application_id = str(made["ApplicationResponse"]["Id"])
    client.update_email_channel(
        ApplicationId=application_id,
        EmailChannelRequest={
            "Enabled": True,
            "FromAddress": "shop@example.com",
            "Identity": f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/example.com",
        },
    )
    return application_id


def put_people(server: Server, application_id: str, names: Iterable[str], **more: Any) -> None:
    """One e-mail endpoint a person."""
    client = server.client("pinpoint")
    items = [person(name, **more) for name in names]
    for at in range(0, len(items), 100):
        client.update_endpoints_batch(
            ApplicationId=application_id,
            EndpointBatchRequest={"Item": items[at : at + 100]},
        )


def person(name: str, **more: Any) -> dict[str, Any]:
    return {
        "Id": name,
        "ChannelType": "EMAIL",
        "Address": f"{name}@example.com",
        "User": {"UserId": name, "UserAttributes": {"Name": [name]}},
        **more,
    }


def create_segment(server: Server, application_id: str, **dimensions: Any) -> str:
    made = server.client("pinpoint").create_segment(
        ApplicationId=application_id,
        WriteSegmentRequest={"Name": "everybody", "Dimensions": dimensions},
    )
    return str(made["SegmentResponse"]["Id"])


def create_campaign(
    server: Server, application_id: str, segment_id: str, body: str = "Hi", **more: Any
) -> str:
    """An immediate e-mail campaign's id."""
    made = server.client("pinpoint").create_campaign(
        ApplicationId=application_id,
        WriteCampaignRequest={
            "Name": "news",
            "SegmentId": segment_id,
            "SegmentVersion": 1,
            "Schedule": {"StartTime": "IMMEDIATE"},
            "MessageConfiguration": {
                "EmailMessage": {"Title": "News", "HtmlBody": body, "Body": body}
            },
            **more,
        },
    )
    return str(made["CampaignResponse"]["Id"])


def finished_activity(
    server: Server, application_id: str, campaign_id: str, timeout_seconds: float = 60
) -> dict[str, Any]:
    """The campaign's one activity, once it is completed."""
    client = server.client("pinpoint")

    def look() -> dict[str, Any] | None:
        answer = client.get_campaign_activities(
            ApplicationId=application_id, CampaignId=campaign_id
        )
        [activity] = answer["ActivitiesResponse"]["Item"]
        return activity if activity["State"] == "COMPLETED" else None

    return dict(wait_for(look, timeout_seconds, 0.2))


def mails(server: Server, application_id: str, campaign_id: str) -> dict[str, str]:
    """What arrived in the inbox, by address."""
    import email
    import email.policy

    found = {}
    for file in (server.data / "inbox" / application_id / campaign_id).glob("*.eml"):
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        part = message.get_body(("html", "plain"))
        assert part is not None
        found[str(message["To"])] = str(part.get_content()).strip()
    return found


def train(
    server: Server, name: str, location: str, recipe: str = "aws-user-personalization"
) -> dict:
    """Schema, dataset group, dataset, import, solution, version, campaign and tracker, in order."""
    client = server.client("personalize")
    schema = client.create_schema(name=name, schema=json.dumps(SCHEMA))["schemaArn"]
    group = client.create_dataset_group(name=name)["datasetGroupArn"]
    dataset = client.create_dataset(
        name=name, schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    job = client.create_dataset_import_job(
        jobName=name,
        datasetArn=dataset,
        dataSource={"dataLocation": location},
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/personalize",
    )["datasetImportJobArn"]
    wait_active(lambda: client.describe_dataset_import_job(datasetImportJobArn=job))
    solution = client.create_solution(
        name=name, datasetGroupArn=group, recipeArn=f"arn:aws:personalize:::recipe/{recipe}"
    )["solutionArn"]
    version = client.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    wait_active(lambda: client.describe_solution_version(solutionVersionArn=version))
    campaign = client.create_campaign(name=name, solutionVersionArn=version)["campaignArn"]
    wait_active(lambda: client.describe_campaign(campaignArn=campaign))
    tracker = client.create_event_tracker(name=name, datasetGroupArn=group)
    return {
        "group": group,
        "dataset": dataset,
        "import": job,
        "version": version,
        "campaign": campaign,
        "tracking_id": tracker["trackingId"],
    }


def wait_active(describe: Any, timeout_seconds: float = 90) -> dict[str, Any]:
    """The described resource once it is ACTIVE; its failure reason when it failed."""

    def look() -> dict[str, Any] | None:
        [found] = [v for k, v in describe().items() if k != "ResponseMetadata"]
        assert "FAILED" not in found["status"], found.get("failureReason")
        return found if found["status"] == "ACTIVE" else None

    return dict(wait_for(look, timeout_seconds, 0.2))


def error_of(call: Any, **request: Any) -> tuple[str, str]:
    """Code and message of the error that a call answers."""
    try:
        call(**request)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("the call was answered without an error")
