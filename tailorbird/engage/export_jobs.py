"""Export jobs: endpoints as gzipped NDJSON under a prefix, each as GetEndpoint shows it.

Written in pieces; one that is cut off is written again, the others stay. Parts that nobody set are
absent, as in the service's own exports. CohortId is written besides, so that an import elsewhere
holds out the same people. Source: Pinpoint API reference, "Export Jobs".
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.engage import apps, endpoints, lists, segments, service_role
from tailorbird.engage import transfers as jobs
from tailorbird.engage.apps import App
from tailorbird.engage.definitions import Endpoint, response
from tailorbird.engage.dimensions import NOTHING, Candidate, Test, everybody
from tailorbird.engage.room import Engage
from tailorbird.engage.transfers import Transfer
from tailorbird.store import Job

KIND = "engage.export"
PIECE_ENDPOINTS = 100_000
PAGE_ENDPOINTS = 2_000
GZIP_LEVEL = 3

get_export_job = jobs.getter(jobs.EXPORT, "ExportJobResponse")
get_export_jobs = jobs.lister(jobs.EXPORT, "ExportJobsResponse")

_COLUMNS = ", ".join(f"e.{name.strip()}" for name in endpoints.COLUMNS.split(","))
_PAGE = (
    f"SELECT {_COLUMNS}, e.number, u.attributes FROM engage_endpoints e"
    " LEFT JOIN engage_users u ON u.app = e.app AND u.user_id = e.user_id"
    " WHERE e.app = ? AND e.number > ? ORDER BY e.number LIMIT ?"
)


def create_export_job(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Start an export of all endpoints, or of those in a segment when the job comes to them."""
    wanted = request["ExportJobRequest"]
    prefix = wanted["S3UrlPrefix"]
    service_role.check_address(prefix, "S3UrlPrefix")
    asked = [("s3:PutObject", service_role.objects_arn(_folder(prefix)))]
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        service_role.check(room, app.account, wanted["RoleArn"], asked, app.account)
        segment = None
        if wanted.get("SegmentId"):
            held = segments.find(conn, app, wanted["SegmentId"], wanted.get("SegmentVersion"))
            segment = (held["id"], held["version"])
        made = jobs.create(room, conn, app, jobs.EXPORT, wanted, segment, KIND)
        return {"ExportJobResponse": jobs.show(conn, made)}


def run(room: Engage, job: Job) -> None:
    """The job: write pieces until there is no endpoint left."""
    number = job.payload["transfer"]
    with room.db.read() as conn:
        transfer = jobs.read(conn, number)
        if transfer is None:
            return
        app = apps.by_id(conn, transfer["application_id"])
        test = _test(room, conn, app, transfer)
    if transfer["status"] == jobs.CREATED:
        with room.db.write() as conn:
            transfer = jobs.change(conn, transfer, status=jobs.PROCESSING)
    while True:
        last, count = _piece(room, job, app, transfer, test)
        if last == transfer["at"]:
            break
        transfer = _commit(room, transfer, last, count)
    with room.db.write() as conn:
        jobs.change(conn, transfer, status=jobs.COMPLETED, ended=room.clock.now())
        job.finish(conn, {"endpoints": transfer["processed"], "files": len(transfer["pieces"])})


def failed(room: Engage, conn: Connection, job: Job, reason: str) -> None:
    jobs.fail(room, conn, job.payload["transfer"], reason)


def _test(room: Engage, conn: Connection, app: App, transfer: Transfer) -> Test:
    if not transfer["segment_id"]:
        return everybody
    segment = segments.find(conn, app, transfer["segment_id"], transfer["segment_version"])
    lists.await_whole(conn, segment)
    return segments.membership(conn, app, segment, room.clock.now()).test


def _piece(room: Engage, job: Job, app: App, transfer: Transfer, test: Test) -> tuple[int, int]:
    """Write the next file: the last endpoint looked at, and how many are in the file."""
    last, count = transfer["at"], 0
    with tempfile.TemporaryDirectory(prefix="tailorbird-export-") as folder:
        out = Path(folder) / "piece.gz"
        with room.db.read() as conn, gzip.open(out, "wb", GZIP_LEVEL) as file:
            for page in _pages(room, conn, app, last):
                found = [line for row in page if (line := _line(room, app, row, test))]
                file.writelines(found)
                last, count = page[-1][11], count + len(found)
                job.progress(transfer["processed"] + count, None, "endpoints")
                if count >= PIECE_ENDPOINTS:
                    break
        if count:
            room.objects.put(_uri(transfer), out)
    return last, count


def _commit(room: Engage, transfer: Transfer, last: int, count: int) -> Transfer:
    pieces = [*transfer["pieces"], *([_uri(transfer)] if count else [])]
    with room.db.write() as conn:
        return jobs.change(
            conn, transfer,
            at=last, pieces=pieces, piece=len(pieces), processed=transfer["processed"] + count,
        )  # fmt: skip


def _uri(transfer: Transfer) -> str:
    folder = _folder(transfer["definition"]["S3UrlPrefix"])
    return f"{folder}{transfer['id']}-{len(transfer['pieces']):05}.json.gz"


def _folder(prefix: str) -> str:
    return prefix if prefix.endswith("/") else prefix + "/"


def _pages(room: Engage, conn: Connection, app: App, after: int) -> Iterator[Sequence[Any]]:
    text = room.db.sql(_PAGE)
    while True:
        found = conn.exec_driver_sql(text, (app.number, after, PAGE_ENDPOINTS))
        rows = found.cursor.fetchall()
        found.close()
        if not rows:
            return
        yield rows
        after = rows[-1][11]


def _line(room: Engage, app: App, row: Any, test: Test) -> bytes | None:
    """One endpoint as a line; None when it is not in the segment."""
    endpoint = Endpoint(*row[:10])
    endpoint.body = room.db.load(row[10])
    person = room.db.load(row[12]) if row[12] is not None else NOTHING
    if test is not everybody and not test(
        Candidate(row[11], endpoint.channel, endpoint.effective, endpoint.body, person)
    ):
        return None
    return orjson.dumps(response(endpoint, person or None, app.id)) + b"\n"
