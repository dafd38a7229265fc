"""An event that was accepted is delivered, also when the house is killed before or while it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests import aws
from tests.conftest import start_server, wait_for

SOURCE = """
import boto3, time
def handler(event, context):
    s3 = boto3.client("s3")
    s3.put_object(Bucket="seen", Key="begun/" + context.aws_request_id, Body=b"")
    time.sleep(event["seconds"])
    s3.put_object(Bucket="seen", Key="done/" + context.aws_request_id, Body=b"")
"""


def test_an_accepted_event_outlives_a_killed_house(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", job_lease_seconds=2)
    try:
        server.client("s3").create_bucket(Bucket="seen")
        aws.python_function(server, "later", SOURCE, Timeout=30)
        server.client("lambda").invoke(
            FunctionName="later", InvocationType="Event", Payload=b'{"seconds": 1}'
        )
        wait_for(lambda: keys(server, "begun/"))
        server.kill()
        server = start_server(tmp_path / "data", job_lease_seconds=2)
        assert len(wait_for(lambda: keys(server, "done/"))) == 1
    finally:
        server.stop()


def keys(server: Any, prefix: str) -> list[str]:
    listed = server.client("s3").list_objects_v2(Bucket="seen", Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]
