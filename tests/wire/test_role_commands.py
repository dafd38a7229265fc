"""`tailorbird role ...` and `tailorbird explain`: everything a console would do, by command."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests import aws
from tests.conftest import Server

SEGMENT_ROOT = "arn:aws:iam::595280932656:root"
FUNCTION = f"arn:aws:lambda:us-east-1:{aws.ACCOUNT}:function:"
CAMPAIGNS = f"arn:aws:mobiletargeting:us-east-1:{aws.ACCOUNT}:apps/a1/campaigns/"
PINPOINT = "pinpoint.us-east-1.amazonaws.com"


class Commands:
    """The command line against the running server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __call__(self, *words: str, status: int = 0) -> Any:
        where = ["--url", self.server.url, "--data", str(self.server.data)]
        done = subprocess.run(
            [sys.executable, "-m", "tailorbird", *words, *where], capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if status in (0, 1) else done.stderr

    def lines(self, *words: str) -> list[Any]:
        where = ["--url", self.server.url, "--data", str(self.server.data)]
        command = [sys.executable, "-m", "tailorbird", *words, *where]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def run(server: Server) -> Commands:
    return Commands(server)


@pytest.fixture
def name() -> str:
    return f"role-{uuid.uuid4().hex[:8]}"


def test_the_second_seeds_role_for_segment(run: Commands, name: str) -> None:
    """Create, trust with an external id, allow the function, look, delete: without a console."""
    arn = f"arn:aws:iam::{aws.ACCOUNT}:role/{name}"
    made = run("role", "create", name, "--trust", "segment", "--external-id", "one")
    assert made == {"name": name, "arn": arn}
    run("role", "trust", name, "segment", "--external-id", "one", "--external-id", "two")
    run("role", "allow", name, "lambda:InvokeFunction", "--on", FUNCTION + "f")
    run("role", "attach", name, "AWSLambdaBasicExecutionRole")
    shown = run("role", "show", name)
    assert shown["trust"]["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"AWS": SEGMENT_ROOT},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": ["one", "two"]}},
        }
    ]
    [policy] = shown["inline"].values()
    assert policy["Statement"] == [
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": FUNCTION + "f"}
    ]
    assert list(shown["attached"]) == [
        "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    ]
    [row] = [row for row in run.lines("role", "list") if row["name"] == name]
    assert row == {"name": name, "trusts": SEGMENT_ROOT, "policies": 2, "arn": arn}
    assert run("role", "delete", name) == {"deleted": name}
    assert "NoSuchEntity" in run("role", "show", name, status=2)


def test_a_policy_as_the_document_prints_it_comes_from_a_file(
    run: Commands, name: str, tmp_path: Path
) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["personalize:Record"], "Resource": ["*"]}],
    }
    file = tmp_path / "personalize.json"
    file.write_text(json.dumps(document))
    run("role", "create", name, "--trust", "lambda")
    assert run("role", "allow", name, "--file", str(file)) == {
        "name": name,
        "policy": "personalize",
    }
    assert run("role", "show", name)["inline"] == {"personalize": document}


def test_a_second_policy_of_an_action_replaces_nothing(run: Commands, name: str) -> None:
    run("role", "create", name, "--trust", "account")
    for bucket in ("one", "two"):
        run("role", "allow", name, "s3:GetObject", "--on", f"arn:aws:s3:::{bucket}/*")
    assert len(run("role", "show", name)["inline"]) == 2


def test_a_service_beside_segment_brings_no_external_id(run: Commands, name: str) -> None:
    trusted = ("--trust", "segment", "--trust", "lambda")
    run("role", "create", name, *trusted, "--external-id", "src")
    segments, lambdas = run("role", "show", name)["trust"]["Statement"]
    assert segments["Condition"] == {"StringEquals": {"sts:ExternalId": "src"}}
    assert lambdas["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert "Condition" not in lambdas


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("role", "attach", "none", "NoSuchPolicy"), "There is no policy NoSuchPolicy"),
        (("role", "allow", "none", "s3:Get*"), "NoSuchEntity"),
        (("role", "create", "bad", "--trust", "/nowhere.json"), "There is no file /nowhere.json"),
        (("role", "delete", "none"), "NoSuchEntity"),
        (
            ("role", "create", "x", "--trust", "lambda", "--external-id", "e"),
            "brings no external id",
        ),
    ],
)
def test_a_refusal_is_one_line(run: Commands, words: tuple[str, ...], said: str) -> None:
    assert said in run(*words, status=2)


def test_explain_names_the_statement_and_what_would_allow_it(run: Commands, name: str) -> None:
    run("role", "create", name, "--trust", "lambda")
    asked = ("explain", "personalize:GetRecommendations", "arn:aws:personalize:r:1:campaign/c")
    answer = run(*asked, "--as", name, status=1)
    assert (answer["decision"], answer["allowed"]) == ("implicitDeny", False)
    assert answer["toAllow"].startswith(f"aws iam put-role-policy --role-name {name} ")
    run("role", "allow", name, "personalize:Get*", "--policy", "read")
    answer = run(*asked, "--as", name)
    assert (answer["decision"], answer["policy"]) == ("allowed", f"role {name}, policy read")
    assert answer["statement"]["Action"] == "personalize:Get*"
    run("role", "allow", name, "personalize:*", "--deny", "--policy", "never")
    answer = run(*asked, "--as", name, status=1)
    assert (answer["decision"], answer["policy"]) == ("explicitDeny", f"role {name}, policy never")
    assert any("applies" in line for line in answer["trace"])


def test_explain_knows_the_older_name_of_an_action(run: Commands, name: str) -> None:
    run("role", "create", name, "--trust", "lambda")
    run("role", "allow", name, "personalize:Record")
    assert run("explain", "personalize:PutEvents", "--as", name)["allowed"]


def test_explain_asks_the_functions_policy_for_a_service(
    run: Commands, server: Server, name: str
) -> None:
    aws.python_function(server, name, "def handler(event, context): return event")
    source = f"aws:SourceArn={CAMPAIGNS}c1"
    asked = ("explain", "lambda:InvokeFunction", FUNCTION + name, "--as", PINPOINT)
    answer = run(*asked, "--context", source, status=1)
    assert answer["toAllow"].startswith(f"aws lambda add-permission --function-name {name} ")
    server.client("lambda").add_permission(
        FunctionName=name,
        StatementId="campaigns",
        Action="lambda:InvokeFunction",
        Principal=PINPOINT,
        SourceArn=CAMPAIGNS + "*",
    )
    answer = run(*asked, "--context", source)
    assert answer["statement"]["Sid"] == "campaigns"
    answer = run(*asked, "--context", "aws:SourceArn=arn:aws:s3:::shop", status=1)
    assert "condition ArnLike AWS:SourceArn" in answer["trace"][0]


@pytest.mark.parametrize(
    ("external_id", "allowed"), [("src", True), ("other", False), (None, False)]
)
def test_explain_asks_the_trust_policy(
    run: Commands, name: str, external_id: str | None, allowed: bool
) -> None:
    arn = run("role", "create", name, "--trust", "segment", "--external-id", "src")["arn"]
    context = ("--context", f"sts:ExternalId={external_id}") if external_id else ()
    words = ("explain", "sts:AssumeRole", arn, "--as", SEGMENT_ROOT, *context)
    assert run(*words, status=0 if allowed else 1)["allowed"] is allowed


def test_explain_needs_the_servers_token(server: Server) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(server.url + "/_/explain", data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request)
