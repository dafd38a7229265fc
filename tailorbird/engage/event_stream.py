"""Event streams: where an application's records go. One is Pinpoint's, others are ours.

PutEventStream names a Kinesis stream or a Firehose delivery stream; a `tailorbird stream` may go to
files, a webhook or a source of `collect` besides. Source: Pinpoint API reference, "Event Stream".
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.channels.outgoing import check_url
from tailorbird.clock import iso
from tailorbird.engage import apps, outbox, records, service_role
from tailorbird.engage import measure_tables as mt
from tailorbird.engage.apps import App
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotFound
from tailorbird.store import location

KINESIS, FIREHOSE = "kinesis", "firehose"
FILES, WEBHOOK, COLLECT = "files", "webhook", "collect"
OF_PINPOINT = (KINESIS, FIREHOSE)
ACTIONS = {KINESIS: "kinesis:PutRecords", FIREHOSE: "firehose:PutRecordBatch"}
ARN = re.compile(
    r"arn:[\w-]+:(?:(kinesis):[\w-]+:\d{12}:stream|(firehose):[\w-]+:\d{12}:deliverystream)/"
    r"([\w.-]{1,128})"
)


def put_event_stream(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Attach the stream, or put another in its place; records from now on go there."""
    wanted = request["WriteEventStream"]
    arn, role = wanted["DestinationStreamArn"], wanted["RoleArn"]
    kind = kind_of(arn)
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        service_role.check(room, app.account, role, [(ACTIONS[kind], arn)], app.account)
        held = _of_pinpoint(conn, app)
        values = {"kind": kind, "target": arn, "role_arn": role, "modified": room.clock.now(),
                  "modified_by": caller.principal}  # fmt: skip
        if held is None:
            row = _attach(room, conn, app, values)
        else:
            mine = mt.streams.c.number == held["number"]
            conn.execute(sa.update(mt.streams).where(mine).values(values))
            row = {**held, **values}
        _greet(room, conn, app, row["number"])
        return {"EventStream": _show(app, row)}


def get_event_stream(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        return {"EventStream": _show(app, _one(conn, app))}


def delete_event_stream(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Take the stream off; what had not arrived yet does not any more."""
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = _one(conn, app)
        _remove(conn, app, held["number"])
        return {"EventStream": _show(app, held)}


def attach(room: Engage, application_id: str, target: str) -> dict[str, Any]:
    """A stream of ours: to s3://bucket/prefix/, an https URL, or source:<id> of `collect`."""
    kind = _own_kind(target)
    with room.db.write() as conn:
        app = apps.by_id(conn, application_id)
        if kind == COLLECT:
            _check_source(room, target)
        values = {"kind": kind, "target": target, "role_arn": "", "modified": room.clock.now(),
                  "modified_by": "api_token"}  # fmt: skip
        row = _attach(room, conn, app, values)
        return _tell(row)


def streams_of(room: Engage, application_id: str) -> list[dict[str, Any]]:
    """The streams of an application: how far each has come, and what is wrong with it."""
    with room.db.read() as conn:
        app = apps.by_id(conn, application_id)
        query = sa.select(mt.streams).where(mt.streams.c.app == app.number)
        rows = conn.execute(query.order_by(mt.streams.c.number)).mappings().all()
        return [{**_tell(row), "waiting": _waiting(conn, app, row)} for row in rows]


def detach(room: Engage, stream_id: str) -> dict[str, Any]:
    with room.db.write() as conn:
        query = sa.select(mt.streams).where(mt.streams.c.id == stream_id)
        row = conn.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"There is no stream {stream_id}")
        conn.execute(sa.delete(mt.streams).where(mt.streams.c.number == row["number"]))
        outbox.prune(conn, row["app"])
        return _tell(row)


def kind_of(arn: str) -> str:
    """kinesis or firehose; Invalid for another ARN."""
    found = ARN.fullmatch(arn)
    if found is None:
        raise Invalid(
            f"DestinationStreamArn {arn!r} is neither arn:aws:kinesis:<region>:<account>:"
            "stream/<name> nor arn:aws:firehose:<region>:<account>:deliverystream/<name>"
        )
    return found[1] or found[2]


def name_of(arn: str) -> str:
    return arn.partition("/")[2]


def region_of(arn: str) -> str:
    return arn.split(":")[3]


def _own_kind(target: str) -> str:
    if target.startswith("s3://"):
        location(target)
        return FILES
    if target.startswith(("https://", "http://")):
        check_url(target, encrypted=False)
        return WEBHOOK
    if target.startswith("source:") and target != "source:":
        return COLLECT
    raise Invalid(
        f"A stream goes to s3://bucket/prefix/, an https URL or source:<id>, not to {target!r}"
    )


def _check_source(room: Engage, target: str) -> None:
    if room.calls is None:
        raise Invalid("There is no collect beside this house")
    room.calls(target.partition(":")[2], [])


def _attach(room: Engage, conn: Connection, app: App, values: dict[str, Any]) -> dict[str, Any]:
    place = outbox.end(conn, app.number)
    row: dict[str, Any] = {
        "id": ids.hex32(), "app": app.number, "xid": place.xid, "at": place.number,
        "delivered": 0, "dropped": 0, "held_until": 0.0, "failures": 0, "holder": None,
        "error": None, **values,
    }  # fmt: skip
    made = conn.execute(sa.insert(mt.streams).values(row).returning(mt.streams.c.number))
    return {**row, "number": int(made.scalar_one())}


def _greet(room: Engage, conn: Connection, app: App, number: int) -> None:
    """`_test.event_stream`, which the service sends when a stream is attached."""
    record = records.test_record(app.id, app.account, room.clock.now())
    outbox.add(room, conn, app.number, [number], [record])


def _of_pinpoint(conn: Connection, app: App) -> Any:
    c = mt.streams.c
    query = sa.select(mt.streams).where(c.app == app.number, c.kind.in_(OF_PINPOINT))
    return conn.execute(query).mappings().first()


def _one(conn: Connection, app: App) -> Any:
    held = _of_pinpoint(conn, app)
    if held is None:
        raise NotFound(f"Application {app.id} has no event stream")
    return held


def _remove(conn: Connection, app: App, number: int) -> None:
    conn.execute(sa.delete(mt.streams).where(mt.streams.c.number == number))
    outbox.prune(conn, app.number)


def _waiting(conn: Connection, app: App, row: Any) -> int:
    c = mt.outbox.c
    behind = sa.or_(c.xid > row["xid"], sa.and_(c.xid == row["xid"], c.number > row["at"]))
    query = sa.select(sa.func.coalesce(sa.func.sum(c.count), 0)).where(c.app == app.number, behind)
    return int(conn.execute(query).scalar_one())


def _tell(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"], "kind": row["kind"], "target": row["target"],
        "delivered": row["delivered"], "dropped": row["dropped"], "failures": row["failures"],
        "error": row["error"], "modified": iso(row["modified"]),
    }  # fmt: skip


def _show(app: App, row: Any) -> dict[str, Any]:
    return {
        "ApplicationId": app.id,
        "DestinationStreamArn": row["target"],
        "ExternalId": app.account,
        "LastModifiedDate": iso(row["modified"]),
        "LastUpdatedBy": row["modified_by"],
        "RoleArn": row["role_arn"],
    }
