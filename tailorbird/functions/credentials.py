"""Keys for functions: a session of the function's role, shared by its environments."""

from __future__ import annotations

import threading

import botocore.credentials
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from tailorbird import access
from tailorbird.access import AccessKey, Caller
from tailorbird.access.keys import create_session_key
from tailorbird.errors import Denied, Invalid, NotFound
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.room import Functions

LINK_SECONDS = 600.0
LAMBDA = "lambda.amazonaws.com"
SESSION_SECONDS = 12 * 3600.0
RENEW_SECONDS = 6 * 3600.0  # an environment older than this is replaced, well before its key ends


class Credentials:
    """Hands out one session key per function and role, renewed after half its life."""

    def __init__(self, room: Functions) -> None:
        self._room = room
        self._keys: dict[tuple[str, str], AccessKey] = {}
        self._lock = threading.Lock()

    def key(self, ref: FunctionRef, role_arn: str) -> AccessKey:
        now = self._room.clock.now()
        with self._lock:
            held = self._keys.get((ref.arn, role_arn))
            if held is not None and (held.expires or 0) - now > RENEW_SECONDS:
                return held
            principal = _principal(self._room, ref, role_arn)
            made = create_session_key(self._room.access, ref.account, principal, SESSION_SECONDS)
            self._keys[ref.arn, role_arn] = made
            return made


def check_role(room: Functions, role_arn: str) -> None:
    """Invalid when the role is known here and does not let Lambda take it on."""
    if not _exists(room, role_arn):
        return
    if not access.trusts(room.access, role_arn, LAMBDA).allowed:
        raise Invalid(
            "The role defined for the function cannot be assumed by Lambda.",
            code="InvalidParameterValueException",
        )


def presigned(room: Functions, caller: Caller, uri: str) -> str:
    """An address at this house from which the object can be read for ten minutes."""
    root = f"arn:aws:iam::{caller.account}:root"
    key = create_session_key(room.access, caller.account, root, LINK_SECONDS)
    signing = botocore.credentials.Credentials(key.id, key.secret, key.session_token)
    request = AWSRequest("GET", f"{room.url}/{uri.removeprefix('s3://')}")
    S3SigV4QueryAuth(signing, "s3", caller.region, int(LINK_SECONDS)).add_auth(request)
    return str(request.url)


def _principal(room: Functions, ref: FunctionRef, role_arn: str) -> str:
    """The role's session: what it may do is asked of the role at every call, also of one that is
    made, changed or deleted later. A role that was never made here is the setting's affair.
    """
    try:
        check_role(room, role_arn)
    except Invalid as refused:
        raise Denied(
            f"{role_arn} does not trust {LAMBDA}, so {ref.name} gets no credentials",
            code="AccessDeniedException",
        ) from refused
    name = role_arn.rpartition("/")[2]
    return f"arn:aws:sts::{role_arn.split(':')[4]}:assumed-role/{name}/{ref.name}"


def _exists(room: Functions, role_arn: str) -> bool:
    account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    try:
        access.roles.get_role(room.access, account, name)
    except NotFound:
        return False
    return True
