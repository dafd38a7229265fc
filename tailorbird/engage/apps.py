"""Applications (Pinpoint's projects): everything of the room belongs to one."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.channels import credentials
from tailorbird.clock import iso
from tailorbird.engage import event_tables as et
from tailorbird.engage import lists, paging, tag_rules
from tailorbird.engage import measure_tables as mt
from tailorbird.engage import tables as t
from tailorbird.engage import transfer_tables as tt
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotFound
from tailorbird.store import Database, Question, fetch

_FIND = {
    dialect: "SELECT number, id, account, region, settings, denied FROM engage_apps"
    f" WHERE id = {mark} AND account = {mark} AND region = {mark}"
    for dialect, mark in (("sqlite", "?"), ("postgresql", "%s"))
}


class App(NamedTuple):
    number: int
    id: str
    account: str
    region: str
    settings: dict[str, Any]
    denied: dict[str, list[str]]


def create_app(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    wanted = request["CreateApplicationRequest"]
    name = wanted["Name"]
    if not name.strip():
        raise Invalid("Name is empty; an application needs one")
    row = {
        "id": ids.hex32(), "account": caller.account, "region": caller.region, "name": name,
        "tags": tag_rules.checked(wanted.get("tags")), "settings": {}, "denied": {},
        "created": room.clock.now(),
    }  # fmt: skip
    with room.db.write() as conn:
        conn.execute(sa.insert(t.apps).values(row))
    return {"ApplicationResponse": _show(row)}


def get_app(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        return {"ApplicationResponse": _show(_row(conn, caller, request["ApplicationId"]))}


def get_apps(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    size, last = paging.size_of(request), paging.after(request, [0])
    mine = (t.apps.c.account == caller.account, t.apps.c.region == caller.region)
    query = sa.select(t.apps).where(*mine, t.apps.c.number > last[0]).order_by(t.apps.c.number)
    with room.db.read() as conn:
        rows = conn.execute(query.limit(size + 1)).mappings().all()
    return {"ApplicationsResponse": paging.page(rows, size, _show, lambda row: [row["number"]])}


def delete_app(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Delete an application with all that belongs to it; a running activity stops at its next
    batch.
    """
    with room.db.write() as conn:
        row = _row(conn, caller, request["ApplicationId"])
        _delete_all(conn, row["number"], row["id"])
    return {"ApplicationResponse": _show(row)}


def find(conn: Connection, caller: Caller, application_id: str) -> App:
    """The application, if it is the caller's and in this region; NotFound otherwise."""
    return found(fetch(conn, *question(conn.dialect.name, caller, application_id)), application_id)


def question(dialect: str, caller: Caller, application_id: str) -> Question:
    """The question of `find`, to be asked together with others; `found` makes an answer of it."""
    return _FIND[dialect], (application_id, caller.account, caller.region)


def found(rows: list[tuple[Any, ...]], application_id: str) -> App:
    """The application that was asked for; NotFound when there is none."""
    if not rows:
        raise _missing(application_id)
    return App(*rows[0][:4], *(Database.load(document) for document in rows[0][4:]))


def find_for(conn: Connection, account: str, application_id: str) -> App:
    """The application of an account, in whichever region it is."""
    query = sa.select(t.apps).where(t.apps.c.id == application_id, t.apps.c.account == account)
    row = conn.execute(query).mappings().first()
    if row is None:
        raise _missing(application_id)
    return _app(row)


def by_id(conn: Connection, application_id: str) -> App:
    """The application of our own rows; NotFound when it was deleted meanwhile."""
    query = sa.select(t.apps).where(t.apps.c.id == application_id)
    row = conn.execute(query).mappings().first()
    if row is None:
        raise _missing(application_id)
    return _app(row)


def arn(app: App, resource: str = "") -> str:
    """ARN of the application or of a thing in it (`campaigns/<id>`)."""
    path = f"apps/{app.id}" + (f"/{resource}" if resource else "")
    return ids.arn("mobiletargeting", app.region, app.account, path)


def _app(row: Any) -> App:
    return App(
        row["number"], row["id"], row["account"], row["region"], row["settings"], row["denied"]
    )


def _row(conn: Connection, caller: Caller, application_id: str) -> Any:
    query = sa.select(t.apps).where(
        t.apps.c.id == application_id,
        t.apps.c.account == caller.account,
        t.apps.c.region == caller.region,
    )
    row = conn.execute(query).mappings().first()
    if row is None:
        raise _missing(application_id)
    return row


def _missing(application_id: str) -> NotFound:
    return NotFound(f"There is no application {application_id} for this account and region")


def _show(row: Any) -> dict[str, Any]:
    arn = ids.arn("mobiletargeting", row["region"], row["account"], f"apps/{row['id']}")
    return {
        "Arn": arn,
        "Id": row["id"],
        "Name": row["name"],
        "tags": row["tags"],
        "CreationDate": iso(row["created"]),
    }


def _delete_all(conn: Connection, number: int, application_id: str) -> None:
    activities = sa.select(t.activities.c.number).where(
        t.activities.c.application_id == application_id
    )
    for table in (t.members, t.batches, t.hook_attempts, t.ledger):
        conn.execute(sa.delete(table).where(table.c.activity.in_(activities)))
    for versions, column, parent in (
        (t.segment_versions, "segment_id", t.segments),
        (t.campaign_versions, "campaign_id", t.campaigns),
    ):
        owned = sa.select(parent.c.id).where(parent.c.application_id == application_id)
        conn.execute(sa.delete(versions).where(versions.c[column].in_(owned)))
    owned = sa.select(t.segments.c.id).where(t.segments.c.application_id == application_id)
    lists.delete(conn, owned)
    mine = tt.transfers.c.application_id == application_id
    old = tt.transfer_failures.c.transfer.in_(sa.select(tt.transfers.c.number).where(mine))
    conn.execute(sa.delete(tt.transfer_failures).where(old))
    conn.execute(sa.delete(tt.transfers).where(mine))
    for table in (t.activities, t.campaigns, t.segments, t.channels):
        conn.execute(sa.delete(table).where(table.c.application_id == application_id))
    credentials.delete(conn, application_id)
    measured = (mt.streams, mt.outbox, mt.counts, mt.firsts, mt.event_names)
    for table in (t.endpoints, t.users, t.attribute_names, et.events, et.firings, *measured):
        conn.execute(sa.delete(table).where(table.c.app == number))
    conn.execute(sa.delete(t.apps).where(t.apps.c.number == number))
