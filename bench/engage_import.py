"""Endpoints a second into and out of files: import jobs of NDJSON and CSV, export jobs.

    python -m bench.engage_import [endpoints] [database url]

The yardstick is UpdateEndpointsBatch with the same endpoints, in batches of 100.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from bench.engage import CALLER, endpoint, house, set_up, timed, write
from tailorbird.engage import Engage, export_jobs, import_jobs

DEFAULT_ENDPOINTS = 50_000
ROLE = "arn:aws:iam::123456789012:role/bench"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ENDPOINTS
    with tempfile.TemporaryDirectory() as folder, house(Path(folder)) as room:
        show("UpdateEndpointsBatch", count, timed(lambda: write(room, set_up(room), range(count))))
        lines = [orjson.dumps(endpoint(n)) + b"\n" for n in range(count)]
        room.objects.put("s3://bench/in.json.gz", gzip.compress(b"".join(lines), 1))
        room.objects.put("s3://bench/in.csv", table(count))
        app = set_up(room)
        for name, form, file in (
            ("import of NDJSON, new", "JSON", "in.json.gz"),
            ("import of NDJSON, again", "JSON", "in.json.gz"),
        ):
            show(name, count, timed(lambda f=form, o=file: run_import(room, app, f, o)))
        other = set_up(room)
        took = timed(lambda: run_import(room, other, "CSV", "in.csv", DefineSegment=True))
        show("import of CSV, with a segment", count, took)
        show("export", count, timed(lambda: run_export(room, app)))


def table(count: int) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["Id", "ChannelType", "Address", "Attributes.Interests", "Metrics.score",
                     "Demographic.Timezone", "Location.Country", "User.UserId",
                     "User.UserAttributes.name"])  # fmt: skip
    for n in range(count):
        writer.writerow([f"e{n}", "EMAIL", f"p{n}@example.com", "tea", n % 100,
                         "Europe/Amsterdam", "NL", f"u{n}", "Ana"])  # fmt: skip
    return out.getvalue().encode()


def run_import(room: Engage, app: str, form: str, file: str, **more: Any) -> None:
    wanted = {"Format": form, "S3Url": f"s3://bench/{file}", "RoleArn": ROLE, **more}
    request = {"ApplicationId": app, "ImportJobRequest": wanted}
    made = import_jobs.create_import_job(room, CALLER, request)["ImportJobResponse"]
    asked = {"ApplicationId": app, "JobId": made["Id"]}
    wait(lambda: import_jobs.get_import_job(room, CALLER, asked)["ImportJobResponse"])


def run_export(room: Engage, app: str) -> None:
    wanted = {"S3UrlPrefix": "s3://bench/out/", "RoleArn": ROLE}
    request = {"ApplicationId": app, "ExportJobRequest": wanted}
    made = export_jobs.create_export_job(room, CALLER, request)["ExportJobResponse"]
    asked = {"ApplicationId": app, "JobId": made["Id"]}
    wait(lambda: export_jobs.get_export_job(room, CALLER, asked)["ExportJobResponse"])


def wait(look: Any) -> None:
    while (job := look())["JobStatus"] != "COMPLETED":
        if job["JobStatus"] == "FAILED":
            sys.exit(str(job))
        time.sleep(0.05)


def show(name: str, count: int, took: Any) -> None:
    each = took.processor / count * 1e6
    rate = count / took.seconds
    print(f"{name:<36}{rate:>10,.0f} endpoints/s {each:>7.1f} us processor each", flush=True)


if __name__ == "__main__":
    main()
