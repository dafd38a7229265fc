"""Segments: who a campaign is for, kept in versions. A dimensional one is resolved anew at each
run.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import apps, lists, paging, tag_rules
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.membership import Membership, compiled, of_segment
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotFound

DIMENSIONAL = "DIMENSIONAL"


def create_segment(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    wanted, now, segment_id = request["WriteSegmentRequest"], room.clock.now(), ids.hex32()
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        body = _body({}, wanted)
        row = {
            "id": segment_id, "application_id": app.id, "type": DIMENSIONAL, "version": 1,
            "tags": tag_rules.checked(wanted.get("tags")), "created": now,
        }  # fmt: skip
        _check(conn, app, segment_id, body, now)
        add(conn, row, body, now)
    return {"SegmentResponse": _show(app, {**row, "body": body, "modified": now})}


def get_segment(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        return {"SegmentResponse": _show(app, find(conn, app, request["SegmentId"]))}


def get_segments(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    size, last = paging.size_of(request), paging.after(request, [0.0, ""])
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        query = _rows(app).where(
            t.segment_versions.c.version == t.segments.c.version,
            sa.tuple_(t.segments.c.created, t.segments.c.id) > sa.tuple_(*last),
        )
        ordered = query.order_by(t.segments.c.created, t.segments.c.id).limit(size + 1)
        rows = conn.execute(ordered).mappings().all()
    answer = paging.page(rows, size, lambda r: _show(app, r), lambda r: [r["created"], r["id"]])
    return {"SegmentsResponse": answer}


def update_segment(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Make the next version; campaigns that name an older one keep it."""
    now = room.clock.now()
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = find(conn, app, request["SegmentId"])
        wanted = request["WriteSegmentRequest"]
        if held["type"] == lists.IMPORT and (
            wanted.get("Dimensions") or wanted.get("SegmentGroups")
        ):
            raise Invalid(
                f"Segment {held['id']} was imported: it has no Dimensions and no SegmentGroups;"
                " CreateImportJob with its SegmentId makes its next version"
            )
        body = _body(held["body"], wanted)
        _check(conn, app, held["id"], body, now)
        version = add_version(conn, held, body, now)
    return {
        "SegmentResponse": _show(app, {**held, "version": version, "body": body, "modified": now})
    }


def delete_segment(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a segment; campaigns that wait for it become INVALID."""
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = find(conn, app, request["SegmentId"])
        conn.execute(sa.delete(t.segments).where(t.segments.c.id == held["id"]))
        lists.delete(conn, [held["id"]])
        old = t.segment_versions.c.segment_id == held["id"]
        conn.execute(sa.delete(t.segment_versions).where(old))
        waiting = (
            t.campaigns.c.segment_id == held["id"],
            t.campaigns.c.state.in_(("SCHEDULED", "PAUSED")),
        )
        conn.execute(sa.update(t.campaigns).where(*waiting).values(state="INVALID"))
    return {"SegmentResponse": _show(app, held)}


def get_segment_version(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    version = request["Version"]
    if not str(version).isdigit():
        raise Invalid(f"version is {version!r}; it has to be a whole number")
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        return {"SegmentResponse": _show(app, find(conn, app, request["SegmentId"], int(version)))}


def get_segment_versions(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    size, last = paging.size_of(request), paging.after(request, [0])
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        find(conn, app, request["SegmentId"])
        query = _rows(app).where(
            t.segments.c.id == request["SegmentId"], t.segment_versions.c.version > last[0]
        )
        ordered = query.order_by(t.segment_versions.c.version).limit(size + 1)
        rows = conn.execute(ordered).mappings().all()
    answer = paging.page(rows, size, lambda r: _show(app, r), lambda r: [r["version"]])
    return {"SegmentsResponse": answer}


def find(conn: Connection, app: App, segment_id: str, version: int | None = None) -> dict[str, Any]:
    """A segment in its latest or a given version; NotFound otherwise."""
    wanted = t.segments.c.version if version is None else version
    query = _rows(app).where(t.segments.c.id == segment_id, t.segment_versions.c.version == wanted)
    row = conn.execute(query).mappings().first()
    if row is None:
        which = f"segment {segment_id}" + (f" version {version}" if version is not None else "")
        raise NotFound(f"There is no {which} in application {app.id}")
    return dict(row)


def membership(conn: Connection, app: App, segment: dict[str, Any], now: float) -> Membership:
    """The test of who belongs to a segment, whatever its type."""

    def source(segment_id: str, version: int | None) -> dict[str, Any]:
        return _with_members(conn, app, find(conn, app, segment_id, version))

    return of_segment(_with_members(conn, app, segment), now, source)


def add(conn: Connection, row: dict[str, Any], body: dict[str, Any], now: float) -> None:
    """Write a new segment down, with its first version."""
    conn.execute(sa.insert(t.segments).values(row))
    _add_version(conn, row["id"], row["version"], body, now)


def add_version(conn: Connection, held: dict[str, Any], body: dict[str, Any], now: float) -> int:
    """Write the next version of a segment down; its number."""
    version = int(held["version"]) + 1
    mine = t.segments.c.id == held["id"]
    conn.execute(sa.update(t.segments).where(mine).values(version=version))
    _add_version(conn, held["id"], version, body, now)
    return version


def _with_members(conn: Connection, app: App, segment: dict[str, Any]) -> dict[str, Any]:
    if segment["type"] != lists.IMPORT:
        return segment
    return {**segment, "members": lambda: lists.members(conn, app, segment)}


def _rows(app: App) -> sa.Select[Any]:
    """Segments joined with their versions; `version` is that of the version row."""
    s, v = t.segments.c, t.segment_versions.c
    return (
        sa.select(s.id, s.application_id, s.type, s.tags, s.created, v.version, v.body, v.modified)
        .join_from(t.segments, t.segment_versions, s.id == v.segment_id)
        .where(s.application_id == app.id)
    )


def _body(held: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted.get("Dimensions") and wanted.get("SegmentGroups"):
        raise Invalid("Dimensions and SegmentGroups exclude each other; give one of them")
    body = dict(held)
    if wanted.get("Name") is not None:
        body["Name"] = wanted["Name"]
    for part, other in (("Dimensions", "SegmentGroups"), ("SegmentGroups", "Dimensions")):
        if wanted.get(part) is not None and not wanted.get(other):
            body.pop(other, None)
            body[part] = wanted[part]
    return body


def _check(conn: Connection, app: App, segment_id: str, body: dict[str, Any], now: float) -> None:
    """Refuse what could not be resolved: bad dimensions, unknown sources, a circle of sources."""
    compiled(body, now, lambda source, version: find(conn, app, source, version), (segment_id,))


def _add_version(
    conn: Connection, segment_id: str, version: int, body: dict[str, Any], now: float
) -> None:
    row = {"segment_id": segment_id, "version": version, "body": body, "modified": now}
    conn.execute(sa.insert(t.segment_versions).values(row))


def _show(app: App, row: Any) -> dict[str, Any]:
    return {
        "Id": row["id"],
        "ApplicationId": app.id,
        "Arn": apps.arn(app, f"segments/{row['id']}"),
        "SegmentType": row["type"],
        "Version": row["version"],
        "CreationDate": iso(row["created"]),
        "LastModifiedDate": iso(row["modified"]),
        "tags": row["tags"],
        **row["body"],
    }
