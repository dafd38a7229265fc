"""IAM, as far as running functions and destinations needs it: roles and their policies."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy.engine import Row

from tailorbird.access import Access, Caller, aws_managed, managed, roles
from tailorbird.errors import Invalid, NotBuilt, NotFound
from tailorbird.gateway import iam_simulate

PAGE_DEFAULT = 100
SESSION_RANGE_SECONDS = (3_600, 43_200)

T = TypeVar("T")
Request = dict[str, Any]
Answer = dict[str, Any]


def create_role(room: Access, caller: Caller, request: Request) -> Answer:
    """A role that the trust policy's principals may take on."""
    if request.get("PermissionsBoundary"):
        raise NotBuilt("CreateRole with PermissionsBoundary is not built: it would bound nothing")
    role = roles.create_role(
        room,
        caller.account,
        request["RoleName"],
        request["AssumeRolePolicyDocument"],
        path=_path(request),
        description=request.get("Description"),
        max_session_seconds=_session_seconds(request) or roles.SESSION_DEFAULT_SECONDS,
        tags=request.get("Tags", ()),
    )
    return {"Role": _role(role)}


def get_role(room: Access, caller: Caller, request: Request) -> Answer:
    return {"Role": _role(roles.get_role(room, caller.account, request["RoleName"]))}


def list_roles(room: Access, caller: Caller, request: Request) -> Answer:
    found = roles.list_roles(room, caller.account, request.get("PathPrefix", "/"))
    shown, page = _page(found, request)
    return {"Roles": [_role(role) for role in shown], **page}


def update_role(room: Access, caller: Caller, request: Request) -> Answer:
    changes: dict[str, Any] = {}
    if "Description" in request:
        changes["description"] = request["Description"]
    if seconds := _session_seconds(request):
        changes["max_session_seconds"] = seconds
    roles.update_role(room, caller.account, request["RoleName"], changes)
    return {}


def delete_role(room: Access, caller: Caller, request: Request) -> Answer:
    roles.delete_role(room, caller.account, request["RoleName"])
    return {}


def update_assume_role_policy(room: Access, caller: Caller, request: Request) -> Answer:
    roles.update_trust(room, caller.account, request["RoleName"], request["PolicyDocument"])
    return {}


def put_role_policy(room: Access, caller: Caller, request: Request) -> Answer:
    name, document = request["PolicyName"], request["PolicyDocument"]
    roles.put_role_policy(room, caller.account, request["RoleName"], name, document)
    return {}


def get_role_policy(room: Access, caller: Caller, request: Request) -> Answer:
    name = request["PolicyName"]
    held = roles.role_policies(room, caller.account, request["RoleName"])
    if name not in held:
        raise NotFound(f"The role policy with name {name} cannot be found.", code="NoSuchEntity")
    role_name = request["RoleName"]
    return {"RoleName": role_name, "PolicyName": name, "PolicyDocument": quote(held[name])}


def list_role_policies(room: Access, caller: Caller, request: Request) -> Answer:
    held = roles.role_policies(room, caller.account, request["RoleName"])
    shown, page = _page(list(held), request)
    return {"PolicyNames": shown, **page}


def delete_role_policy(room: Access, caller: Caller, request: Request) -> Answer:
    roles.delete_role_policy(room, caller.account, request["RoleName"], request["PolicyName"])
    return {}


def attach_role_policy(room: Access, caller: Caller, request: Request) -> Answer:
    roles.attach(room, caller.account, request["RoleName"], request["PolicyArn"])
    return {}


def detach_role_policy(room: Access, caller: Caller, request: Request) -> Answer:
    roles.detach(room, caller.account, request["RoleName"], request["PolicyArn"])
    return {}


def list_attached_role_policies(room: Access, caller: Caller, request: Request) -> Answer:
    prefix = request.get("PathPrefix", "/")
    found = roles.attached(room, caller.account, request["RoleName"])
    shown, page = _page([arn for arn in found if _path_of(arn).startswith(prefix)], request)
    listed = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in shown]
    return {"AttachedPolicies": listed, **page}


def tag_role(room: Access, caller: Caller, request: Request) -> Answer:
    role = roles.get_role(room, caller.account, request["RoleName"])
    tags = {t["Key"]: t["Value"] for t in [*role.tags, *request["Tags"]]}
    _write_tags(room, caller, role.name, tags)
    return {}


def untag_role(room: Access, caller: Caller, request: Request) -> Answer:
    role = roles.get_role(room, caller.account, request["RoleName"])
    tags = {t["Key"]: t["Value"] for t in role.tags if t["Key"] not in request["TagKeys"]}
    _write_tags(room, caller, role.name, tags)
    return {}


def list_role_tags(room: Access, caller: Caller, request: Request) -> Answer:
    role = roles.get_role(room, caller.account, request["RoleName"])
    shown, page = _page(role.tags, request)
    return {"Tags": shown, **page}


def list_instance_profiles_for_role(room: Access, caller: Caller, request: Request) -> Answer:
    """None: there are no instances here. Terraform asks before it deletes a role."""
    roles.get_role(room, caller.account, request["RoleName"])
    return {"InstanceProfiles": [], "IsTruncated": False}


def create_policy(room: Access, caller: Caller, request: Request) -> Answer:
    policy = managed.create_policy(
        room,
        caller.account,
        request["PolicyName"],
        request["PolicyDocument"],
        path=_path(request),
        description=request.get("Description"),
        tags=request.get("Tags", ()),
    )
    return {"Policy": _policy(policy, 0)}


def get_policy(room: Access, caller: Caller, request: Request) -> Answer:
    arn = request["PolicyArn"]
    count = managed.attachments(room).get(arn, 0)
    if arn.startswith(aws_managed.PREFIX):
        _managed_document(arn)
        return {"Policy": _aws_policy(arn, count)}
    policy = managed.get_policy(room, arn)
    description = {"Description": policy.description} if policy.description else {}
    return {"Policy": _policy(policy, count) | description}


def list_policies(room: Access, caller: Caller, request: Request) -> Answer:
    scope, prefix = request.get("Scope", "All"), request.get("PathPrefix", "/")
    counts = managed.attachments(room)
    found: list[Answer] = []
    if scope != "AWS":
        own = managed.list_policies(room, caller.account, prefix)
        found += [_policy(policy, counts.get(policy.arn, 0)) for policy in own]
    if scope != "Local":
        arns = [arn for arn in aws_managed.arns() if _path_of(arn).startswith(prefix)]
        found += [_aws_policy(arn, counts.get(arn, 0)) for arn in arns]
    if request.get("OnlyAttached"):
        found = [policy for policy in found if policy["AttachmentCount"]]
    shown, page = _page(found, request)
    return {"Policies": shown, **page}


def delete_policy(room: Access, caller: Caller, request: Request) -> Answer:
    managed.delete_policy(room, _own(request["PolicyArn"]))
    return {}


def create_policy_version(room: Access, caller: Caller, request: Request) -> Answer:
    arn, document = _own(request["PolicyArn"]), request["PolicyDocument"]
    as_default = bool(request.get("SetAsDefault"))
    number = managed.create_version(room, arn, document, set_default=as_default)
    version = _version(managed.get_version(room, arn, number), number if as_default else 0)
    del version["Document"]
    return {"PolicyVersion": version}


def get_policy_version(room: Access, caller: Caller, request: Request) -> Answer:
    arn, number = request["PolicyArn"], _number(request["VersionId"])
    if arn.startswith(aws_managed.PREFIX):
        text = quote(_managed_document(arn))
        version = {"Document": text, "VersionId": "v1", "IsDefaultVersion": True, "CreateDate": 0.0}
        return {"PolicyVersion": version}
    policy = managed.get_policy(room, arn)
    row = managed.get_version(room, arn, number)
    return {"PolicyVersion": _version(row, policy.default_version)}


def list_policy_versions(room: Access, caller: Caller, request: Request) -> Answer:
    arn = _own(request["PolicyArn"])
    policy = managed.get_policy(room, arn)
    shown, page = _page(managed.versions(room, arn), request)
    listed = [_version(row, policy.default_version) for row in shown]
    for version in listed:
        del version["Document"]
    return {"Versions": listed, **page}


def set_default_policy_version(room: Access, caller: Caller, request: Request) -> Answer:
    managed.set_default_version(room, _own(request["PolicyArn"]), _number(request["VersionId"]))
    return {}


def delete_policy_version(room: Access, caller: Caller, request: Request) -> Answer:
    managed.delete_version(room, _own(request["PolicyArn"]), _number(request["VersionId"]))
    return {}


def _role(row: Row[Any]) -> Answer:
    role: Answer = {
        "Path": row.path,
        "RoleName": row.name,
        "RoleId": row.role_id,
        "Arn": roles.arn_of(row),
        "CreateDate": row.created,
        "AssumeRolePolicyDocument": quote(row.trust),
        "MaxSessionDuration": row.max_session_seconds,
    }
    if row.description is not None:
        role["Description"] = row.description
    if row.tags:
        role["Tags"] = row.tags
    return role


def _policy(row: Row[Any], count: int) -> Answer:
    policy: Answer = {
        "PolicyName": row.name,
        "PolicyId": row.policy_id,
        "Arn": row.arn,
        "Path": row.path,
        "DefaultVersionId": f"v{row.default_version}",
        "AttachmentCount": count,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": row.created,
        "UpdateDate": row.updated,
    }
    if row.tags:
        policy["Tags"] = row.tags
    return policy


def _aws_policy(arn: str, count: int) -> Answer:
    return {
        "PolicyName": arn.rpartition("/")[2],
        "Arn": arn,
        "Path": _path_of(arn),
        "DefaultVersionId": "v1",
        "AttachmentCount": count,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
    }


def _version(row: Row[Any], default_version: int) -> Answer:
    return {
        "Document": quote(row.document),
        "VersionId": f"v{row.version}",
        "IsDefaultVersion": row.version == default_version,
        "CreateDate": row.created,
    }


def _managed_document(arn: str) -> str:
    text = aws_managed.document(arn)
    if text is None:
        raise NotFound(f"Policy {arn} was not found.", code="NoSuchEntity")
    return text


def _own(arn: str) -> str:
    """The ARN of a policy the customer may change."""
    if arn.startswith(aws_managed.PREFIX):
        raise Invalid(f"{arn} is managed by AWS and cannot be changed", code="InvalidInput")
    return arn


def _number(version_id: str) -> int:
    digits = version_id.removeprefix("v").partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def _path(request: Request) -> str:
    path: str = request.get("Path", "/")
    if not (path.startswith("/") and path.endswith("/")):
        raise Invalid(f"Path {path!r} must begin and end with /", code="ValidationError")
    return path


def _path_of(arn: str) -> str:
    """`/service-role/` of `arn:aws:iam::aws:policy/service-role/Name`."""
    return "/" + arn.partition("/")[2].rpartition("/")[0] + "/" if arn.count("/") > 1 else "/"


def _session_seconds(request: Request) -> int | None:
    seconds: int | None = request.get("MaxSessionDuration")
    low, high = SESSION_RANGE_SECONDS
    if seconds is not None and not low <= seconds <= high:
        raise Invalid(
            f"MaxSessionDuration {seconds} is not between {low} and {high}", code="ValidationError"
        )
    return seconds


def _write_tags(room: Access, caller: Caller, role: str, tags: dict[str, str]) -> None:
    rows = [{"Key": key, "Value": value} for key, value in tags.items()]
    roles.update_role(room, caller.account, role, {"tags": rows})


def _page(found: Sequence[T], request: Request) -> tuple[Sequence[T], Answer]:
    """One page of a list and what the answer says about the rest of it."""
    start = _start(request["Marker"]) if "Marker" in request else 0
    end = start + request.get("MaxItems", PAGE_DEFAULT)
    if end >= len(found):
        return found[start:], {"IsTruncated": False}
    marker = base64.urlsafe_b64encode(str(end).encode()).decode()
    return found[start:end], {"IsTruncated": True, "Marker": marker}


def _start(marker: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(marker))
    except (ValueError, binascii.Error):
        raise Invalid("Invalid Marker.", code="ValidationError") from None


OPERATIONS = {
    **iam_simulate.OPERATIONS,
    "AttachRolePolicy": attach_role_policy,
    "CreatePolicy": create_policy,
    "CreatePolicyVersion": create_policy_version,
    "CreateRole": create_role,
    "DeletePolicy": delete_policy,
    "DeletePolicyVersion": delete_policy_version,
    "DeleteRole": delete_role,
    "DeleteRolePolicy": delete_role_policy,
    "DetachRolePolicy": detach_role_policy,
    "GetPolicy": get_policy,
    "GetPolicyVersion": get_policy_version,
    "GetRole": get_role,
    "GetRolePolicy": get_role_policy,
    "ListAttachedRolePolicies": list_attached_role_policies,
    "ListInstanceProfilesForRole": list_instance_profiles_for_role,
    "ListPolicies": list_policies,
    "ListPolicyVersions": list_policy_versions,
    "ListRolePolicies": list_role_policies,
    "ListRoleTags": list_role_tags,
    "ListRoles": list_roles,
    "PutRolePolicy": put_role_policy,
    "SetDefaultPolicyVersion": set_default_policy_version,
    "TagRole": tag_role,
    "UntagRole": untag_role,
    "UpdateAssumeRolePolicy": update_assume_role_policy,
    "UpdateRole": update_role,
}
