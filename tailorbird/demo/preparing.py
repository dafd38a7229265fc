"""Archive to interactions from outside, and files into the object store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tailorbird.remote import Remote


def prepare_interactions(
    server: Remote, source_id: str, output: str, events: list[str]
) -> dict[str, Any]:
    """What became of the calls of a source's archive: `rows` written to `output`, and the rest."""
    body: dict[str, Any] = {"sourceId": source_id, "output": output}
    if events:
        body["events"] = events
    return dict(server.call("POST", "/segmentapis/interactions", body)["data"])


def create_bucket(server: Remote, bucket: str) -> None:
    """Make a bucket; one that is ours already is fine."""
    server.client("s3").create_bucket(Bucket=bucket)


def upload(server: Remote, bucket: str, folder: str, file: Path) -> str:
    key = f"{folder}/{file.name}"
    server.client("s3").upload_file(str(file), bucket, key)
    return f"s3://{bucket}/{key}"
