"""The AWS-managed policies that published examples attach, with what they allow here.

Each allows whole services: what a role may do is decided by the services built here.
Source: AWS managed policy reference.
"""

import json

PREFIX = "arn:aws:iam::aws:policy/"

_ALLOWED = {
    "AdministratorAccess": ["*"],
    "AmazonPersonalizeFullAccess": ["personalize:*", "cloudwatch:PutMetricData", "iam:PassRole"],
    "service-role/AmazonPersonalizeFullAccess": [
        "personalize:*",
        "cloudwatch:PutMetricData",
        "iam:PassRole",
        "s3:*",
    ],
    "AmazonS3FullAccess": ["s3:*"],
    "AmazonS3ReadOnlyAccess": ["s3:Get*", "s3:List*"],
    "AWSLambda_FullAccess": ["lambda:*", "iam:PassRole", "logs:*"],
    "AWSLambda_ReadOnlyAccess": ["lambda:Get*", "lambda:List*"],
    "service-role/AWSLambdaBasicExecutionRole": [
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    ],
    "service-role/AWSLambdaRole": ["lambda:InvokeFunction"],
    "AmazonPinpointFullAccess": ["mobiletargeting:*"],
    "CloudWatchLogsFullAccess": ["logs:*"],
    "CloudWatchFullAccess": ["cloudwatch:*", "logs:*"],
}


def document(arn: str) -> str | None:
    """The policy's text; None for a managed policy that is not listed here."""
    actions = _ALLOWED.get(arn.removeprefix(PREFIX))
    if actions is None:
        return None
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def arns() -> list[str]:
    """Every managed policy known here."""
    return [PREFIX + name for name in _ALLOWED]
