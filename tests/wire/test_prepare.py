"""Prepare from outside: commands and API, the importer takes what they make, IAM the policies."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests import aws, segment
from tests.conftest import Server
from tests.unit.prepare import mappings, messy

ROLE = f"arn:aws:iam::{aws.ACCOUNT}:role/personalize"
MAPPING = """
[interactions]
events = { "Order Completed" = "purchase", "Product Added" = "add" }
value = ["properties.products[].price", "properties.price"]
[interactions.columns]
DEVICE = "context.device.type"
[users.columns]
AGE = { path = "traits.age", type = "int" }
PLAN = "traits.plan"
[items.columns]
PRICE = { path = ["properties.products[].price", "properties.price"], type = "float" }
CATEGORY = ["properties.products[].category", "properties.category"]
"""
DATASETS = {"interactions": "Interactions", "users": "Users", "items": "Items"}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Messy calls among enough good ones to import."""
    folder = tmp_path / "archive"
    folder.mkdir()
    lines = messy.lines()
    moment = messy.GOOD["timestamp"]
    for n in range(1500):
        user, sku = f"person-{n % 60}", f"sku-{n % 37}"
        product = {"sku": sku, "price": n % 50 + 0.5, "category": f"c{n % 3}"}
        call = {**messy.GOOD, "userId": user, "properties": product, "messageId": f"m{n}"}
        lines.append(json.dumps(call).encode())
        if n % 5 == 0:
            traits = {"age": n % 90, "plan": "gold" if n % 2 else "free"}
            identify = {"type": "identify", "userId": user, "traits": traits, "timestamp": moment}
            lines.append(json.dumps(identify).encode())
    (folder / "calls.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    return folder


def command(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tailorbird", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_importer_takes_interactions_users_and_items_as_prepared(
    server: Server, archive: Path, tmp_path: Path
) -> None:
    mapping, client = tmp_path / "mapping.toml", server.client("personalize")
    mapping.write_text(MAPPING)
    group = client.create_dataset_group(name="prepared")["datasetGroupArn"]
    aws.wait_active(lambda: client.describe_dataset_group(datasetGroupArn=group))
    for dataset, kind in DATASETS.items():
        output = f"s3://prepared-wire/{dataset}.csv"
        words = ("--mapping", str(mapping), "--dataset", dataset)
        report = json.loads(
            command("prepare", str(archive), output, *words, "--data", str(server.data))
        )
        assert report["read"] == report["kept"] + report["rejected_total"]
        schema = client.create_schema(
            name=f"prepared-{dataset}",
            schema=command("mapping", "schema", str(mapping), "--dataset", dataset),
        )["schemaArn"]
        arn = client.create_dataset(
            name=dataset, schemaArn=schema, datasetGroupArn=group, datasetType=kind
        )["datasetArn"]
        job = client.create_dataset_import_job(
            jobName=f"prepared-{dataset}",
            datasetArn=arn,
            dataSource={"dataLocation": output},
            roleArn=ROLE,
        )["datasetImportJobArn"]
        aws.wait_active(lambda job=job: client.describe_dataset_import_job(datasetImportJobArn=job))
        assert imported(server, job) == report["rows"]


def imported(server: Server, job: str) -> int:
    """Rows that the import took, as its job says."""
    found = segment.api(server, "GET", "/_/jobs?kind=learn.import")["jobs"]
    mine = [one for one in found if job in json.dumps(one)]
    assert mine
    return int(mine[0]["result"]["rows"])


def test_the_api_prepares_any_dataset_and_says_how_far_it_is(server: Server) -> None:
    made = segment.api(server, "POST", "/segmentapis/sources", {"slug": "prep", "name": "prep"})
    source = made["data"]["source"]
    calls = [{**messy.GOOD, "messageId": "w1"}, {"type": "identify", "userId": "w"}]
    calls[1] |= {"traits": {"age": 31}, "messageId": "w2"}
    key = source["writeKeys"][0]
    segment.api(server, "POST", "/v1/batch", {"batch": calls, "writeKey": key})
    mapping = mappings.GIVEN["users"]
    asked = {"sourceId": source["id"], "output": "s3://prepared-wire/u.csv", "mapping": mapping}
    report = segment.api(
        server, "POST", "/segmentapis/interactions", {**asked, "dataset": "users"}
    )["data"]
    assert (report["rows"], report["read"], report["dataset"]) == (1, 2, "users")
    waiting = {**asked, "dataset": "users", "wait": False}
    job = segment.api(server, "POST", "/segmentapis/interactions", waiting)["data"]["job"]
    seen = segment.api(server, "GET", f"/segmentapis/interactions/{job}")["data"]["job"]
    assert {"done", "total", "unit", "rate", "secondsLeft", "state"} <= seen.keys()


def test_a_mapping_without_the_dataset_asked_for_is_refused_by_name(server: Server) -> None:
    words = ("prepare", "source", "s3://x/y.csv", "--dataset", "users")
    done = subprocess.run(
        [sys.executable, "-m", "tailorbird", *words], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "The mapping says nothing of users" in done.stderr


def test_a_server_writes_to_no_file_it_is_named(server: Server, tmp_path: Path) -> None:
    output = tmp_path / "x.csv"
    body = {"source": "default", "output": str(output)}
    with pytest.raises(HTTPError, match="400"):
        segment.api(server, "POST", "/_/interactions", body)
    assert not output.exists()


def test_every_policy_made_is_accepted_by_iam_and_s3(server: Server) -> None:
    iam, s3 = server.client("iam"), server.client("s3")
    bucket, function = "prepared-policies", f"arn:aws:lambda:us-east-1:{aws.ACCOUNT}:function:f"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=command("policy", "bucket-policy", bucket))
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    trusts = {
        "segment": ("iam-role", "segment", "--external-id", "src1", "--external-id", "src2"),
        "glue": ("iam-role", "glue"),
        "lambda": ("iam-role", "lambda"),
        "personalize": ("iam-role", "personalize"),
    }
    for name, words in trusts.items():
        iam.create_role(RoleName=f"prep-{name}", AssumeRolePolicyDocument=command("policy", *words))
    documents = {
        "glue-service": (),
        "glue-bucket": (bucket,),
        "invoke": (function,),
        "function": (),
        "personalize-full-access": (),
        "personalize-execution": (bucket,),
    }
    for name, words in documents.items():
        text = command("policy", name, *words)
        arn = iam.create_policy(PolicyName=f"prep-{name}", PolicyDocument=text)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="prep-segment", PolicyArn=arn)
        iam.put_role_policy(RoleName="prep-glue", PolicyName=name, PolicyDocument=text)


def test_unload_prints_the_seeds_statement_for_ones_own_names() -> None:
    made = command("unload", "redshift", "s3://b/k", "--role", "arn:aws:iam::1:role/r")
    assert made.startswith("unload ('\n  select\n    user_id as USER_ID,")
    assert "iam_role 'arn:aws:iam::1:role/r'" in made


def test_the_example_of_a_mapping_is_one(tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(command("mapping", "example"))
    shown = [json.loads(line) for line in command("mapping", "check", str(file)).splitlines()]
    assert [one["dataset"] for one in shown] == ["interactions", "users", "items"]
