"""The keys: who is calling, and what a policy lets them do."""

from tailorbird.access.documents import check_document
from tailorbird.access.keys import (
    create_access_key,
    delete_access_key,
    first_credentials,
    read_or_make,
    secret,
    secret_for,
)
from tailorbird.access.policies import Decision, Request, evaluate
from tailorbird.access.refusals import denied
from tailorbird.access.rights import may
from tailorbird.access.room import Access, AccessKey, Caller
from tailorbird.access.sessions import (
    SEGMENT_ACCOUNT,
    SEGMENT_LAMBDA,
    SEGMENT_PERSONALIZE,
    Session,
    assume_role,
    role_allows,
    trusts,
)
from tailorbird.access.sigv4 import Signed, verify

__all__ = [
    "SEGMENT_ACCOUNT",
    "SEGMENT_LAMBDA",
    "SEGMENT_PERSONALIZE",
    "Access",
    "AccessKey",
    "Caller",
    "Decision",
    "Request",
    "Session",
    "Signed",
    "assume_role",
    "check_document",
    "create_access_key",
    "delete_access_key",
    "denied",
    "evaluate",
    "first_credentials",
    "may",
    "read_or_make",
    "role_allows",
    "secret",
    "secret_for",
    "trusts",
    "verify",
]
