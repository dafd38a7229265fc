"""STS: who am I, and taking a role on."""

from typing import Any

from tailorbird import access
from tailorbird.access import Access, Caller, roles
from tailorbird.access.policies import role_of_session
from tailorbird.errors import NotBuilt, NotFound

_NOT_BUILT = ("Policy", "PolicyArns", "SerialNumber", "TokenCode", "ProvidedContexts")


def get_caller_identity(room: Access, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The account and the principal that signed."""
    return {
        "UserId": _user_id(room, caller),
        "Account": caller.account,
        "Arn": caller.principal,
    }


def assume_role(room: Access, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Temporary keys of the role."""
    for member in _NOT_BUILT:
        if request.get(member):
            raise NotBuilt(f"AssumeRole with {member} is not built: the session would not heed it")
    session = access.assume_role(
        room,
        request["RoleArn"],
        principal=caller.principal,
        external_id=request.get("ExternalId"),
        session_name=request["RoleSessionName"],
        duration=request.get("DurationSeconds"),
    )
    answer: dict[str, Any] = {
        "Credentials": {
            "AccessKeyId": session.key.id,
            "SecretAccessKey": session.key.secret,
            "SessionToken": session.key.session_token,
            "Expiration": session.key.expires,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"{session.role_id}:{request['RoleSessionName']}",
            "Arn": session.arn,
        },
    }
    if "SourceIdentity" in request:
        answer["SourceIdentity"] = request["SourceIdentity"]
    return answer


def get_access_key_info(room: Access, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The account a key belongs to."""
    key = access.secret_for(room, request["AccessKeyId"])
    if key is None:
        raise NotFound(f"Access key {request['AccessKeyId']} is not known", code="ValidationError")
    return {"Account": key.account}


def _user_id(room: Access, caller: Caller) -> str:
    """A session's `<role id>:<session name>`; the account for its root; else the key's id."""
    if held := role_of_session(caller.principal):
        name = caller.principal.rpartition("/")[2]
        try:
            return f"{roles.get_role(room, *held).role_id}:{name}"
        except NotFound:  # the role went, its sessions last until they expire
            return f"{held[1]}:{name}"
    if caller.principal.endswith(":root"):
        return caller.account
    return caller.access_key_id


OPERATIONS = {
    "AssumeRole": assume_role,
    "GetAccessKeyInfo": get_access_key_info,
    "GetCallerIdentity": get_caller_identity,
}
