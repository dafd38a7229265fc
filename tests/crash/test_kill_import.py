"""kill -9 in the middle of an import: after the next start every row counts exactly once."""

from __future__ import annotations

import gzip
import json
from typing import Any

from tests import aws
from tests.conftest import wait_for
from tests.crash.test_kill import Mortal, mortal

ROWS, BAD = 30_000, 300
__all__ = ["mortal"]


def lines() -> bytes:
    rows = []
    for n in range(ROWS):
        channel = "FAX" if n % (ROWS // BAD) == 0 else "EMAIL"
        rows.append(json.dumps({"Id": f"e{n}", "ChannelType": channel, "Address": f"{n}@x.y"}))
    return gzip.compress("\n".join(rows).encode(), 1)


def test_an_import_goes_on_behind_its_last_row(mortal: Mortal) -> None:
    app = aws.create_app(mortal.server)
    s3 = mortal.server.client("s3")
    s3.create_bucket(Bucket="moving")
    s3.put_object(Bucket="moving", Key="all.json.gz", Body=lines())
    wanted = {
        "Format": "JSON", "S3Url": "s3://moving/all.json.gz", "DefineSegment": True,
        "RoleArn": f"arn:aws:iam::{aws.ACCOUNT}:role/pinpoint",
    }  # fmt: skip
    made = mortal.server.client("pinpoint").create_import_job(
        ApplicationId=app, ImportJobRequest=wanted
    )["ImportJobResponse"]

    def job() -> Any:
        client = mortal.server.client("pinpoint")
        return client.get_import_job(ApplicationId=app, JobId=made["Id"])["ImportJobResponse"]

    seen = wait_for(lambda: (found := job()) and found["TotalProcessed"] and found, 60, 0.02)
    assert seen["TotalProcessed"] < ROWS
    mortal.restart()
    done = wait_for(
        lambda: (found := job()) and found["JobStatus"] == "COMPLETED" and found, 120, 0.2
    )
    assert (done["TotalProcessed"], done["TotalFailures"]) == (ROWS, BAD)
    assert mortal.rows("SELECT count(*) FROM engage_endpoints") == [(ROWS - BAD,)]
    assert mortal.rows("SELECT count(*) FROM engage_list_endpoints") == [(ROWS - BAD,)]
    assert mortal.rows("SELECT count(*) FROM engage_transfer_failures") == [(BAD,)]
