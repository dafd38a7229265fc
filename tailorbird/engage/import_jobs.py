"""Import jobs: endpoints, and segments that are lists of them, out of files in buckets.

Every chunk of rows commits together with the place it ends at, so a job that is cut off goes on
where it was. What is wrong with a row is kept with the row.
Source: Pinpoint API reference, "Import Jobs"; user guide, "Importing segments".
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.engage import apps, import_rows, import_write, lists, segments, service_role
from tailorbird.engage import tables as t
from tailorbird.engage import transfer_tables as tt
from tailorbird.engage import transfers as jobs
from tailorbird.engage.apps import App
from tailorbird.engage.import_rows import Row
from tailorbird.engage.room import Engage
from tailorbird.engage.transfers import Transfer
from tailorbird.errors import Invalid, NotFound
from tailorbird.store import Job, location

KIND = "engage.import"
CHUNK_ROWS = 2_000
ENDINGS = {".csv": import_rows.CSV, ".json": import_rows.JSON, ".jsonl": import_rows.JSON,
           ".ndjson": import_rows.JSON}  # fmt: skip

get_import_job = jobs.getter(jobs.IMPORT, "ImportJobResponse")
get_import_jobs = jobs.lister(jobs.IMPORT, "ImportJobsResponse")


def create_import_job(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Start an import. The segment it defines is there at once, with its members once it is over.

    Neither DefineSegment nor RegisterEndpoints: endpoints are registered.
    """
    wanted = request["ImportJobRequest"]
    url = wanted["S3Url"]
    service_role.check_address(url, "S3Url")
    asked = [("s3:GetObject", service_role.objects_arn(url)),
             ("s3:ListBucket", service_role.bucket_arn(url))]  # fmt: skip
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        given = wanted.get("ExternalId") or app.account
        service_role.check(room, app.account, wanted["RoleArn"], asked, given)
        definition = {**wanted, "ExternalId": given}
        segment = None
        if wanted.get("DefineSegment") or wanted.get("SegmentId"):
            segment = _define(room, conn, app, wanted)
            definition |= {"DefineSegment": True, "SegmentId": segment[0]}
        elif wanted.get("RegisterEndpoints") is False:
            raise Invalid(
                "DefineSegment and RegisterEndpoints are both false: nothing would be kept;"
                " one of them has to be true"
            )
        made = jobs.create(room, conn, app, jobs.IMPORT, definition, segment, KIND)
        return {"ImportJobResponse": jobs.show(conn, made)}


def run(room: Engage, job: Job) -> None:
    """The job: find the files, take their rows in chunks, then say how big the segment is."""
    number = job.payload["transfer"]
    with room.db.read() as conn:
        transfer = jobs.read(conn, number)
        if transfer is None:
            return
        app = apps.by_id(conn, transfer["application_id"])
    if transfer["status"] == jobs.CREATED:
        pieces = _pieces(room, transfer["definition"])
        with room.db.write() as conn:
            transfer = jobs.change(conn, transfer, status=jobs.PROCESSING, pieces=pieces)
    while transfer["piece"] < len(transfer["pieces"]):
        transfer = _piece(room, job, app, transfer)
    _complete(room, job, app, transfer)


def failed(room: Engage, conn: Connection, job: Job, reason: str) -> None:
    number = job.payload["transfer"]
    transfer = jobs.read(conn, number)
    jobs.fail(room, conn, number, reason)
    if transfer and transfer["segment_id"]:
        _close_list(conn, transfer)


def _define(room: Engage, conn: Connection, app: App, wanted: dict[str, Any]) -> tuple[str, int]:
    """The segment of an import, or the next version of one that is there: (id, version)."""
    now, name = room.clock.now(), wanted.get("SegmentName")
    about = {
        "ExternalId": wanted.get("ExternalId") or app.account, "Format": wanted["Format"],
        "RoleArn": wanted["RoleArn"], "S3Url": wanted["S3Url"], "Size": 0, "ChannelCounts": {},
    }  # fmt: skip
    if wanted.get("SegmentId"):
        held = segments.find(conn, app, wanted["SegmentId"])
        if held["type"] != lists.IMPORT:
            raise Invalid(
                f"SegmentId {held['id']} is a {held['type']} segment; an import makes versions of"
                " segments that were imported"
            )
        body = {**held["body"], "ImportDefinition": about, **({"Name": name} if name else {})}
        segment_id, version = held["id"], segments.add_version(conn, held, body, now)
    else:
        segment_id, version = ids.hex32(), 1
        body = {"Name": name or "", "ImportDefinition": about}
        row = {
            "id": segment_id, "application_id": app.id, "type": lists.IMPORT, "version": version,
            "tags": {}, "created": now,
        }  # fmt: skip
        segments.add(conn, row, body, now)
    lists.begin(conn, segment_id, version)
    return segment_id, version


def _pieces(room: Engage, definition: dict[str, Any]) -> list[str]:
    """The files at the address: the object, or all below the prefix that may be of the format."""
    url, form = definition["S3Url"], definition["Format"]
    key = location(url)[1]
    if key and not key.endswith("/") and room.objects.exists(url):
        return [url]
    try:
        found = [info.uri for info in room.objects.list(url) if info.size]
    except NotFound:
        found = []
    pieces = [uri for uri in found if _may_hold(uri, form)]
    if not pieces:
        other = f"; {len(found)} files there are not {form}" if found else ""
        raise Invalid(f"S3Url: there is nothing to import at {url}{other}")
    return pieces


def _may_hold(uri: str, form: str) -> bool:
    name = uri.rpartition("/")[2]
    bare = name.removesuffix(".gz").lower()
    ending = bare[bare.rfind(".") :] if "." in bare else ""
    return not name.startswith(("_", ".")) and ENDINGS.get(ending, form) == form


def _piece(room: Engage, job: Job, app: App, transfer: Transfer) -> Transfer:
    """Take the rest of one file; a file that cannot be read is one failure."""
    uri = transfer["pieces"][transfer["piece"]]
    try:
        with room.objects.fetch(uri) as file:
            rows = import_rows.read(file, transfer["definition"]["Format"])
            for chunk in _chunks(rows, transfer["at"]):
                transfer = _take(room, app, transfer, chunk)
                job.progress(transfer["processed"], None, "rows")
    except (Invalid, NotFound) as wrong:
        return _next(room, transfer, wrong.message)
    return _next(room, transfer, None)


def _chunks(rows: Iterator[Row], done: int) -> Iterator[list[Row]]:
    rest = (row for row in rows if row.number > done)
    while chunk := list(islice(rest, CHUNK_ROWS)):
        yield chunk


def _take(room: Engage, app: App, transfer: Transfer, chunk: list[Row]) -> Transfer:
    """Commit a chunk: endpoints, members, failures and the place, in one transaction."""
    definition = transfer["definition"]
    registers = definition.get("RegisterEndpoints") is not False
    with room.db.write() as conn:
        taken = import_write.write(
            room, conn, app, chunk, registers=registers, lists_users=bool(transfer["segment_id"])
        )
        if transfer["segment_id"]:
            held = lists.find(conn, transfer["segment_id"], transfer["segment_version"])
            lists.add(room, conn, held["number"], taken.endpoints, taken.users)
        _note(conn, transfer, taken.failures)
        return jobs.change(
            conn, transfer,
            at=chunk[-1].number,
            processed=transfer["processed"] + len(chunk),
            failures=transfer["failures"] + len(taken.failures),
        )  # fmt: skip


def _note(conn: Connection, transfer: Transfer, found: list[tuple[Row, str]]) -> None:
    rows = [
        {"transfer": transfer["number"], "piece": transfer["piece"], "row": row.number,
         "reason": reason, "text": row.text.replace("\0", "�")}
        for row, reason in found
    ]  # fmt: skip
    if rows:
        conn.execute(sa.insert(tt.transfer_failures), rows)


def _next(room: Engage, transfer: Transfer, wrong: str | None) -> Transfer:
    """The file is over: go to the next one."""
    values = {"piece": transfer["piece"] + 1, "at": 0}
    with room.db.write() as conn:
        if wrong is not None:
            _note(conn, transfer, [(Row(0, {}, None, ""), wrong)])
            values |= {
                "failed_pieces": transfer["failed_pieces"] + 1,
                "failures": transfer["failures"] + 1,
            }
        return jobs.change(conn, transfer, **values)


def _complete(room: Engage, job: Job, app: App, transfer: Transfer) -> None:
    """COMPLETED, or FAILED when not one row was taken; the segment's size and channels."""
    failed_rows = transfer["failures"] - transfer["failed_pieces"]
    is_empty = transfer["failures"] > 0 and transfer["processed"] == failed_rows
    status = jobs.FAILED if is_empty else jobs.COMPLETED
    with room.db.write() as conn:
        if transfer["segment_id"]:
            _count(conn, app, transfer)
            _close_list(conn, transfer)
        jobs.change(conn, transfer, status=status, ended=room.clock.now())
        job.finish(conn, {"rows": transfer["processed"], "refused": transfer["failures"]})


def _close_list(conn: Connection, transfer: Transfer) -> None:
    held = lists.find(conn, transfer["segment_id"], transfer["segment_version"])
    if held is not None:  # the segment may have been deleted meanwhile
        lists.end(conn, held["number"])


def _count(conn: Connection, app: App, transfer: Transfer) -> None:
    held = lists.find(conn, transfer["segment_id"], transfer["segment_version"])
    if held is None:
        return
    mine = (
        t.segment_versions.c.segment_id == transfer["segment_id"],
        t.segment_versions.c.version == transfer["segment_version"],
    )
    body = conn.execute(sa.select(t.segment_versions.c.body).where(*mine)).scalar_one()
    le, lu = tt.list_endpoints.c, tt.list_users.c
    by_channel = (
        sa.select(t.endpoints.c.channel, sa.func.count())
        .join_from(tt.list_endpoints, t.endpoints, t.endpoints.c.number == le.endpoint)
        .where(le.list == held["number"])
        .group_by(t.endpoints.c.channel)
    )
    channels = {row[0]: row[1] for row in conn.execute(by_channel) if row[0]}
    size = sum(
        conn.execute(sa.select(sa.func.count()).where(column == held["number"])).scalar_one()
        for column in (le.list, lu.list)
    )
    about = {**body["ImportDefinition"], "Size": size, "ChannelCounts": channels}
    values = {"body": {**body, "ImportDefinition": about}}
    conn.execute(sa.update(t.segment_versions).where(*mine).values(values))
