"""Functions and destinations from outside: what an administrator sets up once."""

from __future__ import annotations

import io
import json
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailorbird.demo.learning import Learned
from tailorbird.errors import NotFound, Unavailable
from tailorbird.ids import arn
from tailorbird.remote import Remote

SEGMENT_ACCOUNT = "arn:aws:iam::595280932656:root"  # who assumes the role: Segment's document
ACTIVE_SECONDS = 60.0
PERSONALIZE_ACTIONS = [  # of the function's role, in Segment's document
    "personalize:GetRecommendations",
    "personalize:Record",
    "personalize:PutEvents",
]


@dataclass(frozen=True)
class Example:
    """A function among the examples of the repository."""

    folder: str
    runtime: str
    handler: str
    variables: tuple[tuple[str, str], ...] = ()


DESTINATION = Example("segment-personalize", "python3.11", "app.lambda_handler")
QUIET_DAYS = ("QUIET_DAYS", "7")
OUR_HOOK = Example("hooks/skip-recent-buyers", "python3.11", "app.handler", (QUIET_DAYS,))
SEEDS_HOOK = Example("hooks/credit-score", "nodejs20.x", "index.handler")


def examples() -> Path:
    """The folder of examples: in an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "examples", package.parent / "examples"):
        if folder.is_dir():
            return folder
    raise NotFound(f"There is no folder of examples in {package} or beside it")


def zipped(folder: Path) -> bytes:
    """A deployment package of a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                package.write(file, file.relative_to(folder))
    return buffer.getvalue()


def create_function(
    server: Remote,
    account: str,
    name: str,
    example: Example,
    role: str | None = None,
    **variables: str,
) -> str:
    """The ARN of a function made from an example, once it is active; hooks call nobody and need no
    role of their own."""
    client = server.client("lambda")
    made = client.create_function(
        FunctionName=name,
        Runtime=example.runtime,
        Role=role or arn("iam", "", account, "role/functions"),
        Handler=example.handler,
        Code={"ZipFile": zipped(examples() / example.folder)},
        Timeout=15,
        Environment={"Variables": dict(example.variables) | variables},
    )
    until = time.monotonic() + ACTIVE_SECONDS
    while time.monotonic() < until:
        state = client.get_function_configuration(FunctionName=name)
        if state.get("State", "Active") == "Active":
            return str(made["FunctionArn"])
        if state["State"] == "Failed":
            raise Unavailable(f"Function {name}: {state.get('StateReason')}")
        time.sleep(0.05)
    raise Unavailable(f"Function {name} is not active after {ACTIVE_SECONDS:.0f} s")


def allow_pinpoint(server: Remote, account: str, function: str, application_id: str) -> None:
    """The first seed's permission: any campaign of the application may invoke the function."""
    campaigns = f"apps/{application_id}/campaigns/*"
    server.client("lambda").add_permission(
        FunctionName=function,
        StatementId=f"pinpoint-{application_id}",
        Action="lambda:InvokeFunction",
        Principal=f"pinpoint.{server.region}.amazonaws.com",
        SourceArn=arn("mobiletargeting", server.region, account, campaigns),
    )


def create_execution_role(server: Remote, name: str) -> str:
    """The second seed's other role: the function runs as it, and may call Personalize."""
    iam = server.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    may = {"Effect": "Allow", "Action": PERSONALIZE_ACTIONS, "Resource": ["*"]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="personalize", PolicyDocument=document(may))
    return str(role)


def create_role(server: Remote, name: str, function: str, external_id: str) -> str:
    """The second seed's role: Segment may assume it for this source, to invoke one function."""
    iam = server.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": SEGMENT_ACCOUNT},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }
    may = {"Effect": "Allow", "Action": ["lambda:InvokeFunction"], "Resource": [function]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    policy = iam.create_policy(PolicyName=name, PolicyDocument=document(may))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    return str(role)


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def create_source(server: Remote, name: str) -> dict[str, Any]:
    """A source of its own for this run, with its write key."""
    body = {"name": name, "slug": name, "enabled": True}
    return dict(server.call("POST", "/segmentapis/sources", body)["data"]["source"])


def connect(server: Remote, source_id: str, kind: str, settings: dict[str, Any]) -> str:
    """The id of a new destination of the source."""
    body = {
        "sourceId": source_id,
        "metadataId": kind,
        "name": kind,
        "enabled": True,
        "settings": settings,
    }
    made = server.call("POST", "/segmentapis/destinations", body)
    return str(made["data"]["destination"]["id"])


def destination_variables(source: dict[str, Any], learned: Learned) -> dict[str, str]:
    """What the second seed's function reads from its environment."""
    return {
        "personalize_tracking_id": learned.tracking_id,
        "personalize_campaign_arn": learned.campaign,
        "connections_source_write_key": source["writeKeys"][0],
    }
