"""What IAM calls an operation, and the ARN of what it is done to.

An operation without an entry in NAMES is called like itself; an action that a service knows no
resource for is asked for on `*`. Sources: Service authorization reference; Pinpoint developer
guide, "Amazon Pinpoint actions for IAM policies"; CloudWatch Logs user guide, "permissions".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tailorbird import access
from tailorbird.access import Access, Caller
from tailorbird.functions import names
from tailorbird.gateway.wire.model import load

ANY = "*"
PREFIXES = {
    "pinpoint": "mobiletargeting",
    "personalize": "personalize",
    "personalize-runtime": "personalize",
    "personalize-events": "personalize",
    "lambda": "lambda",
    "sts": "sts",
    "iam": "iam",
    "logs": "logs",
    "cloudwatch": "cloudwatch",
}
# Actions that are not called like their operation; several names: any one of them will do.
# PutEvents was `personalize:Record` in Personalize's preview, and published policies still say so.
NAMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("personalize-events", "PutEvents"): ("personalize:PutEvents", "personalize:Record"),
    ("lambda", "GetLayerVersionByArn"): ("lambda:GetLayerVersion",),
}
# Decided where the resource keeps a policy of its own: functions, trust of roles. GetCallerIdentity
# needs no permission at all.
ELSEWHERE = frozenset(
    {
        ("lambda", "Invoke"),
        ("lambda", "InvokeAsync"),
        ("lambda", "InvokeWithResponseStream"),
        ("sts", "AssumeRole"),
        ("sts", "GetCallerIdentity"),
    }
)

Request = dict[str, Any]
Resource = Callable[[Access, Caller, str, Request], str]


@dataclass(frozen=True)
class Asked:
    """The action under each of its names, the usual one first, and the resource's ARN."""

    actions: tuple[str, ...]
    resource: str


def asked(
    room: Access, caller: Caller, service: str, operation: str, request: Request
) -> Asked | None:
    """What the operation asks permission for; None when that is decided elsewhere, or by nobody."""
    if (service, operation) in ELSEWHERE:
        return None
    actions = NAMES.get((service, operation)) or (f"{PREFIXES[service]}:{operation}",)
    return Asked(actions, RESOURCES[service](room, caller, operation, request))


# -- Pinpoint: the path of the operation, but for what the guide lists otherwise ------------------

_APP = "apps/{ApplicationId}"
_PINPOINT: dict[str, str] = dict.fromkeys(
    (
        "CreateImportJob",
        "CreateSegment",
        "GetApplicationSettings",
        "GetCampaigns",
        "GetImportJobs",
        "GetSegments",
        "UpdateApplicationSettings",
        "UpdateEndpointsBatch",
    ),
    _APP,
) | {
    "GetCampaignActivities": _APP + "/campaigns/{CampaignId}",
    "GetCampaignVersion": _APP + "/campaigns/{CampaignId}",
    "GetCampaignVersions": _APP + "/campaigns/{CampaignId}",
    "GetSegmentImportJobs": _APP + "/segments/{SegmentId}",
    "GetSegmentVersion": _APP + "/segments/{SegmentId}",
    "GetSegmentVersions": _APP + "/segments/{SegmentId}",
    "SendUsersMessages": _APP + "/messages",
    "ListTemplateVersions": ANY,
    "UpdateTemplateActiveVersion": ANY,
}
_TEMPLATE = re.compile(r"(templates/\{TemplateName\}/)(\w+)")


def _pinpoint(room: Access, caller: Caller, operation: str, request: Request) -> str:
    if "ResourceArn" in request:
        return str(request["ResourceArn"])
    path = _pinpoint_path(operation)
    if path == ANY:
        return ANY
    return f"arn:aws:mobiletargeting:{caller.region}:{caller.account}:{path.format_map(request)}"


@lru_cache(maxsize=256)
def _pinpoint_path(operation: str) -> str:
    """The ARN's last part, with the names of the request's members: `apps/{ApplicationId}`."""
    if operation in _PINPOINT:
        return _PINPOINT[operation]
    model = load("pinpoint")
    spec = model.operations[operation]
    path = str(spec["http"]["requestUri"]).removeprefix("/v1/").rstrip("/")
    for name, member in model.shape(spec["input"])["members"].items():
        path = path.replace(f"{{{member.get('locationName', name)}}}", f"{{{name}}}")
    return _TEMPLATE.sub(lambda found: found[1] + found[2].upper(), path)


# -- Personalize: the ARN in the request, or the ARN of what is made ------------------------------

_KIND = re.compile(r"^(Create|Delete|Describe|Update|Start|Stop)(.+)$")
_OF_MEMBER = {
    "CreateSolutionVersion": "solutionArn",
    "GetSolutionMetrics": "solutionVersionArn",
    "StopSolutionVersionCreation": "solutionVersionArn",
}


def _personalize(room: Access, caller: Caller, operation: str, request: Request) -> str:
    if "resourceArn" in request:
        return str(request["resourceArn"])
    if operation in _OF_MEMBER:
        return str(request[_OF_MEMBER[operation]])
    found = _KIND.match(operation)
    if found is None:  # ListCampaigns and its like have no resource
        return ANY
    verb, kind = found.groups()
    if verb != "Create":
        return str(request.get(kind[0].lower() + kind[1:] + "Arn", ANY))
    start = f"arn:aws:personalize:{caller.region}:{caller.account}"
    if kind == "Dataset":
        group = request["datasetGroupArn"].rpartition("/")[2]
        kind_of = request["datasetType"].upper().replace(" ", "_")
        return f"{start}:dataset/{group}/{kind_of}"
    if kind == "EventTracker":  # its id is made with it
        return f"{start}:event-tracker/{ANY}"
    name = request.get("name", request.get("jobName"))
    return f"{start}:{_dashed(kind)}/{name}"


@lru_cache(maxsize=64)
def _dashed(kind: str) -> str:
    """`DatasetImportJob` -> `dataset-import-job`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower()


def _personalize_runtime(room: Access, caller: Caller, operation: str, request: Request) -> str:
    return str(request.get("campaignArn") or request.get("recommenderArn") or ANY)


def _personalize_events(room: Access, caller: Caller, operation: str, request: Request) -> str:
    return str(request.get("datasetArn") or ANY)


# -- the others -----------------------------------------------------------------------------------

_LAMBDA_ANY = frozenset({"CreateEventSourceMapping", "ListEventSourceMappings"})
_LAMBDA_ARNS = ("Resource", "ResourceArn", "Arn", "CodeSigningConfigArn", "DurableExecutionArn")


def _lambda(room: Access, caller: Caller, operation: str, request: Request) -> str:
    if operation in _LAMBDA_ANY:
        return ANY
    if "FunctionName" in request:
        name, qualifier = request["FunctionName"], request.get("Qualifier")
        return names.parse(name, caller.account, caller.region, qualifier).guarded_arn
    start = f"arn:aws:lambda:{caller.region}:{caller.account}"
    if "LayerName" in request:
        layer, version = request["LayerName"], request.get("VersionNumber")
        arn = layer if layer.startswith("arn:") else f"{start}:layer:{layer}"
        return f"{arn}:{version}" if version is not None else arn
    if "UUID" in request:
        return f"{start}:event-source-mapping:{request['UUID']}"
    return str(next((request[name] for name in _LAMBDA_ARNS if name in request), ANY))


def _logs(room: Access, caller: Caller, operation: str, request: Request) -> str:
    if "resourceArn" in request:
        return str(request["resourceArn"])
    group = request.get("logGroupName") or request.get("logGroupIdentifier") or ""
    stream = request.get("logStreamName", "")
    start = f"arn:aws:logs:{caller.region}:{caller.account}:log-group:"
    group = group if group.startswith("arn:") else start + group
    return f"{group.removesuffix(':*')}:log-stream:{stream}"


def _iam(room: Access, caller: Caller, operation: str, request: Request) -> str:
    path = request.get("Path", "/")
    if operation == "CreateRole":
        return f"arn:aws:iam::{caller.account}:role{path}{request['RoleName']}"
    if operation == "CreatePolicy":
        return f"arn:aws:iam::{caller.account}:policy{path}{request['PolicyName']}"
    if "PolicySourceArn" in request:
        return str(request["PolicySourceArn"])
    if "RoleName" in request:
        return access.rights.of_role(room, caller.account, request["RoleName"]).arn
    return str(request.get("PolicyArn", ANY))


def _none(room: Access, caller: Caller, operation: str, request: Request) -> str:
    return ANY


RESOURCES: dict[str, Resource] = {
    "pinpoint": _pinpoint,
    "personalize": _personalize,
    "personalize-runtime": _personalize_runtime,
    "personalize-events": _personalize_events,
    "lambda": _lambda,
    "sts": _none,
    "iam": _iam,
    "logs": _logs,
    "cloudwatch": _none,
}
