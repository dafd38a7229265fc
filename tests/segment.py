"""What an administrator of Segment sets up, through the Public API, IAM and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any

from tests.conftest import Server

SEGMENT_ACCOUNT = "arn:aws:iam::595280932656:root"


def api(server: Server, method: str, path: str, body: Any = None) -> dict[str, Any]:
    request = urllib.request.Request(
        server.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.loads(answer.read()))


def create_role(server: Server, function: str, external_id: str) -> str:
    """The seed's policy and trust relationship."""
    client = server.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": SEGMENT_ACCOUNT},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": [external_id, "another"]}},
            }
        ],
    }
    may = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["lambda:InvokeFunction"], "Resource": [function]}
        ],
    }
    role = client.create_role(
        RoleName="segment-invokes", AssumeRolePolicyDocument=json.dumps(trust)
    )["Role"]["Arn"]
    policy = client.create_policy(PolicyName="invoke", PolicyDocument=json.dumps(may))
    client.attach_role_policy(RoleName="segment-invokes", PolicyArn=policy["Policy"]["Arn"])
    return str(role)


def create_execution_role(server: Server) -> str:
    """The role the seed's function runs as, with the statement the seed adds to it."""
    client = server.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    may = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "personalize:GetRecommendations",
                    "personalize:Record",
                    "personalize:PutEvents",
                ],
                "Resource": ["*"],
            }
        ],
    }
    role = client.create_role(
        RoleName="segment-personalize", AssumeRolePolicyDocument=json.dumps(trust)
    )["Role"]["Arn"]
    client.put_role_policy(
        RoleName="segment-personalize", PolicyName="personalize", PolicyDocument=json.dumps(may)
    )
    return str(role)


def connect(server: Server, source_id: str, kind: str, settings: dict[str, Any]) -> str:
    body = {
        "sourceId": source_id,
        "metadataId": kind,
        "name": kind,
        "enabled": True,
        "settings": settings,
    }
    return str(api(server, "POST", "/segmentapis/destinations", body)["data"]["destination"]["id"])


def tailorbird(server: Server, *words: str) -> dict[str, Any]:
    """A command's answer, one JSON object."""
    return dict(json.loads(run(server, *words)))


def run(server: Server, *words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "tailorbird", *words]
    where = ["--data", str(server.data), "--url", server.url]
    done = subprocess.run([*command, *where], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
