"""A policy that could not mean anything is refused with the statement and the field."""

import json
from typing import Any

import pytest

from tailorbird.access import check_document
from tailorbird.errors import Invalid

ROOT = "arn:aws:iam::595280932656:root"
TRUST: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"AWS": ROOT},
    "Action": "sts:AssumeRole",
    "Condition": {"StringEquals": {"sts:ExternalId": ["one", "two"]}},
}
OWN: dict[str, Any] = {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}
BUCKET: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "personalize.amazonaws.com"},
    "Action": ["s3:GetObject", "s3:ListBucket"],
    "Resource": ["arn:aws:s3:::bucket-name", "arn:aws:s3:::bucket-name/*"],
}


def text(*statements: Any, **top: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **top})


def for_principal(principal: Any) -> str:
    return text(BUCKET | {"Principal": principal})


def when(condition: Any) -> str:
    return text(OWN | {"Condition": condition})


@pytest.mark.parametrize(
    ("statement", "use"), [(TRUST, "trust"), (OWN, "identity"), (BUCKET, "resource")]
)
def test_the_seeds_policies_are_read(statement: dict[str, Any], use: Any) -> None:
    assert check_document(text(statement), use)["Statement"] == [statement]


@pytest.mark.parametrize(
    ("document", "use", "says"),
    [
        ("{", "identity", "invalid Json"),
        ("[]", "identity", "JSON object"),
        (text(), "identity", "Statement is missing or empty"),
        (text(OWN, Version="2020-01-01"), "identity", "Version is '2020-01-01'"),
        (text(OWN, Extra=1), "identity", "unknown element Extra"),
        (text(OWN | {"Sid": "a"}, OWN | {"Sid": "a"}), "identity", "must be unique: a"),
        (text("x"), "identity", "Statement 1 is not an object"),
        (text(OWN, OWN | {"Effect": "Maybe"}), "identity", "Statement 2: Effect is 'Maybe'"),
        (text(OWN | {"Who": 1}), "identity", "unknown element Who"),
        (text(BUCKET), "identity", "should not specify a principal"),
        (text(OWN), "resource", "exactly one of Principal and NotPrincipal"),
        (text(OWN | {"Principal": "me"}), "resource", "Principal is"),
        (for_principal({"AWS": "root"}), "resource", 'Invalid principal in policy: "AWS":"root"'),
        (for_principal({"AWS": "arn:aws:iam::1:role/*"}), "resource", "Invalid principal"),
        (for_principal({"Robot": "x"}), "resource", "unknown kind 'Robot'"),
        (text(OWN | {"Action": "InvokeFunction"}), "identity", "must be prefaced by a vendor"),
        (text({"Effect": "Allow", "Resource": "*"}), "identity", "must contain actions"),
        (text(OWN | {"NotAction": "s3:*"}), "identity", "must contain actions"),
        (text({"Effect": "Allow", "Action": "*"}), "identity", "must contain resources"),
        (text(OWN | {"Resource": "bucket"}), "identity", "must be in ARN format"),
        (text(TRUST | {"Resource": "*"}), "trust", "Has prohibited field Resource"),
        (when({"StringSounds": {"k": "a"}}), "identity", "Invalid Condition type : StringSounds"),
        (when({"StringEquals": "a"}), "identity", "is an object of keys"),
        (when("a"), "identity", "is an object of operators"),
    ],
)
def test_what_is_wrong_is_named(document: str, use: Any, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_document(document, use)
    assert says in refused.value.message
    assert refused.value.code == "MalformedPolicyDocument"


def test_white_space_does_not_count() -> None:
    spaced = json.dumps(json.loads(text(OWN)), indent=40)
    assert check_document(spaced, "identity", max_chars=100)


def test_a_policy_over_its_quota_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        check_document(text(OWN | {"Sid": "s" * 3000}), "identity", max_chars=2048)
    assert refused.value.code == "LimitExceeded"
