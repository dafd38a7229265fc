"""Keys for functions: a session of the function's role, shared by its environments."""

from __future__ import annotations

import threading

import botocore.credentials
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from tailorbird import access
from tailorbird.access import AccessKey, Caller
from tailorbird.access.keys import create_session_key
from tailorbird.access.refusals import create_role_command
from tailorbird.access.rights import UNKNOWN_ROLE_DENY
from tailorbird.access.room import Rights
from tailorbird.errors import Denied, Invalid
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
    """Invalid when Lambda may not take the role on, or, where the setting wants roles to be there,
    when there is none.
    """
    held = _role(room, role_arn)
    if held.found == "made":
        if not access.trusts(room.access, role_arn, LAMBDA).allowed:
            raise _not_assumable(f"its trust policy does not name {LAMBDA}")
    elif held.found == "deleted" or room.settings.functions_unknown_role == UNKNOWN_ROLE_DENY:
        raise _not_assumable(f"there is none. {create_role_command(held.name)} makes it")


def _not_assumable(why: str) -> Invalid:
    return Invalid(
        f"The role defined for the function cannot be assumed by Lambda. ({why})",
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
    held = _role(room, role_arn)
    if held.found == "made" and not access.trusts(room.access, role_arn, LAMBDA).allowed:
        raise Denied(
            f"{role_arn} does not trust {LAMBDA}, so {ref.name} gets no credentials",
            code="AccessDeniedException",
        )
    return f"arn:aws:sts::{held.account}:assumed-role/{held.name}/{ref.name}"


def _role(room: Functions, role_arn: str) -> Rights:
    return access.rights.of_role(room.access, role_arn.split(":")[4], role_arn.rpartition("/")[2])
