"""Every policy document the second seed asks for, with a customer's names in it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from tailorbird.errors import Invalid

VERSION = "2012-10-17"
SEGMENT_ROOT = "arn:aws:iam::595280932656:root"  # who invokes for Segment's destinations
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
Document = dict[str, Any]

GLUE = [
    "glue:*",
    "s3:GetBucketLocation",
    "s3:ListBucket",
    "s3:ListAllMyBuckets",
    "s3:GetBucketAcl",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeRouteTables",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcAttribute",
    "iam:ListRolePolicies",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "cloudwatch:PutMetricData",
]
LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
NETWORK = ["network-interface", "security-group", "instance"]


def bucket_policy(bucket: str) -> Document:
    """Lets Personalize read a bucket: "S3 Bucket Permissions"."""
    name = "PersonalizeS3BucketAccessPolicy"
    allowed = {
        "Sid": name,
        "Effect": "Allow",
        "Principal": {"Service": "personalize.amazonaws.com"},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [arn(bucket), arn(bucket, "*")],
    }
    return {"Version": VERSION, "Id": name, "Statement": [allowed]}


def glue_service() -> Document:
    """What a Glue job needs of AWS: "Policy 1"."""
    tags = {"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}}
    own = ["arn:aws:s3:::aws-glue-*/*", "arn:aws:s3:::*/*aws-glue-*/*"]
    return _document(
        _allow(GLUE, ["*"]),
        _allow(["s3:CreateBucket"], ["arn:aws:s3:::aws-glue-*"]),
        _allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], own),
        _allow(["s3:GetObject"], ["arn:aws:s3:::crawler-public*", "arn:aws:s3:::aws-glue-*"]),
        _allow(LOGS, ["arn:aws:logs:*:*:/aws-glue/*"]),
        {
            "Effect": "Allow",
            "Action": ["ec2:CreateTags", "ec2:DeleteTags"],
            "Condition": tags,
            "Resource": [f"arn:aws:ec2:*:*:{kind}/*" for kind in NETWORK],
        },
    )


def glue_bucket(bucket: str) -> Document:
    """Lets a Glue job read the logs and write what it makes of them: "Policy 2"."""
    places = [arn(bucket, "segment-logs/*"), arn(bucket, "transformed/*")]
    return _document(_allow(["s3:GetObject", "s3:PutObject"], places))


def invoke(functions: Sequence[str]) -> Document:
    """Lets Segment invoke functions: "Create an IAM policy"."""
    wrong = [text for text in functions if not text.startswith("arn:aws:lambda:")]
    if wrong or not functions:
        shown = wrong[0] if wrong else ""
        raise Invalid(
            f"{shown!r} is not the ARN of a function; arn:aws:lambda:<region>:<account>:function:"
            "<name> is right"
        )
    return _document(_allow(["lambda:InvokeFunction"], list(functions)))


def segment_trust(external_ids: Sequence[str]) -> Document:
    """Lets Segment take a role on, for these sources only: "Create an IAM role"."""
    if not external_ids:
        raise Invalid("--external-id is missing; the id of the source, or of the workspace")
    ids = list(external_ids)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": SEGMENT_ROOT},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": ids[0] if len(ids) == 1 else ids}},
    }
    return _document(statement)


def service_trust(service: str) -> Document:
    """Lets a service of AWS take a role on."""
    principal = {"Service": f"{service}.amazonaws.com"}
    return _document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


def function_policy() -> Document:
    """What the function asks of Personalize: "Update your IAM role for your Lambda"."""
    actions = ["personalize:GetRecommendations", "personalize:Record", "personalize:PutEvents"]
    return _document(_allow(actions, ["*"]))


def full_access() -> Document:
    """AmazonPersonalizeFullAccess, as the seed shows it."""
    s3 = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
    buckets = ["arn:aws:s3:::*Personalize*", "arn:aws:s3:::*personalize*"]
    passed = {"StringEquals": {"iam:PassedToService": "personalize.amazonaws.com"}}
    return _document(
        {"Effect": "Allow", "Action": ["personalize:*"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["cloudwatch:PutMetricData"], "Resource": "*"},
        _allow(s3, buckets),
        {"Effect": "Allow", "Action": ["iam:PassRole"], "Resource": "*", "Condition": passed},
    )


def execution_policy(bucket: str) -> Document:
    """AmazonPersonalize-ExecutionPolicy: Personalize reads and writes a bucket."""
    return _document(
        _allow(["s3:ListBucket"], [arn(bucket)]),
        _allow(["s3:GetObject", "s3:PutObject"], [arn(bucket, "*")]),
    )


def arn(bucket: str, key: str | None = None) -> str:
    if not BUCKET.fullmatch(bucket):
        raise Invalid(f"{bucket!r} is no name of a bucket; for example personalize-data-1234 is")
    return f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")


def text(document: Document) -> str:
    return json.dumps(document, indent=4) + "\n"


def _document(*statements: Document) -> Document:
    return {"Version": VERSION, "Statement": list(statements)}


def _allow(actions: Sequence[str], resources: Sequence[str]) -> Document:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
