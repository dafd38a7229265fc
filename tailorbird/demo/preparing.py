"""Archive to interactions from outside, and files into the object store."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.remote import Remote

POLL_SECONDS = 0.05

Told = Callable[[int, int | None, str], None]


def prepare_interactions(
    server: Remote, source_id: str, output: str, events: list[str]
) -> dict[str, Any]:
    """What became of the calls of a source's archive: `rows` written to `output`, and the rest."""
    return prepare_dataset(server, source_id, output, {"events": events} if events else {})


def prepare_dataset(
    server: Remote,
    source_id: str,
    output: str,
    mapping: dict[str, Any],
    dataset: str = "interactions",
    told: Told = lambda done, total, what: None,
) -> dict[str, Any]:
    """The same for any mapping and dataset; `told` hears bytes done, bytes in all, and rows."""
    body = {"source": source_id, "output": output, "mapping": mapping, "dataset": dataset}
    job = server.call("POST", "/_/interactions", body)["job"]
    while (found := server.call("GET", f"/_/jobs/{job}")["job"])["state"] != "done":
        if found["state"] == "failed":
            raise Invalid(f"Preparing {output} failed: {found['error']}")
        told(found["done"] or 0, found["total"], found["unit"] or "")
        time.sleep(POLL_SECONDS)
    return dict(found["result"])


def create_bucket(server: Remote, bucket: str) -> None:
    """Make a bucket; one that is ours already is fine."""
    server.client("s3").create_bucket(Bucket=bucket)


def upload(server: Remote, bucket: str, folder: str, file: Path) -> str:
    key = f"{folder}/{file.name}"
    server.client("s3").upload_file(str(file), bucket, key)
    return f"s3://{bucket}/{key}"
